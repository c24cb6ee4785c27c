"""Fetches data sets of real images, and unpacks them as their publishers lay them out.

All functions return the paths of what they unpacked. They raise `InvalidValueError` for an unknown name, and for an
archive that is damaged, or differs from the published one or the one fetched first; `OSError` if an archive cannot be
fetched. They take:

Args:
    out: Output folder, for the archives too.
    origin: A mirror, or a local folder with the archives (of LaSOT also the archive); None for the published addresses.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from armory_skelevision.datasets.lasot import SEQUENCES
from armory_skelevision.datasets.otb_names import OTHER_FOLDERS, PERSON_FOLDERS
from armory_skelevision.datasets.published import COCO_ANNOTATIONS, COCO_IMAGES, LASOT_PERSON, otb_archive
from armory_skelevision.io import printable
from armory_skelevision.io.archives import check_archive, unpack
from armory_skelevision.io.fetch import RemoteFile, fetch_file, forget_hash, recorded_hash
from armory_skelevision.validation import InvalidValueError


def fetch_coco(out: Path, splits: Sequence[str], origin: str | None = None) -> list[Path]:
    """Fetch COCO 2017: ``annotations/person_keypoints_<split>2017.json`` and the images ``<split>2017/``.

    Args:
        splits: "train", "val" or both.
    """
    _check_names("splits", splits, COCO_IMAGES)
    wanted = {COCO_ANNOTATIONS: [f"annotations/person_keypoints_{split}2017.json" for split in splits]}
    wanted |= {COCO_IMAGES[split]: [f"{split}2017"] for split in splits}
    return _fetch(wanted, out, out, origin)


def fetch_lasot(out: Path, origin: str | None = None) -> list[Path]:
    """Fetch LaSOT's 20 person sequences, ``person/person-1/`` to ``person/person-20/``."""
    return _fetch({LASOT_PERSON: list(SEQUENCES)}, out, out / "person", origin)


def fetch_otb(out: Path, names: Sequence[str] = (), origin: str | None = None) -> list[Path]:
    """Fetch sequences of OTB2015, in the layout that the data set `otb_person` reads.

    Args:
        names: Folders such as "Crossing"; empty for all that the SkeleVision paper counts as persons.
    """
    _check_names("names", names, sorted(PERSON_FOLDERS), OTHER_FOLDERS)
    wanted = {otb_archive(name): [name] for name in names or sorted(PERSON_FOLDERS)}
    return _fetch(wanted, out, out, origin)


def _check_names(key: str, given: Sequence[str], named: Collection[str], unnamed: Collection[str] = ()) -> None:
    """Refuse unknown names; the message lists only those in ``named``."""
    unknown = sorted(set(given) - set(named) - set(unnamed))
    if unknown:
        raise InvalidValueError(key, f"some of {', '.join(named)}", ", ".join(unknown))


def _fetch(wanted: dict[RemoteFile, list[str]], archives: Path, folder: Path, origin: str | None) -> list[Path]:
    """Fetch archives into one folder and unpack them into another: names of members by archive."""
    one_file = origin is not None and not origin.endswith("/") and not Path(origin).expanduser().is_dir()
    if one_file and len(wanted) > 1:
        files = ", ".join(remote.file for remote in list(wanted)[:4])
        fix = "an address of a folder ends with /"
        raise InvalidValueError("--from", f"the folder of {files}…", f"one file, {origin}", fix)
    paths = []
    for remote, names in wanted.items():
        # An archive that has been unpacked is not needed again.
        there = [_is_there(folder / name) for name in names]
        if not all(there):
            _unpack(remote, archives, folder, names, origin)
        paths += [folder / name for name in names]
    return paths


def _unpack(remote: RemoteFile, archives: Path, folder: Path, names: list[str], origin: str | None) -> None:
    """Fetch an archive and unpack it; the hash of one that cannot be unpacked is not what later ones must have."""
    is_known = recorded_hash(archives / remote.file) is not None
    archive = fetch_file(remote, archives, origin, check_archive)
    try:
        unpack(archive, folder, names)
    except InvalidValueError:
        if not is_known:
            forget_hash(archives / remote.file)
        raise


def _is_there(path: Path) -> bool:
    """Whether a folder or a JSON file was unpacked before; something else of its name is refused."""
    if path.exists() and path.is_file() != (path.suffix == ".json"):
        kinds = ("a file", "a folder") if path.suffix == ".json" else ("a folder", "a file")
        raise InvalidValueError(printable(path), *kinds, "delete or rename it")
    if path.is_dir() and not any(inside.is_file() for inside in path.rglob("*")):
        raise InvalidValueError(printable(path), "a folder with files", "an empty one", "delete or rename it")
    return path.exists()
