import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import PAGE, FileServer, serve

from armory_skelevision.datasets.published import COCO_ANNOTATIONS, COCO_IMAGES, LASOT_PERSON, otb_source
from armory_skelevision.io.download import CHUNK, RetryPolicy
from armory_skelevision.io.ledger import LEDGER, recorded_hash
from armory_skelevision.io.obtain import LOCK, obtain
from armory_skelevision.io.source import Source
from armory_skelevision.weights.published import WEIGHTS

CONTENT = os.urandom(200_000)
HASH = hashlib.sha256(CONTENT).hexdigest()
QUICK = RetryPolicy(connect=2, stall=0.3, attempts=2, pause=0.01)


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve() as server:
        server.content = CONTENT
        yield server


@pytest.fixture
def source(files: FileServer) -> Source:
    """A published file without a published hash."""
    return Source("net", "net.pth", files.url + "download?id=7", "http://page.example/7", "MIT")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {LOCK}


def test_fetches_once_and_writes_the_hash_down(files: FileServer, source: Source, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    path = obtain(source, folder)
    assert path == folder / "net.pth"
    assert path.read_bytes() == CONTENT
    assert names(folder) == {"net.pth", LEDGER}
    assert recorded_hash(path) == HASH
    assert obtain(source, folder) == path
    assert files.asked == [("/download?id=7", None)]
    done = subprocess.run(["sha256sum", "-c", LEDGER], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0


def test_published_hash_is_checked_and_not_written_down(source: Source, tmp_path: Path) -> None:
    obtain(replace(source, sha256=HASH, size=len(CONTENT)), tmp_path)
    assert names(tmp_path) == {"net.pth"}


def test_wrong_hash_leaves_nothing(source: Source, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"{HASH}, but published is {'0' * 64}.*By hand: get net.pth from http://page"
    ):
        obtain(replace(source, sha256="0" * 64), tmp_path)
    assert names(tmp_path) == set()


def test_later_files_must_be_the_first_one(files: FileServer, source: Source, tmp_path: Path) -> None:
    obtain(source, tmp_path).unlink()
    files.content = b"x" + CONTENT
    with pytest.raises(ValueError, match=rf"but written down in .*{LEDGER} is {HASH}"):
        obtain(source, tmp_path)
    assert names(tmp_path) == {LEDGER}
    (tmp_path / "net.pth").write_bytes(b"changed")
    with pytest.raises(ValueError, match="another file or damaged"):
        obtain(source, tmp_path)


def test_check_comes_before_the_hash_is_written_down(source: Source, tmp_path: Path) -> None:
    checked = []

    def refuse(path: Path) -> None:
        checked.append(path.suffix)
        raise ValueError("no weights in there")

    with pytest.raises(ValueError, match=r"no weights in there\. By hand"):
        obtain(source, tmp_path, check=refuse)
    assert checked == [".pth"]
    assert names(tmp_path) == set()


def test_sign_in_page_says_what_to_do(files: FileServer, source: Source, tmp_path: Path) -> None:
    files.content = PAGE
    with pytest.raises(
        ValueError, match=r"web page.*By hand: get net\.pth from http://page\.example/7 and give .*--from"
    ):
        obtain(source, tmp_path)
    assert names(tmp_path) == set()


def test_broken_download_says_what_to_do_and_goes_on(files: FileServer, source: Source, tmp_path: Path) -> None:
    files.breaks = [10 * CHUNK, 0]
    with pytest.raises(OSError, match=r"81,920 bytes have come.*By hand: "):
        obtain(source, tmp_path, retry_policy=QUICK)
    assert not (tmp_path / "net.pth").exists()
    assert obtain(source, tmp_path).read_bytes() == CONTENT
    assert files.asked[-1][1] == "bytes=81920-"
    assert names(tmp_path) == {"net.pth", LEDGER}


def test_mirrors(files: FileServer, source: Source, tmp_path: Path) -> None:
    obtain(source, tmp_path / "a", files.url + "mirror/")
    obtain(source, tmp_path / "b", files.url + "other?key=1")
    assert [path for path, _ in files.asked] == ["/mirror/net.pth", "/other?key=1"]


def test_local_files_are_checked_where_they_are(files: FileServer, source: Source, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "net.pth").write_bytes(CONTENT)
    folder = tmp_path / "folder"
    for origin in ("mine", "mine/net.pth"):
        assert obtain(source, folder, str(tmp_path / origin)) == tmp_path / "mine" / "net.pth"
    assert recorded_hash(folder / "net.pth") == HASH
    (tmp_path / "mine" / "net.pth").write_bytes(PAGE)
    with pytest.raises(ValueError, match=r"net\.pth is a web page"):
        obtain(source, folder, str(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError, match=r"no file .*nothing; expected net\.pth"):
        obtain(source, folder, str(tmp_path / "nothing"))
    assert files.asked == []


def test_one_process_at_a_time(files: FileServer, source: Source, tmp_path: Path) -> None:
    with (tmp_path / LOCK).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another process is fetching into"):
            obtain(source, tmp_path)
    assert files.asked == []
    obtain(source, tmp_path)


def test_interruption_leaves_no_file_under_its_name(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(source, tmp_path, check=interrupt)
    assert not (tmp_path / "net.pth").exists()
    assert obtain(source, tmp_path).read_bytes() == CONTENT


def test_published_sources_are_of_one_form() -> None:
    sources = [*WEIGHTS.values(), COCO_ANNOTATIONS, *COCO_IMAGES.values(), LASOT_PERSON, otb_source("Crossing")]
    assert len({source.file for source in sources}) == len({source.url for source in sources}) == len(sources)
    for source in sources:
        assert source.url.startswith(("http://", "https://")) and source.page.startswith(("http://", "https://"))
        assert source.licence
        assert source.sha256 is None or len(bytes.fromhex(source.sha256)) == 32
