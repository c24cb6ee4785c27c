"""Data sets of real images, fetched and unpacked as their publishers lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from armory_skelevision.datasets.published import (
    COCO_ANNOTATIONS,
    COCO_IMAGES,
    LASOT_PERSON,
    LASOT_SEQUENCES,
    otb_source,
)
from armory_skelevision.io.archives import check_archive, unpack
from armory_skelevision.io.download import RetryPolicy
from armory_skelevision.io.obtain import obtain
from armory_skelevision.io.source import Source


def fetch_coco(out: Path, splits: Sequence[str], origin: str | None = None) -> list[Path]:
    """COCO 2017: ``annotations/person_keypoints_<split>2017.json`` and the images ``<split>2017/``.

    Args:
        out: The folder, for the archives too.
        splits: "train", "val" or both.
        origin: A mirror, or a local folder with the archives; None for the published addresses.

    Returns:
        The paths of annotations and images.

    Raises:
        OSError: If something cannot be had.
        ValueError: For another split, or archives that are not those published.
    """
    unknown = sorted(set(splits) - set(COCO_IMAGES))
    if unknown:
        raise ValueError(f"COCO has no split {', '.join(unknown)} with keypoints; expected {' or '.join(COCO_IMAGES)}")
    wanted = {COCO_ANNOTATIONS: [f"annotations/person_keypoints_{split}2017.json" for split in splits]}
    wanted |= {COCO_IMAGES[split]: [f"{split}2017"] for split in splits}
    return _fetch(wanted, out, out, origin)


def fetch_lasot(out: Path, origin: str | None = None) -> list[Path]:
    """LaSOT's 20 sequences of persons, ``person/person-1/`` to ``person/person-20/``, each with ``img/``.

    Args:
        out: The folder, for the archive too.
        origin: A mirror, or the local archive or its folder; None for the published address.

    Returns:
        The sequences' folders.

    Raises:
        OSError: If the archive cannot be had.
        ValueError: If it is not the one that was fetched first, or damaged.
    """
    return _fetch({LASOT_PERSON: list(LASOT_SEQUENCES)}, out, out / "person", origin)


def fetch_otb(
    out: Path, names: Sequence[str] = (), origin: str | None = None, retry_policy: RetryPolicy | None = None
) -> list[Path]:
    """Folders of OTB2015, as the data set `otb_person` reads them.

    Args:
        out: The folder, for the archives too.
        names: Folders such as "Crossing"; none stands for all that the SkeleVision paper counts as persons.
        origin: A mirror, or a local folder with the archives; None for the published addresses.
        retry_policy: How long to wait for the server; None for the usual.

    Returns:
        The sequences' folders.

    Raises:
        OSError: If an archive cannot be had.
        ValueError: For an unknown name, or an archive that is not the one that was fetched first, or damaged.
    """
    from armory_skelevision.datasets.otb_names import OTHER_FOLDERS, PERSON_FOLDERS

    unknown = sorted(set(names) - PERSON_FOLDERS - OTHER_FOLDERS)
    if unknown:
        raise ValueError(f"OTB2015 has no folder {', '.join(unknown)}; those with persons are {sorted(PERSON_FOLDERS)}")
    wanted = {otb_source(name): [name] for name in names or sorted(PERSON_FOLDERS)}
    return _fetch(wanted, out, out, origin, retry_policy)


def _fetch(
    wanted: dict[Source, list[str]],
    archives: Path,
    folder: Path,
    origin: str | None,
    retry_policy: RetryPolicy | None = None,
) -> list[Path]:
    one_file = origin is not None and not origin.endswith("/") and not Path(origin).expanduser().is_dir()
    if one_file and len(wanted) > 1:
        files = ", ".join(source.file for source in list(wanted)[:4])
        raise ValueError(
            f"{origin} is one file, wanted are {files}…: give their folder, as an address with / at its end"
        )
    paths = []
    for source, names in wanted.items():
        # An archive that is unpacked is not needed again.
        if not all((folder / name).exists() for name in names):
            unpack(obtain(source, archives, origin, check_archive, retry_policy), folder, names)
        paths += [folder / name for name in names]
    return paths
