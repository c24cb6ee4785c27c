"""Which of the sequences in a folder `otb_person` takes: those of persons, and all that are no part of OTB2015."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from armory_skelevision.datasets.layouts import ImageSequence
from armory_skelevision.datasets.layouts.otb import groundtruth_files, read_folder
from armory_skelevision.datasets.numbers import duplicates
from armory_skelevision.datasets.otb_names import OTHER_FOLDERS
from armory_skelevision.io import list_folder, printable
from armory_skelevision.validation import InvalidValueError, MissingFileError


def find_sequences(root: Path, names: Collection[str] | None = None) -> list[ImageSequence]:
    """Read all sequences in the folders under ``root``, sorted by name. Images are listed, not read.

    Args:
        names: Folders (``Jogging``) or sequences (``Jogging-2``) to take. None takes all except those of OTB2015 that
            are not in the paper's OTB2015-Person.

    Raises:
        MissingFileError: If there is no sequence, or a named one is missing.
        InvalidValueError: If a sequence's images and ground truth do not match, two sequences would have one name, or a
            line is not a box; the key is the file and its line.
    """
    folders = {folder.name: folder for folder in list_folder(root) if folder.is_dir()}
    found = [name for name, folder in folders.items() if (folder / "img").is_dir() or groundtruth_files(folder)]
    wanted = set(found) - OTHER_FOLDERS if names is None else set(names)
    opened = wanted | {re.sub(r"-\d+$", "", name) for name in wanted}
    read = [(name, sequence) for name in found if name in opened for sequence in read_folder(folders[name])]
    sequences = [sequence for name, sequence in read if name in wanted or sequence.name in wanted]
    missing = sorted(wanted - {name for name, _ in read} - {sequence.name for sequence in sequences})
    if missing:
        got = f"only {', '.join(map(printable, found)) or 'none'}"
        raise MissingFileError(printable(root), f"the sequences {', '.join(missing)}", got)
    if not sequences:
        expected = "person sequences: folders <name>/ with img/0001.jpg, … and groundtruth_rect.txt"
        raise MissingFileError(printable(root), expected, "none")
    if twice := duplicates([sequence.name for sequence in sequences]):
        raise InvalidValueError(printable(root), "one sequence of each name", f"several called {', '.join(twice)}")
    return sequences
