"""Sequences of OTB2015 as videos with the patch of the SkeleVision paper, for evaluations from Python."""

from __future__ import annotations

from typing import Any

from armory_skelevision.datasets.frame_source import load_frames, open_images
from armory_skelevision.datasets.layouts import ImageSequence
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.video import Video


class _Overlaid(Video):
    """A video whose patch lies on no screen that has a shade."""

    @property
    def patch_metadata(self) -> dict[str, Any]:
        """See `Video.patch_metadata`."""
        return {**super().patch_metadata, "shading": False}


def load_overlaid(sequence: ImageSequence, max_frames: int | None = None) -> Video:
    """The first frames of a sequence, with the place for the patch; see `otb_patch.place_patch`.

    Args:
        sequence: From `otb_sequences.find_sequences`.
        max_frames: How many frames, from the first; None for all.

    Raises:
        InvalidValueError: If an image cannot be read, or there are more pixels than `frame_source.MAX_PIXELS`.
    """
    images = sequence.images[:max_frames]
    frames = load_frames(open_images(sequence.name, images, sequence.frame_rate))
    boxes_xyxy = sequence.boxes_xyxy[: len(images)]
    placed = place_patch(boxes_xyxy, *frames.shape[1:3])
    return _Overlaid(
        frames,
        boxes_xyxy,
        sequence.name,
        sequence.frame_rate,
        gs_coords=placed["gs_coords"],
        masks=placed["masks"][..., 0],
    )
