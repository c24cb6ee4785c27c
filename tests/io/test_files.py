import errno
import hashlib
import os
import resource
import signal
import stat
from pathlib import Path

import pytest

from armory_skelevision.io import atomic_write, hash_file
from armory_skelevision.validation import InvalidValueError, StructuredError


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.bin"]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    atomic_write(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_replaces_none(tmp_path: Path, has_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_links:  # as on FAT
        monkeypatch.setattr(os, "link", raise_not_permitted)
    atomic_write(tmp_path / "a", b"mine", new=True)
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("a", "link"):
        with pytest.raises(FileExistsError) as refused:
            atomic_write(tmp_path / name, b"yours", new=True)
        assert refused.value.filename == str(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


def test_a_new_file_has_its_name_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", raise_not_permitted)  # which would first make an empty one
    atomic_write(tmp_path / "a", b"mine", new=True)
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_bytes() == b"mine"


def raise_not_permitted(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_a_full_disk_is_named_by_the_target(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        for new in (False, True):
            with pytest.raises(OSError, match="File too large") as full:
                atomic_write(tmp_path / "a", bytes(2000), new)
            assert full.value.filename == str(tmp_path / "a")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


@pytest.mark.timeout(10)
def test_only_regular_files_have_a_hash(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in (*tmp_path.iterdir(), tmp_path, tmp_path / "none"):
        with pytest.raises(StructuredError) as refused:
            hash_file(path)
        assert refused.value.key == str(path)
    (tmp_path / "a").write_bytes(b"12345")
    assert hash_file(tmp_path / "a", max_bytes=5) == hash_file(tmp_path / "a")
    with pytest.raises(InvalidValueError):
        hash_file(tmp_path / "a", max_bytes=4)


def test_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert hash_file(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()
