"""Zip archives: integrity checks, and atomic extraction of some members.

An archive may come from anywhere. Before anything is written, its list of members is checked: what would lie outside of
the folder, twice in one place, under a file, or unpack to far more than its size is refused, as are links and members
with a password. Windows' backslashes are read as slashes.
"""

from __future__ import annotations

import errno
import lzma
import os
import shutil
import stat
import struct
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from armory_skelevision.io.progress import progress
from armory_skelevision.io.reading import printable
from armory_skelevision.validation import InvalidValueError, MissingFileError

MAX_RATIO, MAX_SMALL = 20, 100 * 2**20
"""Members may unpack to this many times the archive's size, or to this many bytes if that is more; images of JPEG and
PNG unpack to their own size, annotations in JSON to some times theirs."""
MAX_MEMBERS = 1_000_000
MAX_NAME, MAX_PATH = 200, 1000
"""Bytes in a name of a folder or file, and in its whole path."""

_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGED = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, struct.error, ValueError, OverflowError)


def check_archive(path: Path) -> None:
    """Refuse a file that is not a complete zip archive, by the list of members at its end (`InvalidValueError`)."""
    with _open(path):
        pass


def unpack(archive: Path, folder: Path, wanted: Sequence[str]) -> list[Path]:
    """Extract members of an archive into a folder. They get their names only when they are complete.

    Args:
        archive: The zip archive.
        folder: Target folder; created if absent.
        wanted: Files or folders, such as ``annotations/person_keypoints_val2017.json`` or ``Crossing``, at any depth
            of the archive. Their paths in ``folder`` are as given here; existing ones are left alone.

    Returns:
        The paths of everything wanted.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If the archive is damaged, lacks a member, or has members that would be written elsewhere,
            cannot be written or have a password; or if the members are larger than `MAX_RATIO` and `MAX_SMALL` allow.
        OSError: If the disk has no room.
    """
    missing = [name for name in wanted if not (folder / name).exists()]
    with _open(archive) as opened:
        paths = _read_paths(opened, archive)
        members = {name: _find(paths, archive, name) for name in missing}
        total = sum(info.file_size for found in members.values() for info in found.values())
        _check_total(archive, total)
        check_room(folder, total)
        for name, found in members.items():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary:
                _extract(opened, found, Path(temporary), name)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(temporary) / name).rename(folder / name)
    return [folder / name for name in wanted]


def check_room(folder: Path, needed: int) -> None:
    """Create a folder, and check that its disk has room for a number of bytes (`OSError`)."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"needs {needed / 1e9:.1f} GB of disk space, {free / 1e9:.1f} GB are free"
        raise OSError(errno.ENOSPC, message, printable(folder))


def _read_paths(opened: ZipFile, archive: Path) -> list[tuple[PurePosixPath, ZipInfo]]:
    """The path of each member that is a file, with slashes."""
    members = opened.infolist()
    if len(members) > MAX_MEMBERS:
        raise InvalidValueError(printable(archive), f"at most {MAX_MEMBERS:,} members", f"{len(members):,}")
    checked = [(_check_member(info, archive), info) for info in members]
    return [(path, info) for path, info in checked if not info.filename.endswith(("/", "\\"))]


def _check_member(info: ZipInfo, archive: Path) -> PurePosixPath:
    name = info.filename.replace("\\", "/")
    path = PurePosixPath(name)
    kind = stat.S_IFMT(info.external_attr >> 16)
    escapes = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive or "\0" in info.orig_filename
    if escapes or kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        expected = "files inside of the folder, no links and no devices"
        raise InvalidValueError(printable(archive), expected, f"member {info.orig_filename!r:.200}")
    lengths = [len(os.fsencode(part)) for part in path.parts]
    if not lengths or max(lengths) > MAX_NAME or sum(lengths) + len(lengths) > MAX_PATH:
        expected = f"names of 1 to {MAX_NAME} bytes, in paths of at most {MAX_PATH}"
        raise InvalidValueError(printable(archive), expected, f"member {info.orig_filename!r:.200}")
    return path


def _find(paths: Sequence[tuple[PurePosixPath, ZipInfo]], archive: Path, wanted: str) -> dict[PurePosixPath, ZipInfo]:
    """The files that a wanted name refers to, by their path in the target folder."""
    found: dict[PurePosixPath, ZipInfo] = {}
    for path, info in paths:
        # the innermost of folders of one name that lie in each other
        inside = f"/{path}/".rfind(f"/{wanted}/")
        if inside < 0 or path.parts[0] == "__MACOSX":
            continue
        target = PurePosixPath(str(path)[inside:])
        if found.setdefault(target, info) is not info:
            raise InvalidValueError(printable(archive), "another place for each member", f"two for {str(target)!r}")
        if info.flag_bits & _ENCRYPTED:
            fix = "unpack it with its password, and pack it again without"
            raise InvalidValueError(printable(archive), "members without a password", f"{str(path)!r} with one", fix)
    if not found:
        tops = sorted({path.parts[0] for path, _ in paths})
        raise InvalidValueError(printable(archive), f"a member {wanted}", f"only {', '.join(map(printable, tops[:8]))}")
    _check_places(found, archive)
    return found


def _check_places(found: Mapping[PurePosixPath, ZipInfo], archive: Path) -> None:
    """Refuse files in the place of folders, and names that are one where letters have no case."""
    folders = {parent for path in found for parent in path.parents}
    clashes = [path for path in found if path in folders]
    lower: dict[str, PurePosixPath] = {}
    clashes += [path for path in found if lower.setdefault(str(path).casefold(), path) != path]
    if clashes:
        got = f"two for {str(clashes[0])!r}"
        raise InvalidValueError(printable(archive), "another place for each file and folder", got)


def _check_total(archive: Path, total: int) -> None:
    limit = max(MAX_SMALL, MAX_RATIO * archive.stat().st_size)
    if total > limit:
        fix = "unpack it by hand if that is right"
        raise InvalidValueError(printable(archive), f"members of at most {limit:,} bytes", f"{total:,} bytes", fix)


def _extract(opened: ZipFile, members: Mapping[PurePosixPath, ZipInfo], folder: Path, name: str) -> None:
    for path, info in progress(members.items(), name, unit=" files"):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as packed, target.open("xb") as file:
            try:
                shutil.copyfileobj(packed, file)  # zipfile reads as many bytes as stated, and compares the checksum
            except OSError as error:
                if error.errno is None:
                    raise
                raise OSError(error.errno, error.strerror, f"{printable(folder.parent / path)}") from None


@contextmanager
def _open(path: Path) -> Iterator[ZipFile]:
    if not path.is_file():
        raise MissingFileError(printable(path), "a zip archive", "no such file")
    try:
        with ZipFile(path) as opened:
            yield opened
    except InvalidValueError:
        raise
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk: bzip2 has no errno, and offsets beyond the file are invalid
        got = f"a damaged one or none ({error})"
        raise InvalidValueError(printable(path), "an intact zip archive", got) from error
