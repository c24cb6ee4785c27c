"""A small data set in the schema of ARMORY's CARLA videos, drawn here: a figure walks past a green screen."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 960, 1280
GREEN_SCREEN = (0x00, 0x90, 0x3A)
SCREEN_XY = np.array([[700, 300], [900, 320], [900, 560], [700, 580]], dtype=np.int64)


class CarlaVideo(NamedTuple):
    frames: NDArray[np.uint8]  # (F, 960, 1280, 3) RGB
    boxes_xyxy: NDArray[np.int64]  # (F, 4)
    gs_coords: NDArray[np.int64]  # (F, 4, 2)
    masks: NDArray[np.uint8]  # (F, 960, 1280, 3), 1 where the screen is visible


def draw_video(seed: int, frames: int) -> CarlaVideo:
    """A figure that enters the screen's front from the left, eight pixels a frame, before a street of blocks."""
    import cv2

    rng = np.random.default_rng(seed)
    street = cv2.resize(rng.integers(60, 200, (12, 16, 3), dtype=np.uint8), (WIDTH, HEIGHT))
    screen = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(screen, [SCREEN_XY.astype(np.int32)], 1)
    street[screen == 1] = GREEN_SCREEN
    video, masks, boxes = [], [], []
    for frame in range(frames):
        x1, y1 = 640 + 8 * frame, 360
        box_xyxy = (x1, y1, x1 + 60, y1 + 200)
        picture, mask = street.copy(), screen.copy()
        picture[y1 : y1 + 60, x1 : x1 + 60] = (210, 160, 130)
        picture[y1 + 60 : y1 + 130, x1 : x1 + 60] = (180, 40, 40)
        picture[y1 + 130 : y1 + 200, x1 : x1 + 60] = (40, 40, 90)
        mask[y1 : y1 + 200, x1 : x1 + 60] = 0
        video.append(picture)
        masks.append(np.repeat(mask[..., None], 3, axis=-1))
        boxes.append(box_xyxy)
    corners_xy = np.tile(SCREEN_XY, (frames, 1, 1))
    return CarlaVideo(np.stack(video), np.array(boxes, dtype=np.int64), corners_xy, np.stack(masks))


def write_carla(dataset_dir: Path, videos: int = 2, frames: int = 3, split: str = "dev") -> list[CarlaVideo]:
    """Store drawn videos as ``<dataset_dir>/carla_video_tracking_<split>/2.0.0``, and return them in order."""
    import tensorflow_datasets as tfds

    drawn = [draw_video(seed, frames) for seed in range(videos)]
    features: dict[str, Any] = {
        "video": tfds.features.Video((None, HEIGHT, WIDTH, 3), encoding_format="png"),
        "bboxes": tfds.features.Sequence(tfds.features.Tensor(shape=[4], dtype=np.int64)),
        "patch_metadata": {
            "gs_coords": tfds.features.Tensor(shape=[None, 4, 2], dtype=np.int64),
            "masks": tfds.features.Tensor(shape=[None, HEIGHT, WIDTH, 3], dtype=np.uint8),
        },
    }
    examples = [
        {
            "video": video.frames,
            "bboxes": list(video.boxes_xyxy),
            "patch_metadata": {"gs_coords": video.gs_coords, "masks": video.masks},
        }
        for video in drawn
    ]
    tfds.dataset_builders.store_as_tfds_dataset(
        name=f"carla_video_tracking_{split}",
        version="2.0.0",
        data_dir=dataset_dir,
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: list(enumerate(examples))},
        disable_shuffling=True,
    )
    return drawn
