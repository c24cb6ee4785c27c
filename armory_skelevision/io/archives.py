"""Zip archives: whether one is whole, and its wanted members on disk, each whole or not at all."""

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


def check_archive(path: Path) -> None:
    """Return if a file is a zip archive, not cut off: its list of members stands at its end.

    Raises:
        ValueError: If it is not.
    """
    with _open(path):
        pass


def unpack(archive: Path, folder: Path, wanted: Sequence[str]) -> list[Path]:
    """Put members of an archive into a folder. They get their names only when they are complete.

    Args:
        archive: The zip archive.
        folder: Where to; made if need be.
        wanted: Files or folders, such as ``annotations/person_keypoints_val2017.json`` or ``Crossing``, wherever in the
            archive they stand. In `folder` they get just this path; those that are there are left alone.

    Returns:
        The paths of all that was wanted.

    Raises:
        ValueError: If the archive is damaged or lacks one, or has members that would end up elsewhere.
        OSError: If the disk has no room.
    """
    missing = [name for name in wanted if not (folder / name).exists()]
    with _open(archive) as opened:
        members = {name: _find(opened, archive, name) for name in missing}
        _check_room(folder, sum(info.file_size for found in members.values() for info in found.values()))
        for name, found in members.items():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as temporary:
                _extract(opened, found, Path(temporary), name)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(temporary) / name).rename(folder / name)
    return [folder / name for name in wanted]


def _find(opened: ZipFile, archive: Path, wanted: str) -> dict[PurePosixPath, ZipInfo]:
    """The files that a wanted name stands for, by the path that each gets in the folder."""
    found: dict[PurePosixPath, ZipInfo] = {}
    for info in opened.infolist():
        path = _check_member(info, archive)
        inside = f"/{path}/".find(f"/{wanted}/")
        if inside >= 0 and not info.is_dir() and path.parts[0] != "__MACOSX":
            found[PurePosixPath(str(path)[inside:])] = info
    if not found:
        tops = sorted({info.filename.split("/")[0] for info in opened.infolist()})
        raise ValueError(f"{archive} holds no {wanted}; it holds {', '.join(tops[:8])}")
    return found


def _check_member(info: ZipInfo, archive: Path) -> PurePosixPath:
    path = PurePosixPath(info.filename)
    leaves = path.is_absolute() or ".." in path.parts or "\\" in info.filename
    if leaves or stat.S_ISLNK(info.external_attr >> 16):
        raise ValueError(f"{archive} is refused: its member {info.filename!r} leads out of the folder or is a link")
    return path


def _extract(opened: ZipFile, members: dict[PurePosixPath, ZipInfo], folder: Path, name: str) -> None:
    for path, info in tqdm(members.items(), desc=name, unit=" files", disable=None, leave=False):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as packed, target.open("xb") as file:
            shutil.copyfileobj(packed, file)  # the reader compares the checksum at the end


def _check_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder} has {free / 1e9:.1f} GB of room, unpacking needs {needed / 1e9:.1f} GB")


@contextmanager
def _open(path: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as opened:
            yield opened
    except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path} is no zip archive, or a damaged one ({error})") from error
