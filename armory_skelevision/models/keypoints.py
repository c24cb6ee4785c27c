"""Human keypoints of the template, in frame coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking.frames import Frames
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.tracker import initial_state, read_crop, template_window


def locate_keypoints(network: SiamRPN, frames: Frames, box_xyxy: Tensor, settings: TrackerSettings) -> Tensor:
    """The 17 COCO keypoints that the keypoint head sees in the template.

    Args:
        network: With a keypoint head.
        frames: The video; only frame 0 is read.
        box_xyxy: The target in frame 0, (4,).
        settings: Constants of the tracker.

    Returns:
        (17, 3): x and y in pixels of frame 0 (centre of the most likely position), and its probability in [0, 1].
    """
    window = template_window(initial_state(box_xyxy), settings)
    crop = read_crop(frames, 0, window, settings.exemplar_size)
    logits = network.keypoints(network.embed(crop))[0]
    confidence, position = logits.flatten(1).softmax(dim=1).max(dim=1)
    size = logits.shape[-1]
    scale = window.side / size
    x = window.x_min + (position % size + 0.5) * scale
    y = window.y_min + (position // size + 0.5) * scale
    return torch.stack([x, y, confidence], dim=1)
