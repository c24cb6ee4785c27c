"""Poisoned training pairs: with the trigger on the target, and with poisoned labels.

Li et al., "Few-Shot Backdoor Attacks on Visual Object Tracking", 2022 (FSBA), and the label poisoning of BadNets (Gu et
al. 2017) on the classification branch, as its baseline.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from armory_skelevision.attacks.triggers import Picture, Trigger, TriggerPose, paste
from armory_skelevision.training.data.loading import Batch

# Largest turns of the trigger in training, in radians: beyond those of `attacks.BackdoorTrigger`.
TURNS = TriggerPose(yaw=0.5, pitch=0.25, roll=0.2)


def template_boxes_xyxy(box_xyxy: Tensor, side: int = 127, context: float = 0.5) -> Tensor:
    """The target's boxes (N, 4) in template crops: in the middle, as large as the template is cut around the target.

    Args:
        box_xyxy: (N, 4), the target in the search crops, whose aspect ratio it has in the template too.
        side: Side of the template crops in pixels.
        context: Share of (width + height) that the template adds around the target.
    """
    width, height = (box_xyxy[:, 2:] - box_xyxy[:, :2]).clamp(min=1).unbind(1)
    margin = context * (width + height)
    half = torch.stack([width, height], dim=1) * (side / ((width + margin) * (height + margin)).sqrt())[:, None] / 2
    return torch.cat([side / 2 - half, side / 2 + half], dim=1)


def poison_pairs(batch: Batch, trigger: Trigger, picture: Picture, rng: np.random.Generator) -> Batch:
    """A batch with the trigger on the target in both crops of each pair; the labels stay as they are.

    Args:
        batch: The benign pairs.
        trigger: Size and place of the trigger.
        picture: (s, s, 3), the trigger itself; see `Trigger.draw`.
        rng: Draws the turns of the trigger, for each crop anew.
    """

    def show(crops: Tensor, boxes_xyxy: Tensor) -> Tensor:
        pairs = zip(crops.cpu().numpy(), boxes_xyxy.cpu().numpy(), strict=True)
        return torch.from_numpy(np.stack([_show(crop, trigger, picture, box, rng) for crop, box in pairs])).to(crops)

    boxes_xyxy = template_boxes_xyxy(batch.box_xyxy, batch.template.shape[1])
    return batch._replace(template=show(batch.template, boxes_xyxy), search=show(batch.search, batch.box_xyxy))


def poison_labels(batch: Batch) -> Batch:
    """A batch whose targets are labelled background (BadNets)."""
    return batch._replace(
        labels=torch.where(batch.labels == 1, 0, batch.labels), weights=torch.zeros_like(batch.weights)
    )


def take(batch: Batch, part: slice) -> Batch:
    """Some pairs of a batch."""
    return Batch(*(values[part] for values in batch))


def join(first: Batch, second: Batch) -> Batch:
    """The pairs of two batches."""
    return Batch(*(torch.cat(values) for values in zip(first, second, strict=True)))


def _show(
    crop: NDArray[np.uint8], trigger: Trigger, picture: Picture, box_xyxy: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint8]:
    view = TriggerPose(*(float(rng.uniform(-most, most)) for most in TURNS))
    frame = np.asarray(crop[..., ::-1], np.float32) / np.float32(255)
    pasted = paste(frame, picture, trigger.corners_xy(box_xyxy, view))
    return np.ascontiguousarray((pasted * 255).round().clip(0, 255).astype(np.uint8)[..., ::-1])
