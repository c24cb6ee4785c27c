"""Videos as seven benchmarks store them: one reader for each, which says what the benchmark does with absent targets.

A reader's ``find`` lists the sequences in a folder by name, and reads no more than it must; what it returns reads one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from armory_skelevision.datasets.layouts import davis, got10k, lasot, otb, trackingnet, uav123, vot
from armory_skelevision.datasets.layouts.sequence import ImageSequence, Readers, check_links
from armory_skelevision.io import printable
from armory_skelevision.validation import InvalidValueError, MissingFileError, suggest

Layout = Literal["otb", "got10k", "lasot", "uav123", "trackingnet", "vot", "davis"]

LAYOUTS: dict[str, Callable[[Path], Readers]] = {
    "otb": otb.find,
    "got10k": got10k.find,
    "lasot": lasot.find,
    "uav123": uav123.find,
    "trackingnet": trackingnet.find,
    "vot": vot.find,
    "davis": davis.find,
}

__all__ = ["LAYOUTS", "ImageSequence", "Layout", "find_sequences", "read_sequence", "recognise"]


def find_sequences(root: Path, layout: Layout) -> Readers:
    """The sequences in a folder, by name in ascending order.

    Raises:
        MissingFileError: If there are none.
        InvalidValueError: If a file that must be read to know them is wrong.
    """
    readers = LAYOUTS[layout](root)
    if not readers:
        expected = f"sequences in the layout {layout!r}"
        raise MissingFileError(printable(root), expected, "none", f"{layout!r} is described in docs/evaluate.md")
    return dict(sorted(readers.items()))


def read_sequence(root: Path, layout: Layout, name: str, readers: Readers | None = None) -> ImageSequence:
    """Read the boxes of a sequence, and list its images, which have to lie in ``root``.

    Args:
        root: Folder of the data set.
        layout: How it is laid out.
        name: The sequence.
        readers: What `find_sequences` found there, if that is known.

    Raises:
        MissingFileError: If there is no such sequence, or a file of it is missing.
        InvalidValueError: If a file is wrong, or outside of ``root``.
    """
    known = find_sequences(root, layout) if readers is None else readers
    if name not in known:
        raise MissingFileError(printable(root), f"the sequence {name}", "none", suggest(name, list(known)))
    sequence = known[name]()
    check_links(sequence, root)
    return sequence


def recognise(folder: Path) -> Layout | None:
    """The layout of the folder of one sequence, by its files; None where there is no file of true boxes.

    The sequences of UAV123, TrackingNet and DAVIS are no folders that could be recognised.

    Raises:
        InvalidValueError: If the files are those of several layouts.
    """
    if otb.groundtruth_files(folder):
        return "otb"
    if not os.path.exists(folder / "groundtruth.txt"):
        return None
    marks: dict[Layout, tuple[str, ...]] = {
        "got10k": ("absence.label", "cover.label", "meta_info.ini"),
        "lasot": lasot.FLAGS,
        "vot": ("color", "sequence"),
    }
    found = [layout for layout, files in marks.items() if any(os.path.exists(folder / file) for file in files)]
    if len(found) != 1:
        got = f"groundtruth.txt with marks of {' and '.join(found) or 'none'}"
        fix = 'give the layout: "got10k", "lasot" or "vot"'
        raise InvalidValueError(printable(folder), "a sequence of one known layout", got, fix)
    return found[0]
