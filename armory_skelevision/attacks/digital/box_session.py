"""A video that an attack rewrites while a tracker runs of which nothing is known but its boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from armory_skelevision.boxes import as_array, xywh_to_xyxy
from armory_skelevision.models import ExternalEstimator
from armory_skelevision.models.adapter import TrackerAdapter


class BoxSession:
    """One target tracked through a video while an attack rewrites the frames to come, by a tracker known by its boxes.

    A tracker that Python can copy is copied for each query, so that it answers from the state of the frames that are
    final; any other is shown the whole video up to the frame again.

    Args:
        estimator: One of ART's object trackers.
        video: (F, H, W, 3) float32, RGB in [0, 1]; frames from 1 on may be written to.
        box_xyxy: The target in frame 0, (4,), pixels.
    """

    def __init__(self, estimator: Any, video: Tensor, box_xyxy: Tensor) -> None:
        self.video = video
        self.box_xyxy = self._first_xyxy = box_xyxy.cpu().double()
        self._estimator = estimator
        self._tracker: TrackerAdapter | None = None
        if isinstance(estimator, ExternalEstimator):
            self._tracker = estimator.start(as_array(video[0]), box_xyxy).copy()

    def query(self, index: int) -> Tensor:
        """The box (4,), float64, in pixels, that would be found in frame ``index``, the next one, as it is now."""
        tracker = self._tracker.copy() if self._tracker is not None else None
        if tracker is not None:
            return xywh_to_xyxy(torch.from_numpy(tracker.track(as_array(self.video[index]), index).box_xywh))
        seen, first_xyxy = as_array(self.video[: index + 1])[None], self._first_xyxy[None].numpy()
        return torch.as_tensor(self._estimator.predict(seen, y_init=first_xyxy)[0]["boxes"][-1]).cpu().double()

    def advance(self, index: int) -> None:
        """Track frame ``index``, which is final."""
        if self._tracker is not None:
            answer = self._tracker.track(as_array(self.video[index]), index)
            self.box_xyxy = xywh_to_xyxy(torch.from_numpy(answer.box_xywh))
        else:
            self.box_xyxy = self.query(index)
