"""One published file into a folder, whole and checked, or an error that says what to do by hand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from armory_skelevision.io import hash_file
from armory_skelevision.io.download import BrokenDownloadError, RetryPolicy, download, forget, looks_like_page
from armory_skelevision.io.ledger import LEDGER, record_hash, recorded_hash
from armory_skelevision.io.source import Source

LOCK = ".armory_skelevision_lock"
"""Name of an empty file, locked while something is fetched into its folder."""


def obtain(
    source: Source,
    folder: str | os.PathLike[str],
    origin: str | None = None,
    check: Callable[[Path], None] | None = None,
    retry_policy: RetryPolicy | None = None,
) -> Path:
    """The path of a published file: fetched if it is not in the folder yet, and checked in any case.

    Its hash must be the published one. Where none is published, the hash of the first file that passes `check` is
    written down in the folder, and later ones must have the same.

    Args:
        source: The file.
        folder: Where it goes; made if need be.
        origin: Where from in place of the published address: a mirror (an address; with ``/`` at its end, of the folder
            with the file), or a local file or folder. A local file is checked and stays where it is.
        check: Raises a ValueError if a file is not of the kind that is wanted; called before its hash is written down.
        retry_policy: How long to wait for the server; None for the usual.

    Raises:
        OSError: If the file cannot be had, or another process is fetching it.
        ValueError: If what there is is not the file that is wanted.
    """
    target = Path(folder) / source.file
    local = local_file(source, origin)
    if local is None and target.is_file():
        local = target
    try:
        if local is not None:
            _check(source, local, target, check)
            return local
        url = _address(source, origin)
        # The suffix stays last: `check` may go by it.
        part = target.with_name(f".{target.stem}.part{target.suffix}")
        with _alone(target.parent):
            download(url, part, source.size, retry_policy)
            _check_or_forget(source, part, target, check)
            part.replace(target)
            forget(part)
    except (ValueError, BrokenDownloadError) as error:
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(f"{error}. By hand: get {source.file} from {source.page} and give it with --from FILE") from error
    return target


def local_file(source: Source, origin: str | None) -> Path | None:
    """The local file that an origin means; None for the published address or a mirror.

    Raises:
        FileNotFoundError: If there is none.
    """
    if origin is None or origin.startswith(("http://", "https://")):
        return None
    path = Path(origin).expanduser()
    path = path / source.file if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; expected {source.file}, the folder with it, or an http(s) address")
    return path


def _address(source: Source, origin: str | None) -> str:
    if origin is None:
        return source.url
    return origin + source.file if origin.endswith("/") else origin


def _check_or_forget(source: Source, part: Path, target: Path, check: Callable[[Path], None] | None) -> None:
    try:
        _check(source, part, target, check)
    except ValueError:
        forget(part)  # nothing worth going on from
        raise


def _check(source: Source, path: Path, target: Path, check: Callable[[Path], None] | None) -> None:
    with path.open("rb") as file:
        if looks_like_page(file.read(64)):
            raise ValueError(f"{path} is a web page, not the file")
    found, recorded = hash_file(path), recorded_hash(target)
    expected = source.sha256 or recorded
    if expected not in (None, found):
        whose = "published" if source.sha256 else f"written down in {target.with_name(LEDGER)}"
        mend = "; delete or rename it" if path == target else ""
        raise ValueError(
            f"{path} has the SHA-256 {found}, but {whose} is {expected}: it is another file or damaged{mend}"
        )
    if check is not None:
        check(path)
    if expected is None:
        record_hash(target, found)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from fetching into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"another process is fetching into {folder}: wait for it, or stop it") from None
        yield
