"""One published file: downloaded once, checked always, and errors that name the way by hand."""

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import PAGE, FileServer, serve

from armory_skelevision.datasets.published import COCO_ANNOTATIONS, COCO_IMAGES, LASOT_PERSON, otb_archive
from armory_skelevision.io.download import CHUNK, DownloadError, RetryPolicy
from armory_skelevision.io.fetch import CHECKSUMS, LOCK, RemoteFile, fetch_file, recorded_hash
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.published import WEIGHTS

CONTENT = b"\x00" + os.urandom(199_999)  # not the "<" of a web page
HASH = hashlib.sha256(CONTENT).hexdigest()
QUICK = RetryPolicy(connect=2, stall=0.3, attempts=2, pause=0.01)


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve() as server:
        server.content = CONTENT
        yield server


@pytest.fixture
def remote(files: FileServer) -> RemoteFile:
    """A published file without a published hash."""
    return RemoteFile("net", "net.pth", files.url + "download?id=7", "http://page.example/7", "MIT")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LOCK}


def test_fetches_once_and_records_the_hash(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    path = fetch_file(remote, folder)
    assert path == folder / "net.pth"
    assert path.read_bytes() == CONTENT
    assert names(folder) == {"net.pth", CHECKSUMS}
    assert recorded_hash(path) == HASH
    assert fetch_file(remote, folder) == path
    assert files.asked == [("/download?id=7", None)]
    done = subprocess.run(["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0


def test_published_hash_is_checked_and_not_recorded(remote: RemoteFile, tmp_path: Path) -> None:
    fetch_file(replace(remote, sha256=HASH, size=len(CONTENT)), tmp_path)
    assert names(tmp_path) == {"net.pth"}


def test_wrong_hash_leaves_nothing(remote: RemoteFile, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        fetch_file(replace(remote, sha256="0" * 64), tmp_path)
    assert (caught.value.expected, caught.value.got) == (f"the SHA-256 {'0' * 64} (published)", HASH)
    assert "get net.pth from http://page" in caught.value.fix
    assert names(tmp_path) == set()


def test_later_files_must_be_the_first_one(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    fetch_file(remote, tmp_path).unlink()
    files.content = b"x" + CONTENT
    with pytest.raises(InvalidValueError) as caught:
        fetch_file(remote, tmp_path)
    assert caught.value.expected == f"the SHA-256 {HASH} (recorded in {tmp_path / CHECKSUMS})"
    assert names(tmp_path) == {CHECKSUMS}
    (tmp_path / "net.pth").write_bytes(b"changed")
    with pytest.raises(InvalidValueError) as caught:
        fetch_file(remote, tmp_path)
    assert caught.value.key == str(tmp_path / "net.pth") and "delete or rename it" in caught.value.fix


def test_check_comes_before_the_hash_is_recorded(remote: RemoteFile, tmp_path: Path) -> None:
    checked = []

    def refuse(path: Path) -> None:
        checked.append(path.suffix)
        raise InvalidValueError(str(path), "weights", "none")

    with pytest.raises(InvalidValueError) as caught:
        fetch_file(remote, tmp_path, check=refuse)
    assert caught.value.got == "none" and caught.value.fix.startswith("by hand")
    assert checked == [".pth"]
    assert names(tmp_path) == set()


def test_sign_in_page_is_refused_with_a_fix(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    files.content = PAGE
    with pytest.raises(InvalidValueError) as caught:
        fetch_file(remote, tmp_path)
    assert caught.value.got == "a web page"
    assert caught.value.fix == "by hand: get net.pth from http://page.example/7 and give it with --from FILE"
    assert names(tmp_path) == set()


def test_broken_download_resumes(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    files.breaks = [10 * CHUNK, 0]
    with pytest.raises(DownloadError) as caught:
        fetch_file(remote, tmp_path, retry_policy=QUICK)
    assert caught.value.got.endswith("after 81,920 bytes")
    assert "resumes" in caught.value.fix and "by hand" in caught.value.fix
    assert not (tmp_path / "net.pth").exists()
    assert fetch_file(remote, tmp_path).read_bytes() == CONTENT
    assert files.asked[-1][1] == "bytes=81920-"
    assert names(tmp_path) == {"net.pth", CHECKSUMS}


def test_mirrors(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    fetch_file(remote, tmp_path / "a", files.url + "mirror/")
    fetch_file(remote, tmp_path / "b", files.url + "other?key=1")
    assert [path for path, _ in files.asked] == ["/mirror/net.pth", "/other?key=1"]


def test_local_files_are_checked_where_they_are(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pth").write_bytes(CONTENT)
    folder = tmp_path / "folder"
    for origin in ("mine", "mine/net.pth"):
        assert fetch_file(remote, folder, str(tmp_path / origin)) == tmp_path / "mine" / "net.pth"
    assert recorded_hash(folder / "net.pth") == HASH
    (tmp_path / "mine" / "net.pth").write_bytes(PAGE)
    with pytest.raises(InvalidValueError) as invalid:
        fetch_file(remote, folder, str(tmp_path / "mine"))
    assert (invalid.value.key, invalid.value.got) == (str(tmp_path / "mine" / "net.pth"), "a web page")
    with pytest.raises(MissingFileError) as missing:
        fetch_file(remote, folder, str(tmp_path / "nothing"))
    assert missing.value.key == str(tmp_path / "nothing")
    assert files.asked == []


def test_one_process_at_a_time(files: FileServer, remote: RemoteFile, tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process is fetching into"):
            fetch_file(remote, tmp_path)
    assert files.asked == []
    fetch_file(remote, tmp_path)


def test_interruption_leaves_no_file_under_its_name(
    remote: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(remote, tmp_path, check=interrupt)
    assert not (tmp_path / "net.pth").exists()
    assert fetch_file(remote, tmp_path).read_bytes() == CONTENT


def test_published_files_are_complete() -> None:
    files = [*WEIGHTS.values(), COCO_ANNOTATIONS, *COCO_IMAGES.values(), LASOT_PERSON, otb_archive("Crossing")]
    assert len({remote.file for remote in files}) == len({remote.url for remote in files}) == len(files)
    for remote in files:
        assert remote.url.startswith(("http://", "https://")) and remote.page.startswith(("http://", "https://"))
        assert remote.licence
        assert remote.sha256 is None or len(bytes.fromhex(remote.sha256)) == 32


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"nonsense\n", ":1"), (b"%b  a\nx  b\n" % (b"0" * 64), ":2"), (b"\xff\xfe\x00\xd8", ""), (b"\xe9\n", "")],
)
def test_a_damaged_list_of_hashes_is_named(tmp_path: Path, remote: RemoteFile, content: bytes, line: str) -> None:
    (tmp_path / CHECKSUMS).write_bytes(content)
    with pytest.raises(InvalidValueError) as caught:
        fetch_file(remote, tmp_path)
    assert caught.value.key == f"{tmp_path / CHECKSUMS}{line}"


def test_two_hashes_for_one_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / CHECKSUMS).write_text(f"{'0' * 64}  net.pth\n{'1' * 64}  net.pth\n")
    with pytest.raises(InvalidValueError) as caught:
        recorded_hash(tmp_path / "net.pth")
    assert caught.value.key == f"{tmp_path / CHECKSUMS}:2"
