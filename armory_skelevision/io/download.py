"""Downloads over HTTP that go on where they broke off, and take no web page for a file.

What has come so far lies beside the target under a temporary name, with a note of whence it came and which version of
the file it is. Only a server that offers ranges, of the very same version, is asked for the rest; else it all starts
anew (RFC 9110, sections 13.1.5 and 14).
"""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from armory_skelevision.io import atomic_write

# What a broken connection may lose of what has come.
CHUNK = 1 << 13
_BUSY = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class RetryPolicy:
    """How long to put up with a server.

    Attributes:
        connect: Seconds until it must have answered the call.
        stall: Seconds that it may send nothing.
        attempts: Tries in a row that bring nothing further before we give up.
        pause: Seconds before the second try; twice as many before each further one.
    """

    connect: float = 15.0
    stall: float = 60.0
    attempts: int = 4
    pause: float = 1.0


class BrokenDownloadError(OSError):
    """A connection that failed or ended early; another try may help."""


def download(url: str, part: Path, size: int | None = None, retry_policy: RetryPolicy | None = None) -> None:
    """Bring a file from the network into a temporary file.

    Args:
        url: Where from; http or https.
        part: The temporary file. What an earlier call left there is made use of if it can be.
        size: Bytes that the file is known to have.
        retry_policy: How long to wait; None for the usual.

    Raises:
        OSError: If the server cannot be reached, breaks off again and again, stalls, or the disk is too small. What
            has come stays in `part` for the next call.
        ValueError: If the server has no such file, sends a web page instead, or a file of another size.
    """
    retry_policy = retry_policy or RetryPolicy()
    failures, best = 0, _length(part)
    while True:
        try:
            return _attempt(url, part, size, retry_policy)
        except BrokenDownloadError as error:
            failures = failures + 1 if _length(part) <= best else 1
            best = max(best, _length(part))
            if failures >= retry_policy.attempts:
                come = f"{_length(part):,} bytes have come, and the same command goes on from there if the server can"
                raise BrokenDownloadError(f"{url}: {error}; {come}") from error
        time.sleep(retry_policy.pause * 2 ** (failures - 1))


def looks_like_page(start: bytes) -> bool:
    """Whether a file begins like a web page or another XML text, as servers send to say no."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def forget(part: Path) -> None:
    """Delete a temporary file and the note beside it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(url: str, part: Path, size: int | None, retry_policy: RetryPolicy) -> None:
    version = _known_version(url, part)
    have = _length(part) if version else 0
    headers = {"Accept-Encoding": "identity"}  # so that lengths and ranges are those of the file
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        with requests.get(
            url, headers=headers, stream=True, timeout=(retry_policy.connect, retry_policy.stall)
        ) as response:
            if response.headers.get("Content-Range") == f"bytes */{have}" and response.status_code == 416:
                return  # nothing is left: we were stopped between the last byte and the new name
            if response.status_code == 416 or _first_byte(response) not in (0, have):
                forget(part)
                raise BrokenDownloadError(f"the server does not go on from byte {have:,}")
            _check_status(url, response)
            start, total = _first_byte(response), _total(response)
            if size is not None and total not in (None, size):
                raise ValueError(f"{url}: the server's file has {total:,} bytes, expected {size:,}: it is another file")
            if not start:
                _start_anew(url, part, response)
            _check_room(part, (total or 0) - start)
            _receive(url, response, part, start, total)
    except requests.RequestException as error:
        if isinstance(error, ValueError):  # no address at all
            raise ValueError(f"{url}: {error}") from error
        raise BrokenDownloadError(_describe(error, retry_policy)) from error


def _receive(url: str, response: requests.Response, part: Path, start: int, total: int | None) -> None:
    # Without a terminal tqdm is silent (disable=None).
    with (
        part.open("r+b") as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.name, disable=None, leave=False) as bar,
    ):
        file.seek(start)
        for chunk in response.iter_content(CHUNK):
            if not file.tell() and looks_like_page(chunk):
                forget(part)
                raise ValueError(f"{url}: got a web page, not the file")
            file.write(chunk)
            bar.update(len(chunk))
        have = file.tell()
    if total is not None and have != total:
        raise BrokenDownloadError(f"the connection ended after {have:,} of {total:,} bytes")


def _check_status(url: str, response: requests.Response) -> None:
    if response.status_code in _BUSY:
        raise BrokenDownloadError(f"the server answered {response.status_code} {response.reason}")
    if response.status_code not in (200, 206):
        raise ValueError(f"{url}: the server answered {response.status_code} {response.reason}")
    if "html" in response.headers.get("Content-Type", ""):
        raise ValueError(f"{url}: got a web page, not the file")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise ValueError(f"{url}: the server packs the file anew ({response.headers['Content-Encoding']}) unasked")


def _first_byte(response: requests.Response) -> int:
    if response.status_code != 206:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _total(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    if response.status_code == 206:
        length = response.headers.get("Content-Range", "").partition("/")[2]
    return int(length) if length.isdecimal() else None


def _start_anew(url: str, part: Path, response: requests.Response) -> None:
    forget(part)
    etag = response.headers.get("ETag", "W/")
    # A weak ETag may stand for files that differ in bytes.
    version = response.headers.get("Last-Modified", "") if etag.startswith("W/") else etag
    part.touch()
    atomic_write(_note(part), json.dumps({"url": url, "version": version}).encode())


def _known_version(url: str, part: Path) -> str:
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        return str(note["version"]) if note["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(f"{part.parent} has {free / 1e9:.1f} GB of room, the download needs {needed / 1e9:.1f} GB")


def _describe(error: requests.RequestException, retry_policy: RetryPolicy) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no answer in {retry_policy.connect:g} s"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"the server sent nothing for {retry_policy.stall:g} s"
    return f"the connection failed ({type(error).__name__})"


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.note")


def _length(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
