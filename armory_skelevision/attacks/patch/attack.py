"""The adversarial patch on a screen in the scene (SkeleVision, section 3.3; Wiyatno and Xu 2019)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor
from tqdm.auto import trange

from armory_skelevision.attacks.gradients import EstimatorPass, Memory, NetworkPass, Precision
from armory_skelevision.attacks.interface import check_call, record_result, stack_videos
from armory_skelevision.attacks.objectives import Goal, Loss, make_objective
from armory_skelevision.attacks.optimizer import Ascent, Keep, Schedule, Summit, Update
from armory_skelevision.attacks.patch.checkpoints import END, RESULT, Passed, check_checkpoints, judge
from armory_skelevision.attacks.patch.eot import Jitter
from armory_skelevision.attacks.patch.files import read_patch, write_patch
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.scene import Scene, read_scene
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.inputs import (
    check_choice,
    check_flag,
    check_labels,
    check_not_negative,
    check_positive,
    check_whole,
)
from armory_skelevision.networks.precision import warn_of_slow_bf16

Start = Literal["grey", "random"]

CHOICES = {
    "loss": get_args(Loss),
    "update": get_args(Update),
    "schedule": get_args(Schedule),
    "keep": get_args(Keep),
    "start": get_args(Start),
    "memory": get_args(Memory),
    "precision": get_args(Precision),
}

log = logging.getLogger(__name__)


class PatchAttack(EvasionAttack):  # type: ignore[misc]
    """One static patch per video, or one for all of them, that leads the tracked box away from the true one.

    The patch is drawn in perspective, in the light of the scene and behind whoever walks before it, and only inside the
    windows that the tracker reads; whole frames are rendered where a full-frame preprocessor or another maker's
    estimator needs them.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        step_size: Step of each iteration, in units of the colour range [0, 1].
        max_iter: Number of iterations; 0 shows ``patch_init`` as it is.
        loss: What is climbed: "l1" (SkeleVision, Eq. 3), "expected", "giou", "score" or "lure"; see
            `make_objective`.
        goal: Where a "lure" pulls the box: ``shift``, ``scale`` or ``box_xyxy``; see `Goal`.
        update: "sign", "gradient" or "accumulated_sign"; see `Ascent`.
        schedule: "constant" or "cosine".
        momentum: Share of the earlier directions that is kept, in [0, 1).
        keep: "best" or "last" iterate, by the attack's own loss.
        checkpoints: Numbers of iterations after which the mean IoU is recorded that an attack of so many would have
            left; see `checkpoints`. Not with "cosine", whose steps depend on ``max_iter``.
        restarts: Number of starts, the best of which is kept by the same measure; all but the first are random.
        start: "grey" (0.5 everywhere) or "random" (uniform colours from ``seed``).
        patch_init: A patch to start from instead: a .npy or .png file, or a folder that ``export`` wrote, whose patch
            is taken video by video. Another size is resized.
        eot: Views over which the patch shall work, see `Jitter`; None shows it as it is.
        tv_weight: Weight of total variation against the loss, per frame: the higher, the smoother.
        print_weight: Weight of the distance to printable colours, likewise.
        universal: One patch for all videos of a call, instead of one for each.
        adaptive: Take the gradient through every preprocessor of the estimator; False makes the patch against the bare
            tracker.
        export: A folder where patches are written, ``patch_000`` and so on, as .npy and .png, with their settings.
        memory: "graph", "recompute" or "auto"; see `passes`. The gradient is the same.
        precision: "float32" or "bf16" (for the network; faster where the processor has it, else much slower).
        seed: Seed of random starts and views.
        verbose: Show a progress bar (on terminals).

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        *("step_size", "max_iter", "loss", "goal", "update", "schedule", "momentum", "keep"),
        *("checkpoints", "restarts", "start", "patch_init", "eot", "tv_weight", "print_weight", "universal"),
        *("adaptive", "export", "memory", "precision", "seed", "verbose"),
    ]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        step_size: float = 0.1,
        max_iter: int = 100,
        loss: Loss = "l1",
        goal: Mapping[str, Any] | None = None,
        update: Update = "sign",
        schedule: Schedule = "constant",
        momentum: float = 0.0,
        keep: Keep = "best",
        checkpoints: Sequence[int] = (),
        restarts: int = 1,
        start: Start = "grey",
        patch_init: str | Path | None = None,
        eot: Mapping[str, Any] | None = None,
        tv_weight: float = 0.0,
        print_weight: float = 0.0,
        universal: bool = False,
        adaptive: bool = True,
        export: str | Path | None = None,
        memory: Memory = "auto",
        precision: Precision = "float32",
        seed: int = 0,
        verbose: bool = True,
    ) -> None:
        settings = dict(locals())
        super().__init__(estimator=estimator)
        self._videos = 0
        self.mean_iou: list[dict[int, float]] = []
        self.set_params(**{name: value for name, value in settings.items() if name in self.attack_params})

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack videos.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or a sequence of videos of any sizes.
            y: True boxes, ``[{"boxes": (F, 4)}, …]``; the first box of each starts the tracker.
            y_patch_metadata: Per video ``gs_coords`` ((4, 2) or (F, 4, 2) corners), ``masks`` ((F, H, W[, 3]), non-zero
                where the screen is visible) and optionally ``shading`` (False shows the patch unshaded).

        Returns:
            The videos with their patches, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, naming video and frame.
        """
        check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        labels = check_labels(y, x)
        warn_of_slow_bf16(self.precision, torch.device(self.estimator.device))
        if y_patch_metadata is None or len(y_patch_metadata) != len(x):
            raise ValueError(f"y_patch_metadata: expected one dict for each of {len(x)} videos")
        scenes = [
            read_scene(video, boxes, metadata, self.estimator.device, index)
            for index, (video, boxes, metadata) in enumerate(zip(x, labels, y_patch_metadata, strict=True))
        ]
        groups = [scenes] if self.universal else [[scene] for scene in scenes]
        patched = [video for group in groups for video in self._attack(group, x[0].dtype)]
        return stack_videos(patched, x[0].dtype)

    def _attack(self, scenes: Sequence[Scene], dtype: np.dtype[Any]) -> list[np.ndarray]:
        """The videos of some scenes with one patch."""
        patches = self._make_patches(scenes)
        summit = patches.pop(END)
        self._report(summit)
        if self.checkpoints:
            found = [judge(self.estimator, scene, patches, dtype) for scene in scenes]
            self.mean_iou += found
            for mean_iou in found:
                record_result(RESULT, mean_iou)
        return [scene.render(summit.picture) for scene in scenes]

    def _make_patches(self, scenes: Sequence[Scene]) -> dict[int, Summit]:
        """The best patches (h, w, 3) of all restarts, after each checkpoint, and as `END`."""
        ascent = Ascent(self.step_size, self.max_iter, self.update, self.schedule, self.momentum, self.keep)
        patch_hw = (max(scene.patch_hw[0] for scene in scenes), max(scene.patch_hw[1] for scene in scenes))
        wanted = [steps for steps in sorted(self.checkpoints) if steps <= self.max_iter]
        climbs = []
        for restart in range(self.restarts):
            look = PatchObjective(
                scenes,
                self._tracker_pass(),
                self._objective,
                Jitter.from_dict(self.eot) if self.eot is not None else None,
                np.random.default_rng([self.seed, restart]),
                self.tv_weight,
                self.print_weight,
            )
            first = self._first_patch(patch_hw, restart).to(self.estimator.device)
            passed = Passed(wanted)
            summit = ascent.climb(look, first, partial(self._progress, restart), passed)
            climbs.append({**passed.complete(summit), END: summit})
        # max takes the first of equals: a restart has to be better, not as good.
        return {steps: max((climb[steps] for climb in climbs), key=lambda summit: summit.value) for steps in climbs[0]}

    def _tracker_pass(self) -> NetworkPass | EstimatorPass:
        tracker = self.estimator
        if not isinstance(tracker, SiameseEstimator) or (self.adaptive and tracker.frame_operations):
            return EstimatorPass(tracker)
        defenses = tracker.region_defenses if self.adaptive else []
        return NetworkPass(tracker.model, tracker.settings, self.memory, self.precision, defenses)

    def _objective(self, truth_xyxy: Tensor) -> Any:
        goal = Goal.from_dict(self.goal) if self.goal is not None else None
        inside = isinstance(self._tracker_pass(), NetworkPass)
        return make_objective(self.loss, truth_xyxy, goal, self.estimator.settings if inside else None)

    def _first_patch(self, patch_hw: tuple[int, int], restart: int) -> Tensor:
        if restart == 0 and self.patch_init is not None:
            path = Path(self.patch_init)
            patch = torch.from_numpy(read_patch(path / f"{self._name()}.npy" if path.is_dir() else path))
            return _resize(patch, patch_hw)
        if restart == 0 and self.start == "grey":
            return torch.full((*patch_hw, 3), 0.5)
        return torch.rand((*patch_hw, 3), generator=torch.Generator().manual_seed(self.seed + restart))

    def _progress(self, restart: int, count: int) -> Iterable[int]:
        title = "Patch" if self.restarts == 1 else f"Patch {restart + 1}/{self.restarts}"
        silent = None if self.verbose else True
        bar: Iterable[int] = trange(count, desc=title, unit="step", disable=silent, leave=False)
        return bar

    def _report(self, summit: Summit) -> None:
        log.info("%s: %s %.6g", self._name(), self.loss, summit.value)
        if self.export is not None:
            settings = {name: getattr(self, name) for name in self.attack_params if name != "verbose"}
            described = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
            path = Path(self.export) / self._name()
            write_patch(path, summit.picture.cpu().numpy(), {**described, "value": summit.value})
        self._videos += 1

    def _name(self) -> str:
        return f"patch_{self._videos:03d}"

    def _check_params(self) -> None:
        super()._check_params()
        for name, choices in CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        check_positive("step_size", self.step_size)
        for name, least in (("max_iter", 0), ("restarts", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least)
        for name in ("momentum", "tv_weight", "print_weight"):
            check_not_negative(name, getattr(self, name))
        for name in ("universal", "adaptive", "verbose"):
            check_flag(name, getattr(self, name))
        if not self.momentum < 1:
            raise ValueError(f"momentum: expected a number in [0, 1), got {self.momentum!r}")
        if self.momentum and self.update == "accumulated_sign":
            raise ValueError("momentum: 'accumulated_sign' keeps all earlier directions already; use update 'sign'")
        check_checkpoints(self.checkpoints, self.max_iter, self.schedule)
        if not self.adaptive and not isinstance(self.estimator, SiameseEstimator):
            raise ValueError("adaptive: false needs our own tracker, whose preprocessors can be gone around")
        if self.eot is not None:
            Jitter.from_dict(self.eot)
        self._objective(torch.zeros(1, 4))


def _resize(patch: Tensor, patch_hw: tuple[int, int]) -> Tensor:
    if patch.shape[:2] == patch_hw:
        return patch
    channels_first = patch.permute(2, 0, 1)[None]
    resized = F.interpolate(channels_first, size=patch_hw, mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).clamp(0, 1)
