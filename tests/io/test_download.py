"""Downloads from a server that misbehaves: what is resumed, repeated and refused."""

import os
import resource
import shutil
import signal
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import PAGE, FileServer, ranges_of, serve

import armory_skelevision.io.download as downloads
from armory_skelevision.io.download import CHUNK, DownloadError, RetryPolicy, download, looks_like_web_page
from armory_skelevision.validation import InvalidValueError

CONTENT = b"\x00" + os.urandom(299_998) + b"\x00"  # not the "<" of a web page, at either end
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


def test_downloads_the_file_silently(files: FileServer, part: Path, capfd: pytest.CaptureFixture[str]) -> None:
    download(files.url + "net.pth", part, len(CONTENT), QUICK)
    assert part.read_bytes() == CONTENT
    assert files.asked == [("/net.pth", None)]
    assert capfd.readouterr() == ("", "")


def test_an_endless_file_is_not_received(files: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAX_BYTES", 20_000)
    with pytest.raises(InvalidValueError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert (caught.value.key, caught.value.expected) == (files.url, "a file of at most 20,000 bytes")
    assert list(part.parent.iterdir()) == []
    download(files.url, part, len(CONTENT), QUICK)


def test_resumes_after_a_broken_connection(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, f"{THIRD}-", f"{2 * THIRD}-"]


def test_resumes_in_a_later_call(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(DownloadError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert (caught.value.key, caught.value.expected) == (files.url, "the whole file")
    assert caught.value.got.endswith(f"after {THIRD:,} bytes")
    assert part.read_bytes() == CONTENT[:THIRD]
    files.asked.clear()
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [f"{THIRD}-"]


def test_progress_resets_the_attempts(files: FileServer, part: Path) -> None:
    files.breaks = [3 * CHUNK] * 10
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert len(files.asked) == 11


def test_server_without_ranges_sends_the_whole_file_again(files: FileServer, part: Path) -> None:
    files.ranges = False
    files.breaks = [THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, f"{THIRD}-"]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_versions_that_cannot_be_distinguished_are_not_joined(files: FileServer, part: Path, etag: str) -> None:
    files.etag = etag
    files.breaks = [THIRD]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    assert ranges_of(files) == [None, None]


def test_another_version_starts_again(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(DownloadError):
        download(files.url, part, retry_policy=QUICK)
    files.content, files.etag = bytes(reversed(CONTENT)), '"second"'
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == files.content


def test_another_address_starts_again(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(DownloadError):
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


def test_more_than_the_server_has_starts_again(files: FileServer, part: Path) -> None:
    download(files.url, part, retry_policy=QUICK)
    with part.open("ab") as file:
        file.write(b"more")
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT


def test_stalled_server(files: FileServer, part: Path) -> None:
    files.stall, files.ranges = True, False
    with pytest.raises(DownloadError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert caught.value.got.startswith("nothing for 0.3 s")


def test_length_that_is_too_long(files: FileServer, part: Path) -> None:
    files.length, files.ranges = len(CONTENT) + 1000, False
    with pytest.raises(DownloadError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert caught.value.key == files.url


def test_length_that_is_not_the_published_one(files: FileServer, part: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        download(files.url, part, len(CONTENT) - 1, QUICK)
    assert (caught.value.expected, caught.value.got) == ("299,999 bytes", "another file of 300,000 bytes")
    assert not part.exists()


def test_missing_file_is_requested_once(files: FileServer, part: Path) -> None:
    files.statuses = [404]
    with pytest.raises(InvalidValueError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert caught.value.got == "status 404 Not Found"
    assert len(files.asked) == 1


def test_busy_server_is_asked_again(files: FileServer, part: Path) -> None:
    files.statuses = [503, 429]
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT
    files.statuses = [503] * 3
    with pytest.raises(DownloadError) as caught:
        download(files.url + "other", part, retry_policy=QUICK)
    assert caught.value.got.startswith("status 503")


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_page_in_place_of_the_file(files: FileServer, part: Path, tmp_path: Path, content_type: str) -> None:
    files.content, files.content_type = PAGE, content_type
    with pytest.raises(InvalidValueError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert (caught.value.key, caught.value.got) == (files.url, "a web page")
    assert len(files.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_web_page_in_place_of_the_rest(files: FileServer, part: Path) -> None:
    files.breaks = [THIRD, 0, 0]
    with pytest.raises(DownloadError):
        download(files.url, part, retry_policy=QUICK)
    files.content_type = "text/html"
    with pytest.raises(InvalidValueError) as caught:
        download(files.url, part, retry_policy=QUICK)
    assert caught.value.got == "a web page"
    assert part.read_bytes() == CONTENT[:THIRD]


def test_unreachable_server_and_invalid_address(part: Path) -> None:
    with pytest.raises(DownloadError) as broken:
        download("http://127.0.0.1:9/net.pth", part, retry_policy=QUICK)
    assert broken.value.got.startswith("a broken connection")
    with pytest.raises(InvalidValueError) as invalid:
        download("http://", part, retry_policy=QUICK)
    assert (invalid.value.key, invalid.value.expected) == ("http://", "an http or https address")


def test_no_room(files: FileServer, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(OSError, match=r"0\.0 GB are free"):
        download(files.url, part, retry_policy=QUICK)


def test_a_disk_that_fills_up_is_named_by_the_file(files: FileServer, part: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (THIRD, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as full:
            download(files.url, part, retry_policy=QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert full.value.filename == str(part)
    download(files.url, part, retry_policy=QUICK)
    assert part.read_bytes() == CONTENT


def test_web_pages_are_distinguished_from_files() -> None:
    assert looks_like_web_page(PAGE)
    assert looks_like_web_page(b"\xef\xbb\xbf<?xml version='1.0'?><Error/>")
    assert not looks_like_web_page(b"PK\x03\x04<html>")
    assert not looks_like_web_page(b"")
