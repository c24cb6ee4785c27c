"""Human keypoints of the template, in frame coordinates.

Convention: keypoints are (x, y, confidence) or (x, y, visibility), in pixels, measured from the left and upper edge.
"""

from __future__ import annotations

import torch
from torch import Tensor

from armory_skelevision.networks.keypoint_head import TEMPLATE_SIZE
from armory_skelevision.tracking import Window


def read_keypoints(found: Tensor, window: Window) -> Tensor:
    """The keypoints that a keypoint head finds in a template.

    Args:
        found: What it answers: logits (17, s, s), or coordinates (17, 2) in pixels of the template crop.
        window: The template's window of frame 0.

    Returns:
        (17, 3): x and y in pixels of frame 0, and confidence in [0, 1], which is 1 for a head by regression.
    """
    if found.ndim == 3:
        return _read_maps(found, window)
    corner = found.new_tensor([window.x_min, window.y_min])
    return torch.cat([corner + found * (window.side / TEMPLATE_SIZE), torch.ones_like(found[:, :1])], dim=1)


def _read_maps(logits: Tensor, window: Window) -> Tensor:
    """The most likely positions in heatmaps.

    Args:
        logits: (17, s, s), in the order of COCO's keypoints.
        window: The template's window of frame 0.

    Returns:
        (17, 3): x and y in pixels of frame 0 (centre of the most likely position), and its probability in [0, 1].
    """
    confidence, position = logits.flatten(1).softmax(dim=1).max(dim=1)
    size = logits.shape[-1]
    scale = window.side / size
    x = window.x_min + ((position % size).float() + 0.5) * scale
    y = window.y_min + ((position // size).float() + 0.5) * scale
    return torch.stack([x, y, confidence], dim=1)


def to_template(keypoints: Tensor, window: Window, size: int) -> Tensor:
    """Keypoints (..., 3) in frame pixels to pixels of the template crop of ``window``, which is ``size`` wide."""
    origin = torch.tensor([window.x_min, window.y_min], dtype=keypoints.dtype, device=keypoints.device)
    return torch.cat([(keypoints[..., :2] - origin) * (size / window.side), keypoints[..., 2:]], dim=-1)
