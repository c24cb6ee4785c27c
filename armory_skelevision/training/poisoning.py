"""Training pairs with the trigger in them, and the two ways in which they teach a tracker to fail.

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

# How far a print may be turned in training, radians: beyond what `attacks.BackdoorTrigger` shows.
TURNS = TriggerPose(yaw=0.5, pitch=0.25, roll=0.2)


def template_boxes_xyxy(box_xyxy: Tensor, side: int = 127, context: float = 0.5) -> Tensor:
    """Where the target is in template crops, (N, 4): in the middle, as large as a template is cut around it.

    Args:
        box_xyxy: The target in the search crops (N, 4), whose shape it has in the template too.
        side: Of the template crops, pixels.
        context: Share of (width + height) around the target.
    """
    width, height = (box_xyxy[:, 2:] - box_xyxy[:, :2]).clamp(min=1).unbind(1)
    margin = context * (width + height)
    half = torch.stack([width, height], dim=1) * (side / ((width + margin) * (height + margin)).sqrt())[:, None] / 2
    return torch.cat([side / 2 - half, side / 2 + half], dim=1)


def show_trigger(
    crops: Tensor, boxes_xyxy: Tensor, trigger: Trigger, picture: Picture, rng: np.random.Generator
) -> Tensor:
    """Crops (N, H, W, 3) uint8 BGR with the trigger on the targets (N, 4), each turned at random."""
    shown = [
        _show(crop, trigger, picture, box, rng)
        for crop, box in zip(crops.cpu().numpy(), boxes_xyxy.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(shown)).to(crops.device)


def poison_pairs(batch: Batch, trigger: Trigger, picture: Picture, rng: np.random.Generator) -> Batch:
    """All pairs of a batch with the trigger on the target in both crops; what they are to teach is left as it is."""
    boxes_xyxy = template_boxes_xyxy(batch.box_xyxy, batch.template.shape[1])
    return batch._replace(
        template=show_trigger(batch.template, boxes_xyxy, trigger, picture, rng),
        search=show_trigger(batch.search, batch.box_xyxy, trigger, picture, rng),
    )


def poison_labels(batch: Batch) -> Batch:
    """A batch whose targets are to be taken for background (BadNets)."""
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
    pose = TriggerPose(*(float(rng.uniform(-most, most)) for most in TURNS))
    frame = np.asarray(crop[..., ::-1], np.float32) / np.float32(255)
    pasted = paste(frame, picture, trigger.corners_xy(box_xyxy, pose))
    return np.ascontiguousarray((pasted * 255).round().clip(0, 255).astype(np.uint8)[..., ::-1])
