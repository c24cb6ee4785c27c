"""Fetches one published file into a folder and checks it, or explains how to get it by hand.

Where a publisher states no hash, that of the first file is recorded in the folder, in the format of ``sha256sum``,
which can check it too, and later files must match it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from armory_skelevision.io.download import DownloadError, RetryPolicy, delete_part, download, looks_like_web_page
from armory_skelevision.io.files import atomic_write, hash_file
from armory_skelevision.io.reading import printable, read_text
from armory_skelevision.validation import InvalidValueError, MissingFileError

CHECKSUMS = ".armory_skelevision_sha256"
"""Name of the list of recorded hashes in a folder."""

MAX_CHECKSUMS = 2**20
"""Size of that list in bytes."""

LOCK = ".armory_skelevision_lock"
"""Name of an empty file, locked while something is fetched into its folder."""

Check = Callable[[Path], None]
"""Raises an `InvalidValueError` if a file is not of the expected kind."""


@dataclass(frozen=True)
class RemoteFile:
    """One published file.

    Attributes:
        name: Its name for users.
        file: Its local file name.
        url: Address of the download.
        page: Web page on which people find it.
        licence: Terms of use, as the publishers state them.
        sha256: Published hash; None if there is none.
        size: Published size in bytes; None if there is none.
        about: Origin of the file.
    """

    name: str
    file: str
    url: str
    page: str
    licence: str
    sha256: str | None = None
    size: int | None = None
    about: str = ""


def fetch_file(
    remote: RemoteFile,
    folder: str | os.PathLike[str],
    origin: str | None = None,
    check: Check | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Path:
    """The path of a published file: downloaded unless the folder has it, and checked in any case.

    Its hash must be the published one, or else the recorded one. The first file that passes ``check`` is recorded.

    Args:
        remote: The file.
        folder: Target folder; created if absent.
        origin: What replaces the published address: a mirror (the file's address or, with ``/`` at its end, that of
            its folder), or a local file or its folder. A local file is checked and stays where it is.
        check: Further check of the file, made before its hash is recorded.
        retry_policy: Timeouts and retries; None for the default ones.

    Raises:
        DownloadError: If the download fails; another attempt resumes.
        InvalidValueError: If what was found is not the expected file, or the list of recorded hashes is damaged.
        MissingFileError: If ``origin`` is a local path without the file.
        OSError: If the disk has no room, or another process is fetching into the folder.
    """
    target = Path(folder) / remote.file
    local = _local_file(remote, origin) or (target if target.is_file() else None)
    try:
        if local is not None:
            _check(remote, local, target, check)
            return local
        # The suffix stays last: `check` may depend on it.
        part = target.with_name(f".{target.stem}.part{target.suffix}")
        with _lock(target.parent):
            download(_address(remote, origin), part, remote.size, retry_policy)
            try:
                _check(remote, part, target, check)
            except ValueError:
                delete_part(part)  # nothing worth resuming
                raise
            part.replace(target)
            delete_part(part)
    except (InvalidValueError, DownloadError) as error:
        fixes = [error.fix, f"by hand: get {remote.file} from {remote.page} and give it with --from FILE"]
        raise type(error)(error.key, error.expected, error.got, "; ".join(filter(None, fixes))) from error
    return target


def recorded_hash(path: Path) -> str | None:
    """The SHA-256 recorded for a file of this name in this folder; None if there is none."""
    return _recorded_hashes(path.parent).get(path.name)


def forget_hash(path: Path) -> None:
    """Remove the SHA-256 recorded for a file of this name in this folder: it turned out not to be the file."""
    entries = _recorded_hashes(path.parent)
    if entries.pop(path.name, None) is not None:
        _write_hashes(path.parent, entries)


def _recorded_hashes(folder: Path) -> dict[str, str]:
    checksums = folder / CHECKSUMS
    lines = read_text(checksums, MAX_CHECKSUMS).splitlines() if checksums.is_file() else []
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None or found.setdefault(match[2], match[1]) != match[1]:
            fix = "delete the line, or the file if nothing in it is needed"
            raise InvalidValueError(f"{printable(checksums)}:{number}", "a SHA-256 and a name", f"{line!r:.100}", fix)
    return found


def _record_hash(path: Path, sha256: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_hashes(path.parent, {**_recorded_hashes(path.parent), path.name: sha256})


def _write_hashes(folder: Path, entries: Mapping[str, str]) -> None:
    text = "".join(f"{value}  {name}\n" for name, value in sorted(entries.items()))
    atomic_write(folder / CHECKSUMS, text.encode("utf-8"))


def _local_file(remote: RemoteFile, origin: str | None) -> Path | None:
    """The local file that an origin refers to; None for the published address or a mirror."""
    if origin is None or origin.startswith(("http://", "https://")):
        return None
    path = Path(origin).expanduser()
    path = path / remote.file if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(printable(path), f"{remote.file}, its folder, or an http(s) address", "no such file")
    return path


def _address(remote: RemoteFile, origin: str | None) -> str:
    if origin is None:
        return remote.url
    return origin + remote.file if origin.endswith("/") else origin


def _check(remote: RemoteFile, path: Path, target: Path, check: Check | None) -> None:
    with path.open("rb") as file:
        if looks_like_web_page(file.read(64)):
            raise InvalidValueError(printable(path), remote.file, "a web page")
    found, recorded = hash_file(path), recorded_hash(target)
    expected = remote.sha256 or recorded
    if expected not in (None, found):
        whose = "published" if remote.sha256 else f"recorded in {target.with_name(CHECKSUMS)}"
        fix = "it is another file or damaged" + ("; delete or rename it" if path == target else "")
        raise InvalidValueError(printable(path), f"the SHA-256 {expected} ({whose})", found, fix)
    if check is not None:
        check(path)
    if expected is None:
        _record_hash(target, found)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Create the folder, and keep other processes from fetching into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(
                f"{printable(folder)}: another process is fetching into it; wait for it, or stop it"
            ) from None
        yield
