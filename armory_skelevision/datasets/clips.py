"""Short clips, each of one person, straight from where they lie: nothing is prepared or stored.

Every batch is ``x`` (1, F, H, W, 3), RGB, float32 in [0, 1], and labels ``([{"boxes", "keypoints", "areas"}], {})``:
boxes (F, 4) xyxy in pixels, keypoints (17, 3) and area (1,) of frame 0. A single picture is a clip of one frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# Share of a person's box that the person fills, as COCO's own persons do on average; for OKS where no area is known.
FILLED = 0.53


class Clip(NamedTuple):
    """One person in one or more frames.

    Attributes:
        read: Gives the frames, (F, H, W, 3) uint8 RGB.
        boxes_xyxy: (F, 4) float32, pixel edges.
        keypoints: (17, 3) float32 in frame 0: x, y, visibility (0 not labelled, 1 hidden, 2 visible), COCO's order.
        area: Of the person in frame 0, square pixels; None takes 0.53 of the box.
    """

    read: Callable[[], NDArray[np.uint8]]
    boxes_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    area: float | None = None


def choose_clips(clips: Sequence[Clip], split: str, index: list[int] | str | None) -> list[Clip]:
    """The clips that a split expression such as ``dev[2:5]`` or ``dev[3]``, and ARMORY's ``index``, leave.

    Args:
        clips: All of the split.
        split: Its name, with a slice or a number in brackets, or without.
        index: Numbers, a slice as text (``[2:5]``), or None for all; of the clips that the split leaves.

    Raises:
        ValueError: For what is no slice, or leaves nothing.
    """
    chosen = _slice(list(clips), split.strip()[len(re.match(r"\w*", split.strip()).group()) :], "split")  # type: ignore[union-attr]
    if isinstance(index, list):
        if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < len(chosen) for n in index):
            raise ValueError(f"index: expected whole numbers from 0 to {len(chosen) - 1}, got {index!r}")
        chosen = [chosen[number] for number in sorted(set(index))]
    elif index is not None:
        chosen = _slice(chosen, str(index), "index")
    if not chosen:
        raise ValueError(f"split {split!r} and index {index!r} leave none of {len(clips)} clips")
    return chosen


def generate_clips(clips: Sequence[Clip], epochs: int, frame_rate: float, shuffle: bool = False) -> Any:
    """ARMORY's generator over clips.

    Args:
        clips: What to show, in this order.
        epochs: Passes over them.
        frame_rate: Frames per second, for the context.
        shuffle: Another order in each pass, the same in every run.

    Returns:
        An ``ArmoryDataGenerator``.
    """
    from armory.data import datasets

    context = datasets.VideoContext(x_shape=(None, None, None, 3), frame_rate=frame_rate)
    batches = _batches(clips, epochs, shuffle)
    return datasets.ArmoryDataGenerator(batches, size=len(clips), epochs=epochs, batch_size=1, context=context)


def _batches(clips: Sequence[Clip], epochs: int, shuffle: bool) -> Iterator[tuple[NDArray[np.float32], Any]]:
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for number in rng.permutation(len(clips)) if shuffle else range(len(clips)):
            clip = clips[number]
            width, height = clip.boxes_xyxy[0, 2:] - clip.boxes_xyxy[0, :2]
            area = clip.area if clip.area is not None else FILLED * width * height
            label = {"boxes": clip.boxes_xyxy, "keypoints": clip.keypoints, "areas": np.array([area], np.float32)}
            yield clip.read()[None].astype(np.float32) / np.float32(255), ([label], {})


def _slice(clips: list[Clip], text: str, name: str) -> list[Clip]:
    if not text:
        return clips
    found = re.fullmatch(r"\[(?:(\d*):(\d*)|(\d+))\]", text)
    if found is None:
        raise ValueError(f"{name}: expected a slice such as [2:5] or [3], got {text!r}")
    first, last, one = found.groups()
    if one is not None:
        return clips[int(one) : int(one) + 1]
    return clips[int(first or 0) : int(last) if last else None]
