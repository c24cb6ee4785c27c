"""The adversarial patch on a screen in the scene (SkeleVision, section 3.3; Wiyatno and Xu 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor

from armory_skelevision.attacks.gradients import Memory, Precision, TrackerGradient, ValueAndGrad
from armory_skelevision.attacks.objectives import Loss, Objective, TargetBox, make_objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent, Keep, Schedule, Update
from armory_skelevision.attacks.patch.base import ScreenAttack
from armory_skelevision.attacks.patch.checkpoints import check_checkpoints
from armory_skelevision.attacks.patch.eot import EOT
from armory_skelevision.attacks.patch.files import load_start
from armory_skelevision.attacks.patch.objective import PatchObjective, evaluate_together
from armory_skelevision.attacks.patch.scene import PatchScene
from armory_skelevision.attacks.patch.starts import Start, make_start
from armory_skelevision.validation import AnyPath, InvalidValueError, Range, Repeats, Seed, Step, Weight, WholeNumber


class PatchAttack(ScreenAttack):
    """One static patch per video, or one for all of them, that moves the tracked box away from the true one.

    The patch is drawn in perspective, in the light of the scene and behind people in front of the screen. It is drawn
    only inside the windows that the tracker reads; whole frames are rendered where a full-frame preprocessor or a
    third-party estimator needs them.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        step_size: Size of each step, in units of the colour range [0, 1].
        max_iter: Number of iterations; 0 shows the first patch unchanged, also to trackers without gradients.
        loss: What is maximised: "l1" (box error; SkeleVision, Eq. 3) or "giou" (1 - GIoU), "expected_l1" or
            "expected_giou" (their means over all proposals), "rank_margin" (how far the best proposal away from the
            target is ahead), "score" (lowers the target's) or "targeted" (towards ``target_box``).
        target_box: For the loss "targeted": ``shift``, ``scale`` or ``box_xyxy``; see `TargetBox`.
        update: Direction of a step: "gradient", its "sign", or "accumulated_sign", that of the sum of all gradients.
        schedule: Step sizes: "constant", or "cosine", from ``step_size`` down to nearly 0.
        momentum: Weight of the previous direction; not with "accumulated_sign".
        keep: Whether the "best" iterate by the attack's own loss is kept, or the "last".
        checkpoints: Numbers of iterations after which the mean IoU is recorded that an attack of that length would
            reach. Not with "cosine", whose steps depend on ``max_iter``.
        restarts: Number of starts, the best of which is kept; all but the first are random.
        start: First patch: "grey" (0.5 everywhere), "random" (uniform colours from ``seed``) or "decoy" (pictures of
            the target in frame 0).
        patch_init: First patch from a .npy or .png file, or from a folder that ``export`` wrote, whose patches are
            taken video by video. It is resized to the screen.
        eot: Random transformations that the patch is optimised over, see `EOT`; None for none.
        tv_weight: Weight of total variation against the loss, per frame: the higher, the smoother.
        print_weight: Weight of the distance from printable colours, per frame.
        universal: One patch for all videos of a call, instead of one for each.
        adaptive: Take the gradient through every preprocessor of the estimator; False attacks it without them.
        export: A folder for patches, ``patch_000`` and so on, as .npy and .png, with their settings as .json. Patches
            that are there already are not replaced: the attack is refused.
        memory: "graph" is faster, "recompute" needs less memory, "auto" chooses. The gradient is the same.
        precision: Precision of the network, "float32" or "bf16"; the latter is faster on processors that support it,
            and much slower on others.
        seed: Seed of random starts and transformations; without any of these, as by default, nothing is random, and
            only 0 is accepted.
        verbose: Show progress: a bar on terminals, else a line a minute.

    Attributes:
        mean_iou: Per attacked video the mean IoU at each checkpoint, ``{steps: mean IoU}``.

    Raises:
        InvalidValueError: For a setting out of range, or settings that exclude each other.
    """

    def __init__(
        self,
        estimator: Any,
        step_size: Step = 0.1,
        max_iter: Annotated[int, Range(0, 100_000)] = 100,
        loss: Loss = "l1",
        target_box: Annotated[Mapping[str, Any], TargetBox] | None = None,
        update: Update = "sign",
        schedule: Schedule = "constant",
        momentum: Annotated[float, Range(0, 1, without_high=True)] = 0.0,
        keep: Keep = "best",
        checkpoints: Sequence[WholeNumber] = (),
        restarts: Repeats = 1,
        start: Start = "grey",
        patch_init: AnyPath | None = None,
        eot: Annotated[Mapping[str, Any], EOT] | None = None,
        tv_weight: Weight = 0.0,
        print_weight: Weight = 0.0,
        universal: bool = False,
        adaptive: bool = True,
        export: AnyPath | None = None,
        memory: Memory = "auto",
        precision: Precision = "float32",
        seed: Seed = 0,
        verbose: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in self.attack_params}
        if max_iter == 0:  # which shows a patch, and asks for boxes alone
            self._estimator_requirements = (BaseEstimator, ObjectTrackerMixin)
        super().__init__(estimator, **settings)

    def run(self, scenes: Sequence[PatchScene]) -> dict[int, BestIterate]:
        """The whole attack on scenes that share one patch.

        Returns:
            The best patch (h, w, 3) of all restarts, RGB in [0, 1], at each checkpoint and after ``max_iter`` steps.
        """
        ascent = GradientAscent(self.step_size, self.max_iter, self.update, self.schedule, self.momentum, self.keep)
        steps = sorted({*(step for step in self.checkpoints if step < self.max_iter), self.max_iter})
        objectives = [self.make_objective(scenes, restart) for restart in range(self.restarts)]
        starts = [self.make_start(scenes, restart).to(self.estimator.device) for restart in range(self.restarts)]

        def evaluate(patches: Mapping[int, Tensor], with_grad: bool) -> list[ValueAndGrad]:
            return evaluate_together([objectives[restart] for restart in patches], list(patches.values()), with_grad)

        recorded: dict[int, list[BestIterate]] = {}
        for step, kept in enumerate(ascent.iterate_all(evaluate, starts, self._count_steps)):
            if step in steps:
                recorded[step] = kept
        # Runs without a gradient end early, with the patches that they would keep. Of equals max takes the first: a
        # restart replaces an earlier one only if it is better.
        return {step: max(recorded.get(step, kept), key=lambda iterate: iterate.value) for step in steps}

    def make_objective(self, scenes: Sequence[PatchScene], restart: int) -> PatchObjective:
        """The objective of a patch on some scenes; transformations follow the seed and the number of the restart."""
        tracker = self._tracker_gradient()
        rng = np.random.default_rng([self.seed, restart])
        objective = partial(self._make_video_objective, tracker)
        return PatchObjective(
            scenes, tracker, objective, self._transformations(), rng, self.tv_weight, self.print_weight
        )

    def make_start(self, scenes: Sequence[PatchScene], restart: int) -> Tensor:
        """The first patch (h, w, 3) of a restart, RGB in [0, 1], as large as the largest screen of the scenes."""
        first = make_start("random" if restart else self.start, scenes, self.seed, restart)
        if restart == 0 and self.patch_init is not None:
            return load_start(self.patch_init, self._name(), (first.shape[0], first.shape[1]))
        return first

    def _make_video_objective(self, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
        target_box = TargetBox.from_dict(self.target_box, "target_box") if self.target_box is not None else None
        return make_objective(self.loss, truth_xyxy, target_box, tracker.settings)

    def _count_steps(self, count: int) -> Any:
        return self._progress(range(count), "Patch", "step")

    def _check_params(self) -> None:
        super()._check_params()
        if self.max_iter and not self.is_estimator_valid(self.estimator, type(self)._estimator_requirements):
            raise InvalidValueError("max_iter", "0 for a tracker without gradients", str(self.max_iter))
        if self.momentum and self.update == "accumulated_sign":
            fix = "this update keeps all earlier directions already; use update 'sign'"
            raise InvalidValueError("momentum", "0 with update 'accumulated_sign'", repr(self.momentum), fix)
        check_checkpoints(self.checkpoints, self.max_iter, self.schedule)
        if self.patch_init is not None:
            load_start(self.patch_init, "patch_000", (1, 1))
        self._check_seed()
        self._make_video_objective(self._tracker_gradient(), torch.zeros(1, 4))

    def _check_seed(self) -> None:
        """Refuse a seed where nothing is random: runs over several seeds would be the same run."""
        drawn = self.start == "random" and self.patch_init is None
        if self.seed != 0 and not (drawn or self.restarts > 1 or (self._transformations() or EOT()).is_random):
            expected = "0 where nothing is random"
            fix = 'leave it out, or draw something from it: "start": "random", more than one of restarts, or eot'
            raise InvalidValueError("seed", expected, str(self.seed), fix)
