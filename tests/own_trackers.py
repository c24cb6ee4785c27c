"""Trackers as their authors write them, behind the method names of several toolkits, whose answers are known."""

import numpy as np
import torch

RED = (200, 30, 40)
"""Colour of the target, RGB; nothing else in the videos has it."""


def red_video(frames=4, height=60, width=80, step=3):
    """A red square of 12 pixels that moves to the right over grey: a video (1, F, H, W, 3) and its boxes (F, 4)."""
    images = np.tile(np.linspace(90, 160, width), (frames, height, 1))[..., None].repeat(3, axis=-1).round()
    corners = np.array([[20 + step * t, 25, 32 + step * t, 37] for t in range(frames)], dtype=np.float32)
    for image, (x1, y1, x2, y2) in zip(images, corners.astype(int), strict=True):
        image[y1:y2, x1:x2] = RED
    return (images / 255).astype(np.float32)[None], corners


class RedTracker:
    """Answers with the place of the red pixels; it remembers how many images it has seen."""

    def __init__(self, red_channel=0):
        self.red_channel = red_channel
        self.seen = []

    def initialize(self, image, box):
        assert image.dtype == np.uint8 and image.flags.c_contiguous and isinstance(box, list)
        self.box, self.seen = box, [image]

    def find(self, image):
        red = image[..., self.red_channel].astype(int) - image[..., 2 - self.red_channel] > 100
        self.seen.append(image)
        rows, columns = np.nonzero(red)
        if not len(rows):
            return self.box
        self.box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        return self.box

    def track(self, image):
        return self.find(image)


class ScoredTracker(RedTracker):
    def track(self, image):
        return tuple(self.find(image)), 0.5 + len(self.seen) / 100


class PySOTLike(RedTracker):
    def __init__(self):
        super().__init__(red_channel=2)

    def init(self, image, bbox):
        super().initialize(image, bbox)

    initialize = None

    def track(self, image):
        return {"bbox": self.find(image), "best_score": np.float32(0.75)}


class PytrackingLike(RedTracker):
    def initialize(self, image, info):
        super().initialize(image, info["init_bbox"])
        return {"time": 0.1}

    def track(self, image, info=None):
        return {"target_bbox": torch.tensor(self.find(image))}


class GOT10kLike(RedTracker):
    initialize = None

    def init(self, image, box):
        super().initialize(image, box)

    def update(self, image):
        return np.array(self.find(image))

    def track(self, img_files, box, visualize=False):
        raise AssertionError("this one takes files")


class OpenCVLike(RedTracker):
    """Loses its target in the third image."""

    color = "BGR"
    initialize = track = None

    def __init__(self):
        super().__init__(red_channel=2)

    def init(self, image, box):
        super().initialize(image, box)

    def update(self, image):
        box = self.find(image)
        return (False, (0, 0, 0, 0)) if len(self.seen) == 3 else (True, box)


class TensorTracker(RedTracker):
    """Moves the first box by the mean red of each frame, as tensors; its gradient is known."""

    def track(self, image):
        shift = image[..., 0].astype(np.float32).mean() / 255
        return [self.box[0] + shift, self.box[1], *self.box[2:]]

    def track_tensor(self, frames, box_xywh):
        self.given = frames
        shift = frames[:, 0].mean(dim=(1, 2)) / 255
        moved = box_xywh.repeat(len(frames), 1) + shift[:, None] * torch.tensor([1.0, 0, 0, 0])
        return torch.cat([box_xywh[None], moved[1:]])


class Uncopied(RedTracker):
    """Python cannot copy it."""

    def __deepcopy__(self, memo):
        raise TypeError("cannot be copied")


def make(kind="RedTracker", **kwargs):
    return globals()[kind](**kwargs)


NOT_CALLABLE = 3
