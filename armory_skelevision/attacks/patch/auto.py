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
from armory_skelevision.attacks.patch.race import Contender, RealRun, plan_rounds, race
from armory_skelevision.attacks.patch.scene import PatchScene
from armory_skelevision.attacks.patch.starts import Start, make_start
from armory_skelevision.validation import AnyPath, Iterations, Seed, WholeNumber


class Member(NamedTuple):
    """One way to attack, of several that compete."""

    losses: tuple[Loss, ...]
    """What is maximised, in turns from step to step."""
    start: Start


class AutoPatch(ScreenAttack):
    """The strongest patch that a budget buys for each video, without settings to choose.

    Several losses and starts compete. They share the budget in rounds; after each, the better half goes on, from its
    best patches (successive halving: Jamieson and Talwalkar 2016). Whatever loss is followed, what is kept is the patch
    with the lowest mean IoU in the tracker's own run. An attacker has the true boxes of the videos that it made, so
    judging by them is fair; what is measured is the worst case of each video.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        budget: Number of gradient evaluations per video, each through all of its frames.
        checkpoints: Numbers of evaluations after which the mean IoU of the best patch so far is recorded. The rounds
            depend on ``budget``, so an attack with a smaller budget is not the first part of a longer one.
        eot: Random transformations that the patch is optimised and judged over, see `EOT`; None for none.
        universal: One patch for all videos of a call, instead of one for each.
        adaptive: Take the gradient through every preprocessor of the estimator; False attacks it without them.
        export: A folder for patches, ``patch_000`` and so on, as .npy and .png, with their settings as .json. Patches
            that are there already are not replaced: the attack is refused.
        memory: "graph" is faster, "recompute" needs less memory, "auto" chooses. The gradient is the same.
        precision: Precision of the network, "float32" or "bf16"; the latter is faster on processors that support it,
            and much slower on others. The patch that is returned is chosen in float32.
        seed: Seed of the random starts, which are those of some members, and of transformations.
        verbose: Show progress: a bar on terminals, else a line a minute.

    Attributes:
        mean_iou: Per attacked video the mean IoU at each checkpoint, ``{evaluations: mean IoU}``.

    Raises:
        InvalidValueError: For a setting out of range, or settings that exclude each other.
    """

    members: Sequence[Member] = (
        Member(("expected_giou", "rank_margin"), "decoy"),
        Member(("expected_giou", "rank_margin"), "grey"),
        Member(("expected_giou",), "decoy"),
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
        checkpoints: Sequence[WholeNumber] = (),
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
        members = self.members if isinstance(tracker, CropGradient) else self.whole_frame_members
        rounds = plan_rounds(len(members), self.budget)
        contenders = [
            self._enter(member, number, tracker, scenes)
            for number, member in enumerate(members[: rounds[0].contenders])
        ]
        kept: dict[int, BestIterate] = {}
        with self._progress(range(self.budget), "AutoPatch", "evaluation") as bar:
            for evaluations, best in enumerate(race(contenders, rounds), 1):
                bar.update()
                if evaluations in self.checkpoints:
                    kept[evaluations] = best
        return {**kept, self.budget: self._choose(contenders)}

    def _enter(self, member: Member, number: int, tracker: TrackerGradient, scenes: Sequence[PatchScene]) -> Contender:
        """A member with its start and its objective, which follow the seed and its number."""
        start = make_start(member.start, scenes, self.seed, number)
        rng = np.random.default_rng([self.seed, number])
        losses = [
            PatchObjective(scenes, tracker, partial(_make_objective, loss, tracker), self._transformations(), rng)
            for loss in member.losses
        ]
        return Contender(RealRun(losses), BestIterate(-math.inf, start.to(self.estimator.device)))

    def _choose(self, contenders: Sequence[Contender]) -> BestIterate:
        """The best patch of all contenders, judged alike: in float32 and under the same transformations."""
        judged = []
        for each in contenders:
            loss, rng = each.run.losses[0], np.random.default_rng(self.seed)
            judge = RealRun([replace(loss, tracker=_in_float32(loss.tracker), rng=rng)])
            judged.append(BestIterate(judge(each.best.image, False).value, each.best.image))
        return max(judged, key=lambda best: best.value)

    def _check_params(self) -> None:
        super()._check_params()
        check_checkpoints(self.checkpoints, self.budget)


def _in_float32(tracker: TrackerGradient) -> TrackerGradient:
    return replace(tracker, precision="float32") if isinstance(tracker, CropGradient) else tracker


def _make_objective(loss: Loss, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
    return make_objective(loss, truth_xyxy, None, tracker.settings)
