"""Attacks that act while the tracker runs: each frame is attacked with the tracker's state after the frames before."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.digital.box_session import BoxSession
from armory_skelevision.attacks.interface import Metadata, TrackerAttack, check_call, dtype_of, stack_videos
from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.inputs import check_first_boxes, check_labels
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import TemplateMatcher, TrackerState, VideoFrames, Window
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.tracker import track_frame
from armory_skelevision.tracking.windows import initial_state
from armory_skelevision.validation import InvalidValueError


class TrackingSession:
    """One target tracked through a video while an attack rewrites the frames to come.

    Frames are read in their current state, by the tracker's own functions. Once a frame is final, `advance` finds the
    same box as tracking the finished video.

    Args:
        estimator: Our tracker.
        video: (F, H, W, 3) float32, RGB in [0, 1], on the estimator's device; frames from 1 on may be written to.
        box_xyxy: The target in frame 0, (4,), pixels. Frame 0 gives the template, and is tracked at once.
    """

    def __init__(self, estimator: SiameseEstimator, video: Tensor, box_xyxy: Tensor) -> None:
        self.video = video
        self.frames = VideoFrames(video)
        self.settings = estimator.settings
        # As in the tracker, the state is kept and computed on the CPU.
        self.state = initial_state(box_xyxy.cpu(), self.settings)
        with torch.no_grad():
            self._matcher = TemplateMatcher.embed_template(estimator.crops(self.frames, box_xyxy))
        self.advance(0)

    def match(self, pixels: Tensor, window: Window) -> RPNOutput:
        """The heads' output (batch of 1) for the pixels (3, side, side) of a search window, RGB in [0, 1].

        Keeps a graph where gradients are on.
        """
        return self._matcher.match(self._matcher.crops.search_input(pixels, window))

    @property
    def box_xyxy(self) -> Tensor:
        """The box (4,) after the last frame that is final, float64, in pixels."""
        return cxcywh_to_xyxy(self.state.box_cxcywh)

    def query(self, index: int) -> Tensor:
        """The box (4,), float64, in pixels, that `advance` would reach."""
        return cxcywh_to_xyxy(self.locate(index).box_cxcywh)

    @torch.no_grad()
    def locate(self, index: int) -> TrackerState:
        """The state that the tracker would reach in frame ``index``, the next one, in its current state of writing."""
        return track_frame(self._matcher, self._matcher.crops, index, self.state).state

    def advance(self, index: int) -> None:
        """Track frame ``index``, which is final."""
        self.state = self.locate(index)


class OnlineAttack(TrackerAttack):
    """Base of attacks that act frame by frame, as the tracker runs.

    Frame 0 stays clean: it gives the template, and the published attacks start with the first frame searched after it.
    Of the true boxes only that of frame 0 is used.

    Args:
        estimator: The tracker, without preprocessors of whole frames.
        seed: Seed of the attack's random numbers; each video starts from it anew.
        verbose: Show progress: a bar on terminals, else a line a minute.
    """

    _estimator_requirements: tuple[type, ...] = (SiameseEstimator,)

    def generate(
        self,
        x: Any,
        y: Any = None,
        y_patch_metadata: Metadata = None,
        y_init: Any = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Attack each video on its own; see `VideoAttack.generate`.

        The targets in frame 0 may be given as ``y_init``, (N, 4), instead of ``y``, of which only the first box of each
        video is used. An estimator with preprocessors of whole frames is refused (`InvalidValueError`).
        """
        videos = check_call(x, kwargs, ["x", "y", "y_init", "y_patch_metadata"])
        self._check_estimator()
        first_boxes = [boxes[0] for boxes in check_labels(y, videos)] if y_init is None else y_init
        attacked = []
        for video, box_xyxy in zip(videos, check_first_boxes(first_boxes, videos), strict=True):
            written = as_tensor(video, self.estimator.device).float().clone()
            generator = torch.Generator().manual_seed(self.seed)
            ours = isinstance(self.estimator, SiameseEstimator)
            session = (TrackingSession if ours else BoxSession)(self.estimator, written, box_xyxy)
            self._attack_frames(session, generator)
            attacked.append(written.cpu().numpy())
        return stack_videos(attacked, dtype_of(x, videos))

    @abstractmethod
    def _attack_frames(self, session: Any, generator: torch.Generator) -> None:
        """Write to the video's frames from 1 on, in order, and advance after each.

        The session is a `TrackingSession` for one of our trackers, else a `BoxSession`.
        """

    def _check_estimator(self) -> None:
        operations = getattr(self.estimator, "frame_operations", self.estimator.preprocessing_defences or [])
        names = [type(operation).__name__ for operation in operations]
        if names:
            expected = f"no preprocessors of whole videos, as {type(self).__name__} works frame by frame"
            fix = "use PGD, or attack an estimator without them"
            raise InvalidValueError("preprocessing_defences", expected, ", ".join(names), fix)
