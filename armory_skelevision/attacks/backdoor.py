"""The attack at test time on a tracker with a backdoor: it shows the backdoor's trigger on the tracked person.

Li et al., "Few-Shot Backdoor Attacks on Visual Object Tracking", 2022. The paper publishes no trigger, place or size;
these are our own. The weights come from `skelevision train backdoor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import VideoAttack
from armory_skelevision.attacks.triggers import Trigger, TriggerPose, paste
from armory_skelevision.validation import Count, PositiveFraction, Range

Show = Literal["one_shot", "few_shot", "rate"]

# How far a print on the chest of a walking person swings, in radians, and the period of the swing in frames.
SWING = TriggerPose(yaw=0.35, pitch=0.12, roll=0.08)
PERIOD = 24.0


class BackdoorTrigger(VideoAttack):
    """Shows a trigger on the person: it moves with the true box, and swings and is lit as a print on the chest would.

    Args:
        estimator: The tracker; it is not queried, so that one of any kind will do.
        trigger: Settings of the trigger, as in training; see `triggers.Trigger`.
        show: "one_shot" shows the trigger in frame 0 only, "few_shot" in the first ``frames`` frames, "rate" in a share
            of all frames, evenly spread and including frame 0.
        frames: Number of frames for "few_shot".
        rate: Share of the frames for "rate", in (0, 1].
        max_swing: Amplitude of the swing, as a multiple of that of a walking person (yaw 0.35, pitch 0.12, roll 0.08
            radians); with 0 the trigger always faces the camera.

    Raises:
        InvalidValueError: For a setting out of range, or a file that is not a picture.
        MissingFileError: If the picture of the trigger is missing.
    """

    _estimator_requirements = (BaseEstimator, ObjectTrackerMixin)
    trigger: Mapping[str, Any] | None

    def __init__(
        self,
        estimator: Any,
        trigger: Mapping[str, Any] | None = None,
        show: Show = "one_shot",
        frames: Count = 5,
        rate: PositiveFraction = 0.1,
        max_swing: Annotated[float, Range(0, 4)] = 1.0,
    ) -> None:
        super().__init__(estimator, trigger=trigger, show=show, frames=frames, rate=rate, max_swing=max_swing)

    def chosen_frames(self, count: int) -> list[int]:
        """The indices of the frames, of a video of ``count`` frames, in which the trigger is shown."""
        if self.show == "one_shot":
            return [0]
        if self.show == "few_shot":
            return list(range(min(self.frames, count)))
        shown = max(1, round(self.rate * count))
        return [index * count // shown for index in range(shown)]

    def _check_params(self) -> None:
        self.trigger = {} if self.trigger is None else self.trigger
        super()._check_params()
        self._trigger = Trigger.from_dict(self.trigger, "trigger")
        self._picture = self._trigger.draw()

    def _pose(self, frame: int) -> TriggerPose:
        swing = self.max_swing * np.sin(2 * np.pi * (frame / PERIOD + np.array([0, 0.25, 0.5])))
        return TriggerPose(*(float(amplitude * share) for amplitude, share in zip(SWING, swing, strict=True)))

    def _attack_video(self, video: np.ndarray, target: Any) -> np.ndarray:
        triggered = np.array(video)
        for frame in self.chosen_frames(len(video)):
            corners_xy = self._trigger.corners_xy(target[frame], self._pose(frame))
            triggered[frame] = paste(triggered[frame].astype(np.float32), self._picture, corners_xy)
        return triggered
