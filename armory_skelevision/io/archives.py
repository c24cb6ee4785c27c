"""Zip archives: integrity checks, and atomic extraction of some members."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from tqdm import tqdm

from armory_skelevision.validation import InvalidValueError


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
        InvalidValueError: If the archive is damaged, lacks a member, or has members that would be written elsewhere.
        OSError: If the disk has no room.
    """
    missing = [name for name in wanted if not (folder / name).exists()]
    with _open(archive) as opened:
        members = {name: _find(opened, archive, name) for name in missing}
        check_room(folder, sum(info.file_size for found in members.values() for info in found.values()))
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
        raise OSError(f"{folder}: needs {needed / 1e9:.1f} GB of disk space, {free / 1e9:.1f} GB are free")


def _find(opened: ZipFile, archive: Path, wanted: str) -> dict[PurePosixPath, ZipInfo]:
    """The files that a wanted name refers to, by their path in the target folder."""
    found: dict[PurePosixPath, ZipInfo] = {}
    for info in opened.infolist():
        path = _check_member(info, archive)
        inside = f"/{path}/".find(f"/{wanted}/")
        if inside >= 0 and not info.is_dir() and path.parts[0] != "__MACOSX":
            found[PurePosixPath(str(path)[inside:])] = info
    if not found:
        tops = sorted({info.filename.split("/")[0] for info in opened.infolist()})
        raise InvalidValueError(str(archive), f"a member {wanted}", f"only {', '.join(tops[:8])}")
    return found


def _check_member(info: ZipInfo, archive: Path) -> PurePosixPath:
    path = PurePosixPath(info.filename)
    escapes = path.is_absolute() or ".." in path.parts or "\\" in info.filename
    if escapes or stat.S_ISLNK(info.external_attr >> 16):
        raise InvalidValueError(str(archive), "files inside of the folder and no links", f"member {info.filename!r}")
    return path


def _extract(opened: ZipFile, members: dict[PurePosixPath, ZipInfo], folder: Path, name: str) -> None:
    for path, info in tqdm(members.items(), desc=name, unit=" files", disable=None, leave=False):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file)  # zipfile compares the checksum at the end


@contextmanager
def _open(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as opened:
            yield opened
    except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise InvalidValueError(str(path), "an intact zip archive", f"a damaged one or none ({error})") from error
