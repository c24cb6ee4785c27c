"""Tracking of videos that are read frame by frame, in the memory of two frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from armory_skelevision.boxes import read_numbers, xywh_to_xyxy, xyxy_to_xywh
from armory_skelevision.models.adapter import Answer, TrackerAdapter
from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.external_estimator import ExternalEstimator
from armory_skelevision.models.inputs import check_box
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.tracking import Frames, TemplateMatcher
from armory_skelevision.tracking.frames import Region, as_tensor
from armory_skelevision.tracking.tracker import track_frame
from armory_skelevision.tracking.windows import initial_state
from armory_skelevision.validation import InvalidTypeError, InvalidValueError


class LatestFrames(Frames):
    """A video of which the first frame and the latest are in memory, (H, W, 3) each, RGB in [0, 1]."""

    def __init__(self, first: Tensor) -> None:
        super().__init__(1, *first.shape[:2])
        self._first = self._latest = first

    def add(self, frame: Tensor) -> None:
        """Take the next frame, in place of the latest."""
        self._latest = frame
        self.count += 1

    def pixels(self, index: int, region: Region) -> Tensor:
        """See `Frames.pixels`; ``index`` must be 0 or that of the latest frame."""
        if index not in (0, self.count - 1):
            raise IndexError(f"frame {index} is no longer in memory")
        frame = self._latest if index else self._first
        return frame[region[0], region[1]].permute(2, 0, 1)


class Follower:
    """One of our trackers on one target, which finds the boxes that `SiameseEstimator.predict` finds.

    Args:
        estimator: The tracker.
        frame: The first frame (H, W, 3), RGB in [0, 1].
        box_xyxy: The target in it, (4,), pixels.
    """

    def __init__(self, estimator: SiameseEstimator, frame: Tensor, box_xyxy: Tensor) -> None:
        self._frames = LatestFrames(frame)
        self._matcher = TemplateMatcher.embed_template(estimator.crops(self._frames, box_xyxy))
        self._state = initial_state(box_xyxy.cpu(), estimator.settings)

    def track(self, frame: Tensor, index: int) -> Answer:
        """Find the target in frame ``index``, (H, W, 3), RGB in [0, 1]; frame 0, the first, is tracked as well."""
        if index:
            self._frames.add(frame)
        step = track_frame(self._matcher, self._matcher.crops, index, self._state)
        self._state = step.state
        return Answer(xyxy_to_xywh(step.box_xyxy.double()).numpy(), float(step.score))


def follow(tracker: Any, frames: Iterable[NDArray[np.uint8]], box_xywh: Any) -> Iterator[Answer]:
    """Track a target through frames as they come.

    Preprocessors of whole frames see each frame as a video of its own, so those that look at several frames at once,
    such as video compression, act otherwise than on a whole video.

    Args:
        tracker: From `load_tracker`.
        frames: (H, W, 3) uint8 RGB each, all of one size.
        box_xywh: The target in the first frame, (4,), pixels.

    Yields:
        For each frame the box and the tracker's confidence. Trackers of images are not asked about frame 0: its box is
        the one given, without a score.

    Raises:
        InvalidTypeError: For a tracker that works on whole videos only.
        InvalidValueError: For a box outside the first frame, or what the tracker refuses.
    """
    if not isinstance(tracker, SiameseEstimator | ExternalEstimator):
        raise InvalidTypeError("tracker", "a tracker from load_tracker", type(tracker).__name__)
    with torch.inference_mode(False), torch.no_grad():
        session: Follower | TrackerAdapter | None = None
        for index, frame in enumerate(frames):
            shown = _prepare(tracker, frame)
            if session is None:
                box_xyxy = check_box_xywh(box_xywh, (frame.shape[1], frame.shape[0]))
                session = _start(tracker, shown, box_xyxy)
                if isinstance(session, TrackerAdapter):
                    yield Answer(xyxy_to_xywh(box_xyxy.double()).numpy(), None)
                    continue
            yield session.track(shown, index)


def check_box_xywh(box_xywh: Any, size: tuple[int, int]) -> Tensor:
    """Check a target (4,), left, top, width and height in pixels, in a frame of some width and height.

    Returns:
        The box (4,) as xyxy, float32.

    Raises:
        InvalidValueError, InvalidTypeError: For what is no box in the frame.
    """
    given = read_numbers("box", box_xywh, "a box (x, y, width, height) in pixels").astype(np.float64)
    if given.shape != (4,) or not np.isfinite(given).all() or not (given[2:] > 0).all():
        expected = "left, top, width and height in pixels, the last two above 0"
        raise InvalidValueError("box", expected, f"{given.tolist()!r:.80}")
    return check_box(xywh_to_xyxy(torch.from_numpy(given)), *size, "box").float()


def _prepare(tracker: SiameseEstimator | ExternalEstimator, frame: NDArray[np.uint8]) -> Any:
    """A frame as the tracker gets it: RGB in [0, 1], behind the preprocessors of whole frames."""
    ours = isinstance(tracker, SiameseEstimator)
    pixels = as_tensor(frame, tracker.device if ours else torch.device("cpu")).float() / 255
    shown = preprocess(pixels[None], tracker.frame_operations)[0]
    return shown if ours else shown.numpy()


def _start(tracker: SiameseEstimator | ExternalEstimator, frame: Any, box_xyxy: Tensor) -> Follower | TrackerAdapter:
    if isinstance(tracker, ExternalEstimator):
        return tracker.start(frame, box_xyxy)
    return Follower(tracker, frame, box_xyxy.to(tracker.device))
