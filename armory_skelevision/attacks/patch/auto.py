"""The strongest patch that a budget buys for each video: several attacks compete, and the real run decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np
from torch import Tensor

from armory_skelevision.attacks.gradients import CropGradient, Memory, Precision, TrackerGradient
from armory_skelevision.attacks.objectives import Loss, Objective, make_objective
from armory_skelevision.attacks.optimizer import BestIterate
from armory_skelevision.attacks.patch.base import ScreenAttack
from armory_skelevision.attacks.patch.checkpoints import check_checkpoints
from armory_skelevision.attacks.patch.eot import EOT
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.race import MIN_STEPS, Contender, RealRun, judge, race
from armory_skelevision.attacks.patch.scene import PatchScene
from armory_skelevision.attacks.patch.starts import Start, make_start
from armory_skelevision.validation import AnyPath, Count, InvalidValueError, Iterations, Seed

# Transformations under which patches are judged, at least.
JUDGING_SAMPLES = 4


class Member(NamedTuple):
    """One way to attack, of several that compete."""

    losses: tuple[Loss, ...]
    """What is maximised, in turns from step to step."""
    start: Start


class AutoPatch(ScreenAttack):
    """The strongest patch that a budget buys for each video, without settings to choose.

    Several attacks with losses and starts of their own compete, with equal shares of the budget. Whatever loss is
    followed, what is kept is the patch with the lowest mean IoU in the tracker's own run. The attacker chose the videos
    and knows their true boxes, so judging by them is fair; what is measured is the worst case of each video.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        budget: Number of gradient evaluations per video, each through all of its frames.
        checkpoints: Numbers of evaluations after which the mean IoU of the best patch so far is recorded. Competitors
            and steps depend on ``budget``, so an attack with a smaller budget is not the first part of a longer one.
        eot: Random transformations that the patch is optimised over, see `EOT`; None for none. Patches are judged under
            further ones, the same for all.
        universal: One patch for all videos of a call, instead of one for each.
        adaptive: Take the gradient through every preprocessor of the estimator; False attacks it without them.
        export: A folder for patches, ``patch_000`` and so on, as .npy and .png, with their settings as .json. Patches
            that are there already are not replaced: the attack is refused.
        memory: "graph" is faster, "recompute" needs less memory, "auto" chooses. The gradient is the same.
        precision: Precision of the network, "float32" or "bf16"; the latter is faster on processors that support it,
            and much slower on others. The patch that is returned is chosen in float32.
        seed: Seed of ``eot`` and of random first patches, which compete from a budget of 120 on. Where nothing is
            random, only 0 is accepted.
        verbose: Show progress: a bar on terminals, else a line a minute.

    Attributes:
        mean_iou: Per attacked video the mean IoU at each checkpoint, ``{evaluations: mean IoU}``.

    Raises:
        InvalidValueError: For a setting out of range, or settings that exclude each other.
    """

    members: Sequence[Member] = (
        Member(("expected_giou", "rank_margin"), "grey"),
        Member(("rank_margin",), "decoy"),
        Member(("expected_l1", "l1"), "random"),
    )
    """Those that compete, in order of their prospects: a small budget has room for the first ones only."""
    whole_frame_members: Sequence[Member] = (
        Member(("giou", "l1"), "decoy"),
        Member(("l1",), "grey"),
        Member(("giou", "l1"), "random"),
    )
    """Those that need no proposals, for trackers that show none."""

    def __init__(
        self,
        estimator: Any,
        budget: Iterations = 100,
        checkpoints: Sequence[Count] = (),
        eot: Annotated[Mapping[str, Any], EOT] | None = None,
        universal: bool = False,
        adaptive: bool = True,
        export: AnyPath | None = None,
        memory: Memory = "auto",
        precision: Precision = "float32",
        seed: Seed = 0,
        verbose: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in self.attack_params}
        super().__init__(estimator, **settings)

    def run(self, scenes: Sequence[PatchScene]) -> dict[int, BestIterate]:
        """See `ScreenAttack.run`; the value of a patch is minus its mean IoU."""
        tracker = self._tracker_gradient()
        contenders = [
            self._enter(member, number, tracker, scenes) for number, member in enumerate(self._choose_members(tracker))
        ]
        steps = self.budget // len(contenders)
        kept: dict[int, BestIterate] = {}
        with self._progress(range(steps * len(contenders)), "AutoPatch", "evaluation") as bar:
            for evaluations, best in enumerate(race(contenders, steps), 1):
                bar.update()
                if evaluations in self.checkpoints:
                    kept[evaluations] = best
        # Contenders without a gradient end early, with the patches that they would keep.
        later = {count: best for count in self.checkpoints if count < self.budget}
        return {**later, **kept, self.budget: self._choose(contenders, tracker, scenes)}

    def _choose_members(self, tracker: TrackerGradient) -> Sequence[Member]:
        """As many members as the budget has room for."""
        members = self.members if isinstance(tracker, CropGradient) else self.whole_frame_members
        return members[: max(self.budget // MIN_STEPS, 1)]

    def _enter(self, member: Member, number: int, tracker: TrackerGradient, scenes: Sequence[PatchScene]) -> Contender:
        """A member with its start and its losses, which follow the seed and its number."""
        start = make_start(member.start, scenes, self.seed, number)
        rng, eot = np.random.default_rng([self.seed, number + 1]), self._transformations()
        losses = [
            PatchObjective(scenes, tracker, partial(_make_objective, loss, tracker), eot, rng) for loss in member.losses
        ]
        make_judge = None if eot is None else partial(self._make_judge, tracker, scenes)
        return Contender(RealRun(losses, make_judge), BestIterate(-math.inf, start.to(self.estimator.device)))

    def _choose(
        self, contenders: Sequence[Contender], tracker: TrackerGradient, scenes: Sequence[PatchScene]
    ) -> BestIterate:
        """The best patch of all contenders, judged in float32."""
        exact = _in_float32(tracker)
        images = [each.best.image for each in contenders]
        judged = judge([self._make_judge(exact, scenes) for _ in images], images, False)
        pairs = zip(judged, images, strict=True)
        return max((BestIterate(result.value, image) for result, image in pairs), key=lambda best: best.value)

    def _make_judge(self, tracker: TrackerGradient, scenes: Sequence[PatchScene]) -> PatchObjective:
        """An objective whose run judges patches: with the same transformations for all, which are not those of losses.

        A single one would favour the patches that it suits.
        """
        eot = self._transformations()
        if eot is not None:
            eot = replace(eot, samples=max(eot.samples, JUDGING_SAMPLES))
        rng = np.random.default_rng([self.seed, 0, JUDGING_SAMPLES])
        return PatchObjective(scenes, tracker, partial(_make_objective, "l1", tracker), eot, rng)

    def _check_params(self) -> None:
        super()._check_params()
        check_checkpoints(self.checkpoints, self.budget)
        members = self._choose_members(self._tracker_gradient())
        is_random = any(member.start == "random" for member in members) or (self._transformations() or EOT()).is_random
        if self.seed != 0 and not is_random:
            fix = "leave it out, or choose a larger budget, which has room for random starts, or eot"
            raise InvalidValueError("seed", "0 where nothing is random", str(self.seed), fix)


def _in_float32(tracker: TrackerGradient) -> TrackerGradient:
    return replace(tracker, precision="float32") if isinstance(tracker, CropGradient) else tracker


def _make_objective(loss: Loss, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
    return make_objective(loss, truth_xyxy, None, tracker.settings)
