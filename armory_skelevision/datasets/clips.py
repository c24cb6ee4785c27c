"""Short clips, each of one person, read directly from the source: nothing is prepared or stored.

Every batch is ``x`` (1, F, H, W, 3), RGB, float32 in [0, 1], and labels ``([{"boxes", "keypoints", "areas"}], {})``:
boxes (F, 4) xyxy in pixels, keypoints (17, 3) and area (1,) of frame 0. A single image is a clip of one frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FILL_RATIO = 0.53  # of its box that a person of COCO fills on average; for OKS where no area is known


class Clip(NamedTuple):
    """One person in one or more frames.

    Attributes:
        read: Returns the frames, (F, H, W, 3) uint8 RGB.
        boxes_xyxy: (F, 4) float32, pixel edges.
        keypoints: (17, 3) float32 in frame 0: x, y, v (0 not labelled, 1 occluded, 2 visible), in COCO's order.
        area: Area of the person in frame 0, square pixels; None takes 0.53 of the box.
    """

    read: Callable[[], NDArray[np.uint8]]
    boxes_xyxy: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    area: float | None = None


def generate_clips(clips: Sequence[Clip], epochs: int, frame_rate: float, shuffle: bool = False) -> Any:
    """ARMORY's generator over clips, in this order or, with ``shuffle``, another random one in each of the epochs.

    Random orders are the same in every run. The frame rate is in frames per second.
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
            area = clip.area if clip.area is not None else FILL_RATIO * width * height
            label = {"boxes": clip.boxes_xyxy, "keypoints": clip.keypoints, "areas": np.array([area], np.float32)}
            yield clip.read()[None].astype(np.float32) / np.float32(255), ([label], {})
