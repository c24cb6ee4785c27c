"""HTTP downloads that resume after an interruption, and do not take a web page for a file.

The partial file lies beside the target under a temporary name, with a note of its address and version. The rest is
requested only from a server that supports ranges, and only of the same version; otherwise the download starts again
(RFC 9110, sections 13.1.5 and 14).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import requests

from armory_skelevision.io.archives import check_room
from armory_skelevision.io.files import atomic_write
from armory_skelevision.io.progress import progress
from armory_skelevision.io.reading import printable
from armory_skelevision.validation import InvalidValueError, StructuredError

# Bytes that an interrupted connection may lose.
CHUNK = 1 << 13
MAX_BYTES = 10**11
"""Size that a file may have whose size is not known beforehand."""
_BUSY = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class RetryPolicy:
    """Timeouts and retries.

    Attributes:
        connect: Seconds within which the server must answer.
        stall: Seconds that it may send nothing.
        attempts: Attempts in a row without progress before giving up.
        pause: Seconds before the second attempt; doubled before each further one.
    """

    connect: float = 15.0
    stall: float = 60.0
    attempts: int = 4
    pause: float = 1.0


class DownloadError(StructuredError, OSError):
    """A connection that failed or ended early; another attempt may help."""


def download(url: str, part: Path, size: int | None = None, retry_policy: RetryPolicy | None = None) -> None:
    """Download a file under a temporary name.

    Args:
        url: Its http or https address.
        part: The temporary file. What an earlier call left there is used if possible.
        size: Size of the file in bytes, if known.
        retry_policy: Timeouts and retries; None for the default ones.

    Raises:
        DownloadError: If the server cannot be reached, breaks off again and again, or stalls. `part` keeps what has
            arrived for the next call.
        InvalidValueError: If the server does not have the file, sends a web page instead, or a file of another size.
        OSError: If the disk has no room.
    """
    retry_policy = retry_policy or RetryPolicy()
    failures, best = 0, _length(part)
    while True:
        try:
            return _attempt(url, part, size, retry_policy)
        except DownloadError as error:
            failures = failures + 1 if _length(part) <= best else 1
            best = max(best, _length(part))
            if failures >= retry_policy.attempts:
                raise _broken(url, f"{error.got} after {_length(part):,} bytes") from error
        time.sleep(retry_policy.pause * 2 ** (failures - 1))


def looks_like_web_page(start: bytes) -> bool:
    """Whether the first bytes of a file are those of HTML or XML, which servers send in place of a file."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def delete_part(part: Path) -> None:
    """Delete a temporary file and the note beside it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, size: int | None, retry_policy: RetryPolicy) -> None:
    version = _known_version(url, part)
    have = _length(part) if version else 0
    headers = {"Accept-Encoding": "identity"}  # so that lengths and ranges are those of the file
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    timeout = (retry_policy.connect, retry_policy.stall)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            if response.headers.get("Content-Range") == f"bytes */{have}" and response.status_code == 416:
                return  # complete: the last run ended between the last byte and the new name
            start, total = _place(response)
            if response.status_code == 416 or start not in (0, have):
                delete_part(part)
                raise _broken(url, f"no rest from byte {have:,}")
            _check_status(url, response)
            if size is not None and total not in (None, size):
                raise InvalidValueError(url, f"{size:,} bytes", f"another file of {total:,} bytes")
            if not start:
                _start_again(url, part, response)
            check_room(part.parent, (total or 0) - start)
            _receive(url, response, part, start, total, size or MAX_BYTES)
    except requests.RequestException as error:
        if isinstance(error, ValueError):
            raise InvalidValueError(url, "an http or https address", f"none ({error})") from error
        raise _broken(url, _describe(error, retry_policy)) from error


def _receive(url: str, response: requests.Response, part: Path, start: int, total: int | None, max_bytes: int) -> None:
    with (
        part.open("r+b") as file,
        progress(total=total, initial=start, unit="B", unit_scale=True, desc=part.name) as bar,
    ):
        file.seek(start)
        for chunk in response.iter_content(CHUNK):
            if not file.tell() and looks_like_web_page(chunk):
                delete_part(part)
                raise InvalidValueError(url, "the file", "a web page")
            if file.tell() + len(chunk) > max_bytes:
                delete_part(part)
                raise InvalidValueError(url, f"a file of at most {max_bytes:,} bytes", "more")
            _write(file, chunk, part)
            bar.update(len(chunk))
        have = file.tell()
    if total is not None and have != total:
        raise _broken(url, f"the connection ended at {have:,} of {total:,} bytes")


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:  # of a full disk, without a name
        raise OSError(error.errno, error.strerror, printable(part)) from None


def _check_status(url: str, response: requests.Response) -> None:
    status, encoding = f"{response.status_code} {response.reason}", response.headers.get("Content-Encoding", "identity")
    if response.status_code in _BUSY:
        raise _broken(url, f"status {status}")
    if response.status_code not in (200, 206):
        raise InvalidValueError(url, "the file", f"status {status}")
    if "html" in response.headers.get("Content-Type", ""):
        raise InvalidValueError(url, "the file", "a web page")
    if encoding != "identity":
        raise InvalidValueError(url, "the file as it is", f"one that the server encoded unasked ({encoding})")


def _broken(url: str, reason: str) -> DownloadError:
    return DownloadError(url, "the whole file", reason, "the same command resumes if the server can")


def _place(response: requests.Response) -> tuple[int, int | None]:
    """The file's first byte in a response, -1 if unclear, and the size of the whole file, None if not stated."""
    start, total = "0", response.headers.get("Content-Length", "")
    if response.status_code == 206:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
    return int(start) if start.isdecimal() else -1, int(total) if total.isdecimal() else None


def _start_again(url: str, part: Path, response: requests.Response) -> None:
    delete_part(part)
    etag = response.headers.get("ETag", "W/")
    # A weak ETag may stand for files that differ in bytes.
    version = response.headers.get("Last-Modified", "") if etag.startswith("W/") else etag
    part.touch()
    atomic_write(_note(part), f"{url}\n{version}".encode())


def _known_version(url: str, part: Path) -> str:
    note = _note(part).read_text(encoding="utf-8", errors="replace") if _note(part).is_file() else ""
    noted_url, _, version = note.partition("\n")
    return version if noted_url == url else ""


def _describe(error: requests.RequestException, retry_policy: RetryPolicy) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer in {retry_policy.connect:g} s"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"nothing for {retry_policy.stall:g} s"
    return f"a broken connection ({type(error).__name__})"


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.note")


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
