"""Fetches one published file into a folder and checks it, or explains how to get it by hand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from armory_skelevision.io.checksums import CHECKSUMS, record_hash, recorded_hash
from armory_skelevision.io.download import DownloadError, RetryPolicy, delete_part, download, looks_like_web_page
from armory_skelevision.io.files import hash_file
from armory_skelevision.io.remote_file import RemoteFile
from armory_skelevision.validation import InvalidValueError, MissingFileError

LOCK = ".armory_skelevision_lock"
"""Name of an empty file, locked while something is fetched into its folder."""

Check = Callable[[Path], None]
"""Raises an `InvalidValueError` if a file is not of the expected kind."""


def fetch_file(
    remote: RemoteFile,
    folder: str | os.PathLike[str],
    origin: str | None = None,
    check: Check | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Path:
    """The path of a published file: downloaded unless the folder has it, and checked in any case.

    Its hash must be the published one. Where none is published, the hash of the first file that passes ``check`` is
    recorded in the folder, and later ones must match it.

    Args:
        remote: The file.
        folder: Target folder; created if absent.
        origin: What replaces the published address: a mirror (the file's address or, with ``/`` at its end, that of
            its folder), or a local file or its folder. A local file is checked and stays where it is.
        check: Further check of the file, made before its hash is recorded.
        retry_policy: Timeouts and retries; None for the default ones.

    Raises:
        DownloadError: If the download fails; another attempt resumes.
        InvalidValueError: If what was found is not the expected file.
        MissingFileError: If ``origin`` is a local path without the file.
        OSError: If the disk has no room, or another process is fetching into the folder.
    """
    target = Path(folder) / remote.file
    local = local_file(remote, origin)
    if local is None and target.is_file():
        local = target
    try:
        if local is not None:
            _check(remote, local, target, check)
            return local
        # The suffix stays last: `check` may depend on it.
        part = target.with_name(f".{target.stem}.part{target.suffix}")
        with _lock(target.parent):
            download(_address(remote, origin), part, remote.size, retry_policy)
            _check_or_delete(remote, part, target, check)
            part.replace(target)
            delete_part(part)
    except (InvalidValueError, DownloadError) as error:
        fixes = [error.fix, f"by hand: get {remote.file} from {remote.page} and give it with --from FILE"]
        raise type(error)(error.key, error.expected, error.got, "; ".join(filter(None, fixes))) from error
    return target


def local_file(remote: RemoteFile, origin: str | None) -> Path | None:
    """The local file that an origin refers to; None for the published address or a mirror.

    Raises:
        MissingFileError: If there is no such file.
    """
    if origin is None or origin.startswith(("http://", "https://")):
        return None
    path = Path(origin).expanduser()
    path = path / remote.file if path.is_dir() else path
    if not path.is_file():
        raise MissingFileError(str(path), f"{remote.file}, its folder, or an http(s) address", "no such file")
    return path


def _address(remote: RemoteFile, origin: str | None) -> str:
    if origin is None:
        return remote.url
    return origin + remote.file if origin.endswith("/") else origin


def _check_or_delete(remote: RemoteFile, part: Path, target: Path, check: Check | None) -> None:
    try:
        _check(remote, part, target, check)
    except ValueError:
        delete_part(part)  # nothing worth resuming
        raise


def _check(remote: RemoteFile, path: Path, target: Path, check: Check | None) -> None:
    with path.open("rb") as file:
        if looks_like_web_page(file.read(64)):
            raise InvalidValueError(str(path), remote.file, "a web page")
    found, recorded = hash_file(path), recorded_hash(target)
    expected = remote.sha256 or recorded
    if expected not in (None, found):
        whose = "published" if remote.sha256 else f"recorded in {target.with_name(CHECKSUMS)}"
        fix = "it is another file or damaged" + ("; delete or rename it" if path == target else "")
        raise InvalidValueError(str(path), f"the SHA-256 {expected} ({whose})", found, fix)
    if check is not None:
        check(path)
    if expected is None:
        record_hash(target, found)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Create the folder, and keep other processes from fetching into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"{folder}: another process is fetching into it; wait for it, or stop it") from None
        yield
