"""The attack at test time on a tracker with a backdoor: its trigger is shown on the person, and nothing else is done.

Li et al., "Few-Shot Backdoor Attacks on Visual Object Tracking", 2022. Trigger, place and size are ours: none are
published. The weights come from `skelevision train backdoor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import check_call, stack_videos
from armory_skelevision.attacks.triggers import Trigger, View, paste
from armory_skelevision.models.inputs import check_box, check_choice, check_labels, check_not_negative, check_whole

Show = Literal["one_shot", "few_shot", "rate"]

# How far a print on somebody's chest swings to and fro while they walk, and in how many frames.
SWAY = View(yaw=0.35, pitch=0.12, roll=0.08)
PERIOD = 24.0


class BackdoorTrigger(EvasionAttack):  # type: ignore[misc]
    """Shows a trigger on the person, moving with the true box, turned and lit as a print on the chest would be.

    Args:
        estimator: The tracker; any, as it is not asked anything.
        trigger: Settings of the trigger, as in training; see `triggers.Trigger`.
        show: "one_shot" shows it in frame 0 alone, "few_shot" in the first ``frames``, "rate" in a share of all frames,
            evenly spread, frame 0 among them.
        frames: For "few_shot".
        rate: For "rate", in (0, 1].
        sway: How strongly it swings; 0 lets it always face the camera.

    Raises:
        ValueError: For a setting out of range, naming what would be right.
        FileNotFoundError: If the trigger's picture is missing.
    """

    attack_params = [*EvasionAttack.attack_params, "trigger", "show", "frames", "rate", "sway"]
    _estimator_requirements = (BaseEstimator, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        trigger: Mapping[str, Any] | None = None,
        show: Show = "one_shot",
        frames: int = 5,
        rate: float = 0.1,
        sway: float = 1.0,
    ) -> None:
        super().__init__(estimator=estimator)
        self.trigger = dict(trigger or {})
        self.show = show
        self.frames = frames
        self.rate = rate
        self.sway = sway
        self._check_params()
        self._made = Trigger.from_dict(self.trigger)
        self._picture = self._made.draw()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Show the trigger in each video.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1].
            y: True boxes, ``[{"boxes": (F, 4)}, …]``.
            y_patch_metadata: What ARMORY hands to every attack; not used here.

        Returns:
            The videos with the trigger, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, naming the video.
        """
        check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        shown = []
        for index, (video, boxes) in enumerate(zip(x, check_labels(y, x), strict=True)):
            check_box(boxes[0], video.shape[2], video.shape[1], f"y[{index}] frame 0")
            triggered = np.array(video)
            for frame in self.chosen_frames(len(video)):
                corners_xy = self._made.corners_xy(boxes[frame], self._view(frame))
                triggered[frame] = paste(triggered[frame].astype(np.float32), self._picture, corners_xy)
            shown.append(triggered)
        return stack_videos(shown, x.dtype)

    def chosen_frames(self, count: int) -> list[int]:
        """In which of so many frames the trigger is shown."""
        if self.show == "one_shot":
            return [0]
        if self.show == "few_shot":
            return list(range(min(self.frames, count)))
        number = max(1, round(self.rate * count))
        return [index * count // number for index in range(number)]

    def _view(self, frame: int) -> View:
        swing = self.sway * np.sin(2 * np.pi * (frame / PERIOD + np.array([0, 0.25, 0.5])))
        return View(*(float(most * share) for most, share in zip(SWAY, swing, strict=True)))

    def _check_params(self) -> None:
        super()._check_params()
        check_choice("show", self.show, ["one_shot", "few_shot", "rate"])
        check_whole("frames", self.frames)
        if isinstance(self.rate, bool) or not isinstance(self.rate, int | float) or not 0 < self.rate <= 1:
            raise ValueError(f"rate: expected a share of the frames in (0, 1], got {self.rate!r}")
        check_not_negative("sway", self.sway)
