import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import PAGE, FileServer, ranges_of, serve

from armory_skelevision.io.download import CHUNK, BrokenDownloadError, RetryPolicy, download, looks_like_page

CONTENT = os.urandom(300_000)
THIRD = 12 * CHUNK  # about
QUICK = RetryPolicy(connect=2, stall=0.3, attempts=3, pause=0.01)


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve() as server:
        server.content = CONTENT
        yield server


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".net.part.pth"


def test_brings_the_file_quietly(files: FileServer, part: Path, capfd: pytest.CaptureFixture[str]) -> None:
    download(files.url + "net.pth", part, len(CONTENT), QUICK)
    assert part.read_bytes() == CONTENT
    assert files.asked == [("/net.pth", None)]
    assert capfd.readouterr() == ("", "")


def test_goes_on_where_it_broke_off(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, f"{THIRD}-", f"{2 * THIRD}-"]


def test_goes_on_in_a_later_call(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(BrokenDownloadError, match=f"{THIRD:,} bytes have come, and the same command goes on"):
        download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT[:THIRD]
    files.asked.clear()
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [f"{THIRD}-"]


def test_progress_gives_new_patience(files: FileServer, part: Path) -> None:
    files.breaks = [3 * CHUNK] * 10
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert len(files.asked) == 11


def test_server_without_ranges_is_asked_for_the_whole_again(files: FileServer, part: Path) -> None:
    files.ranges = False
    files.breaks = [THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, f"{THIRD}-"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_versions_that_cannot_be_told_apart_are_not_joined(files: FileServer, part: Path, etag: str) -> None:
    files.etag = etag
    files.breaks = [THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, None]


def test_another_version_is_fetched_anew(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(BrokenDownloadError):
        download(files.url, part, retry_policy=QUICK)
    files.content, files.etag = bytes(reversed(CONTENT)), '"second"'
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == files.content


def test_another_address_is_fetched_anew(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(BrokenDownloadError):
        download(files.url + "a", part, retry_policy=QUICK)
    files.asked.clear()
    download(files.url + "b", part, retry_policy=QUICK)
    assert files.asked == [("/b", None)]
    assert part.read_bytes() == CONTENT


def test_stopped_after_the_last_byte(files: FileServer, part: Path) -> None:
    download(files.url, part, retry_policy=QUICK)
    files.asked.clear()
    download(files.url, part, retry_policy=QUICK)
    assert ranges_of(files) == ["300000-"]
    assert part.read_bytes() == CONTENT


def test_more_than_the_server_has_is_fetched_anew(files: FileServer, part: Path) -> None:
    download(files.url, part, retry_policy=QUICK)
    with part.open("ab") as file:
        file.write(b"more")
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT


def test_stalled_server(files: FileServer, part: Path) -> None:
    files.stall, files.ranges = True, False
    with pytest.raises(BrokenDownloadError, match=r"the server sent nothing for 0\.3 s"):
        download(files.url, part, retry_policy=QUICK)


def test_length_that_is_too_long(files: FileServer, part: Path) -> None:
    files.length, files.ranges = len(CONTENT) + 1000, False
    with pytest.raises(BrokenDownloadError, match=r"bytes have come"):
        download(files.url, part, retry_policy=QUICK)


def test_length_that_is_not_the_published_one(files: FileServer, part: Path) -> None:
    with pytest.raises(ValueError, match="300,000 bytes, expected 299,999: it is another file"):
        download(files.url, part, len(CONTENT) - 1, QUICK)
    assert not part.exists()


def test_not_found_is_asked_once(files: FileServer, part: Path) -> None:
    files.statuses = [404]
    with pytest.raises(ValueError, match="answered 404 Not Found"):
        download(files.url, part, retry_policy=QUICK)
    assert len(files.asked) == 1


def test_busy_server_is_asked_again(files: FileServer, part: Path) -> None:
    files.statuses = [503, 429]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    files.statuses = [503] * 3
    with pytest.raises(BrokenDownloadError, match="answered 503"):
        download(files.url + "other", part, retry_policy=QUICK)


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_page_in_place_of_the_file(files: FileServer, part: Path, tmp_path: Path, content_type: str) -> None:
    files.content, files.content_type = PAGE, content_type
    with pytest.raises(ValueError, match="got a web page, not the file"):
        download(files.url, part, retry_policy=QUICK)
    assert len(files.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_web_page_in_place_of_the_rest(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(BrokenDownloadError):
        download(files.url, part, retry_policy=QUICK)
    files.content_type = "text/html"
    with pytest.raises(ValueError, match="web page"):
        download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT[:THIRD]


def test_nobody_there(part: Path) -> None:
    with pytest.raises(BrokenDownloadError, match="the connection failed"):
        download("http://127.0.0.1:9/net.pth", part, retry_policy=QUICK)
    with pytest.raises(ValueError, match="http://"):
        download("http://", part, retry_policy=QUICK)


def test_no_room(files: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(OSError, match=r"has 0\.0 GB of room"):
        download(files.url, part, retry_policy=QUICK)


def test_pages_are_told_from_files() -> None:
    assert looks_like_page(PAGE)
    assert looks_like_page(b"\xef\xbb\xbf<?xml version='1.0'?><Error/>")
    assert not looks_like_page(b"PK\x03\x04<html>")
    assert not looks_like_page(b"")
