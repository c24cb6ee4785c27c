"""Reads sequences with a box in each frame, in the layouts of benchmarks, as training data: one person for each."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import numpy as np

from armory_skelevision.boxes import has_area
from armory_skelevision.datasets import plain_sequences
from armory_skelevision.datasets.layouts import Layout, find_sequences, read_sequence
from armory_skelevision.datasets.layouts.sequence import ImageSequence
from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.io import printable
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError, suggest

AnyLayout = Literal["plain"] | Layout
"""The layouts of benchmarks, and "plain", that of `plain_sequences`."""
VideoLayout = Literal["walkers"] | AnyLayout
"""The layouts of sequences, and "walkers", a folder of rendered videos."""


def read_any_sequence(root: Path, layout: AnyLayout, name: str) -> ImageSequence:
    """A sequence in a folder; errors are those of `layouts.read_sequence`."""
    if layout == "plain":
        return read_sequence(root, "otb", name, plain_sequences.find(root))
    return read_sequence(root, layout, name)


def read_sequence_people(
    root: Path,
    layout: AnyLayout,
    name: str,
    only: Collection[str] = (),
    without: Collection[str] = (),
    every: int = 1,
) -> AnnotatedPeople:
    """Read the frames of sequences in which the target, who is taken for a person, is visible.

    Args:
        root: Folder of the data set.
        layout: How it is laid out.
        name: Name of the data set, for the store and the licence of weights; usable in file names.
        only: The sequences to take; none for all.
        without: Sequences to leave out, such as those that checkpoints are chosen by.
        every: Take each frame whose number is a multiple of this.

    Raises:
        MissingFileError: If there is no sequence, or none of a name that is given.
        InvalidValueError: If nobody is visible in any, or the data set's own files are wrong.
    """
    readers = plain_sequences.find(root) if layout == "plain" else find_sequences(root, layout)
    for given in [*only, *without]:
        if given not in readers:
            raise MissingFileError(printable(root), f"the sequence {given}", "none", suggest(given, list(readers)))
    chosen = [each for each in sorted(readers) if each not in without and (not only or each in only)]
    parts: dict[str, list[AnnotatedPerson]] = {}
    problems: list[str] = []
    for number, each in enumerate(chosen, start=1):
        try:
            # the layout has no part in it where the readers are known
            sequence = read_sequence(root, "otb", each, readers)
        except StructuredError as error:
            problems.append(f"{name} {each} is left out: {error}")
        else:
            parts[each] = _make_people(sequence, name, number, every)
    if not any(parts.values()):
        first = f", the first problem: {problems[0]}" if problems else ""
        raise InvalidValueError(printable(root), f"a visible target in {len(chosen)} sequences", f"none{first}")
    return AnnotatedPeople(name, parts, problems)


def _make_people(sequence: ImageSequence, name: str, number: int, every: int) -> list[AnnotatedPerson]:
    shown = np.flatnonzero(has_area(sequence.boxes_xyxy))
    return [
        AnnotatedPerson(
            name=f"{name} {sequence.name}, frame {frame + 1}",
            picture=sequence.images[frame],
            size=None,
            box_xyxy=sequence.boxes_xyxy[frame],
            keypoints=np.zeros((len(KEYPOINTS), 3), np.float32),
            track=number,
            frame=frame,
        )
        for frame in shown[shown % every == 0].tolist()
    ]
