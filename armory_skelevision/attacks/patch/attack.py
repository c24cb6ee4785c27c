"""The adversarial patch on a screen in the scene (SkeleVision, section 3.3; Wiyatno and Xu 2019)."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.gradients import CropGradient, EstimatorGradient, Memory, Precision, TrackerGradient
from armory_skelevision.attacks.interface import (
    Metadata,
    TrackerAttack,
    check_call,
    check_metadata,
    dtype_of,
    stack_videos,
)
from armory_skelevision.attacks.objectives import Loss, Objective, TargetBox, make_objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent, Keep, Schedule, Update
from armory_skelevision.attacks.patch.checkpoints import check_checkpoints, record_mean_iou
from armory_skelevision.attacks.patch.eot import EOT
from armory_skelevision.attacks.patch.files import check_export_folder, load_start, refuse_exported, write_patch
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.inputs import check_labels
from armory_skelevision.networks.inference import warn_of_slow_bf16
from armory_skelevision.validation import AnyPath, InvalidValueError, Range, Repeats, Seed, Step, Weight, WholeNumber

log = logging.getLogger(__name__)


class PatchAttack(TrackerAttack):
    """One static patch per video, or one for all of them, that moves the tracked box away from the true one.

    The patch is drawn in perspective, in the light of the scene and behind people in front of the screen. It is drawn
    only inside the windows that the tracker reads; whole frames are rendered where a full-frame preprocessor or a
    third-party estimator needs them.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        step_size: Size of each step, in units of the colour range [0, 1].
        max_iter: Number of iterations; 0 shows the first patch unchanged.
        loss: What is maximised: "l1" (box error; SkeleVision, Eq. 3), "expected_l1" (its mean over all proposals),
            "giou" (1 - GIoU), "score" (lowers the target's) or "targeted" (towards ``target_box``).
        target_box: For the loss "targeted": ``shift``, ``scale`` or ``box_xyxy``; see `TargetBox`.
        update: Direction of a step: "gradient", its "sign", or "accumulated_sign", that of the sum of all gradients.
        schedule: Step sizes: "constant", or "cosine", from ``step_size`` down to nearly 0.
        momentum: Weight of the previous direction; not with "accumulated_sign".
        keep: Whether the "best" iterate by the attack's own loss is kept, or the "last".
        checkpoints: Numbers of iterations after which the mean IoU is recorded that an attack of that length would
            reach. Not with "cosine", whose steps depend on ``max_iter``.
        restarts: Number of starts, the best of which is kept; all but the first are random.
        start: First patch: "grey" (0.5 everywhere) or "random" (uniform colours from ``seed``).
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
        start: Literal["grey", "random"] = "grey",
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
        self._videos = 0
        super().__init__(estimator, **settings)
        self.mean_iou: list[dict[int, float]] = []

    def generate(self, x: Any, y: Any = None, y_patch_metadata: Metadata = None, **kwargs: Any) -> np.ndarray:
        """Attack videos.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1], or a sequence of videos of any sizes.
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, or the dict of a single video; xyxy in pixels. The first box of
                each starts the tracker.
            y_patch_metadata: A dict for each video, or that of a single one: ``gs_coords`` ((4, 2) or (F, 4, 2)
                corners), ``masks`` ((F, H, W[, 3]), non-zero where the screen is visible) and optionally ``shading``
                (False shows the patch unshaded).

        Returns:
            The videos with their patches, same shape and dtype as ``x``.

        Raises:
            InvalidValueError, InvalidTypeError: For input that does not fit together, naming video and frame; also if
                the folder ``export`` has a patch of this number already.
        """
        if self.export is not None:
            refuse_exported(self.export, self._name())
        videos = check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        dtype, scenes = dtype_of(x, videos), self._read_scenes(videos, y, y_patch_metadata)
        patched = []
        for group in [scenes] if self.universal else [[scene] for scene in scenes]:
            patches = self.run(group)
            final, checkpoints = patches[self.max_iter], {k: patches[k] for k in patches if k in self.checkpoints}
            self._export(final)
            if self.checkpoints:
                self.mean_iou += [record_mean_iou(self.estimator, each, checkpoints, videos[0].dtype) for each in group]
            patched += [scene.render(final.image) for scene in group]
        return stack_videos(patched, dtype)

    def run(self, scenes: Sequence[PatchScene]) -> dict[int, BestIterate]:
        """The whole attack on scenes that share one patch.

        Returns:
            The best patch (h, w, 3) of all restarts, RGB in [0, 1], at each checkpoint and after ``max_iter`` steps.
        """
        ascent = GradientAscent(self.step_size, self.max_iter, self.update, self.schedule, self.momentum, self.keep)
        steps = sorted({*(step for step in self.checkpoints if step < self.max_iter), self.max_iter})
        restarts = []
        for restart in range(self.restarts):
            objective = self.make_objective(scenes, restart)
            start = self.make_start(scenes, restart).to(self.estimator.device)
            recorded: dict[int, BestIterate] = {}
            for step, best in enumerate(ascent.iterate(objective, start, partial(self._count_steps, restart))):
                if step in steps:
                    recorded[step] = best
            # A run without a gradient ends early, with the patch that it would keep.
            restarts.append({step: recorded.get(step, best) for step in steps})
        # Of equals max takes the first: a restart replaces an earlier one only if it is better.
        return {step: max((kept[step] for kept in restarts), key=lambda iterate: iterate.value) for step in steps}

    def make_objective(self, scenes: Sequence[PatchScene], restart: int) -> PatchObjective:
        """The objective of a patch on some scenes; transformations follow the seed and the number of the restart."""
        tracker = self._tracker_gradient()
        eot = EOT.from_dict(self.eot, "eot") if self.eot is not None else None
        rng = np.random.default_rng([self.seed, restart])
        objective = partial(self._make_video_objective, tracker)
        return PatchObjective(scenes, tracker, objective, eot, rng, self.tv_weight, self.print_weight)

    def make_start(self, scenes: Sequence[PatchScene], restart: int) -> Tensor:
        """The first patch (h, w, 3) of a restart, RGB in [0, 1], as large as the largest screen of the scenes."""
        patch_hw = (max(scene.patch_hw[0] for scene in scenes), max(scene.patch_hw[1] for scene in scenes))
        if restart == 0 and self.patch_init is not None:
            return load_start(self.patch_init, self._name(), patch_hw)
        if restart == 0 and self.start == "grey":
            return torch.full((*patch_hw, 3), 0.5, dtype=torch.float32)
        generator = torch.Generator().manual_seed(self.seed + restart)
        return torch.rand((*patch_hw, 3), generator=generator, dtype=torch.float32)

    def _read_scenes(self, videos: Sequence[np.ndarray], y: Any, metadata: Any) -> list[PatchScene]:
        labels = check_labels(y, videos)
        warn_of_slow_bf16(self.precision, torch.device(self.estimator.device))
        triples = zip(videos, labels, check_metadata(metadata, videos), strict=True)
        return [
            read_scene(video, boxes_xyxy, each, self.estimator.device, index)
            for index, (video, boxes_xyxy, each) in enumerate(triples)
        ]

    def _tracker_gradient(self) -> TrackerGradient:
        tracker = self.estimator
        if not isinstance(tracker, SiameseEstimator) or (self.adaptive and tracker.frame_operations):
            return EstimatorGradient(tracker)
        defenses = tracker.region_defenses if self.adaptive else []
        return CropGradient(tracker.model.eval(), tracker.settings, self.memory, self.precision, defenses)

    def _make_video_objective(self, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
        target_box = TargetBox.from_dict(self.target_box, "target_box") if self.target_box is not None else None
        return make_objective(self.loss, truth_xyxy, target_box, tracker.settings)

    def _count_steps(self, restart: int, count: int) -> Any:
        title = "Patch" if self.restarts == 1 else f"Patch {restart + 1}/{self.restarts}"
        return self._progress(range(count), title, "step")

    def _export(self, patch: BestIterate) -> None:
        log.info("%s: %s %.6g", self._name(), self.loss, patch.value)
        if self.export is not None:
            settings = {name: getattr(self, name) for name in self.attack_params if name != "verbose"}
            paths = {name: os.fspath(value) for name, value in settings.items() if isinstance(value, os.PathLike)}
            described = {**settings, **paths, "value": patch.value}
            write_patch(Path(self.export) / self._name(), patch.image.cpu().numpy(), described)
        self._videos += 1

    def _name(self) -> str:
        return f"patch_{self._videos:03d}"

    def _check_params(self) -> None:
        super()._check_params()
        if self.momentum and self.update == "accumulated_sign":
            fix = "this update keeps all earlier directions already; use update 'sign'"
            raise InvalidValueError("momentum", "0 with update 'accumulated_sign'", repr(self.momentum), fix)
        check_checkpoints(self.checkpoints, self.max_iter, self.schedule)
        if not self.adaptive and not isinstance(self.estimator, SiameseEstimator):
            fix = "only the preprocessors of this package's trackers can be bypassed"
            raise InvalidValueError("adaptive", "true for a third-party tracker", "false", fix)
        if self.patch_init is not None:
            load_start(self.patch_init, "patch_000", (1, 1))
        if self.export is not None:
            check_export_folder(self.export)
        self._check_seed()
        self._make_video_objective(self._tracker_gradient(), torch.zeros(1, 4))

    def _check_seed(self) -> None:
        """Refuse a seed where nothing is random: runs over several seeds would be the same run."""
        eot = EOT.from_dict(self.eot, "eot") if self.eot is not None else EOT()
        drawn = self.start == "random" and self.patch_init is None
        if self.seed != 0 and not (drawn or self.restarts > 1 or eot.is_random):
            expected = "0 where nothing is random"
            fix = 'leave it out, or draw something from it: "start": "random", more than one of restarts, or eot'
            raise InvalidValueError("seed", expected, str(self.seed), fix)
