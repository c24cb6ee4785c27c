"""The base of attacks that show a patch on a screen in the scene: reading scenes, rendering, recording, exporting."""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision.attacks.gradients import CropGradient, EstimatorGradient, TrackerGradient
from armory_skelevision.attacks.interface import (
    Metadata,
    TrackerAttack,
    check_call,
    check_metadata,
    dtype_of,
    record_result,
    stack_videos,
)
from armory_skelevision.attacks.optimizer import BestIterate
from armory_skelevision.attacks.patch.checkpoints import record_mean_iou
from armory_skelevision.attacks.patch.eot import EOT
from armory_skelevision.attacks.patch.files import check_export_folder, refuse_exported, write_patch
from armory_skelevision.attacks.patch.reach import frames_in_reach, response_size
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.inputs import check_labels
from armory_skelevision.networks.inference import warn_of_slow_bf16
from armory_skelevision.validation import InvalidValueError

REACH = "reach"
"""The key in ARMORY's results."""

log = logging.getLogger(__name__)


class ScreenAttack(TrackerAttack):
    """Base of attacks that show one static patch per video, or one for all of them.

    Subclasses have the settings ``universal``, ``checkpoints``, ``adaptive``, ``eot``, ``export``, ``memory``,
    ``precision`` and ``verbose``.

    Attributes:
        mean_iou: Per attacked video the mean IoU at each checkpoint, ``{steps: mean IoU}``.
        reach: Per attacked video the share of frames in which a perfect distractor on the screen could win at all, see
            `frames_in_reach`; None for a third-party tracker, whose constants are unknown.
    """

    universal: bool
    checkpoints: Sequence[int]
    adaptive: bool
    eot: Any
    export: Any
    memory: Any
    precision: Any

    def __init__(self, estimator: Any, **settings: Any) -> None:
        self._videos = 0
        super().__init__(estimator, **settings)
        self.mean_iou: list[dict[int, float]] = []
        self.reach: list[float | None] = []

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
                the folder ``export`` has a patch of one of the numbers already.
        """
        videos = check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        dtype, scenes = dtype_of(x, videos), self._read_scenes(videos, y, y_patch_metadata)
        groups = [scenes] if self.universal else [[scene] for scene in scenes]
        if self.export is not None:
            for number in range(len(groups)):
                refuse_exported(self.export, self._name(number))
        patched = []
        for group in groups:
            patches = self.run(group)
            final, checkpoints = patches[max(patches)], {k: patches[k] for k in patches if k in self.checkpoints}
            self._export(final)
            if self.checkpoints:
                self.mean_iou += [record_mean_iou(self.estimator, each, checkpoints, videos[0].dtype) for each in group]
            self.reach += [self._record_reach(scene) for scene in group]
            patched += [scene.render(final.image) for scene in group]
        return stack_videos(patched, dtype)

    @abstractmethod
    def run(self, scenes: Sequence[PatchScene]) -> dict[int, BestIterate]:
        """The whole attack on scenes that share one patch.

        Returns:
            The patch (h, w, 3), RGB in [0, 1], that is kept at each checkpoint and, under the highest number, at the
            end.
        """

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

    def _record_reach(self, scene: PatchScene) -> float | None:
        """The share of frames in reach, which an ARMORY run also writes to its result file."""
        if not isinstance(self.estimator, SiameseEstimator):
            return None
        settings = self.estimator.settings
        share = float(frames_in_reach(scene, settings, response_size(self.estimator.model, settings)).mean())
        if self.records:
            record_result(REACH, share)
        return share

    def _transformations(self) -> EOT | None:
        return EOT.from_dict(self.eot, "eot") if self.eot is not None else None

    def _export(self, patch: BestIterate) -> None:
        log.info("%s: %.6g", self._name(), patch.value)
        if self.export is not None:
            settings = {name: getattr(self, name) for name in self.attack_params if name != "verbose"}
            paths = {name: os.fspath(value) for name, value in settings.items() if isinstance(value, os.PathLike)}
            described = {**settings, **paths, "value": patch.value}
            write_patch(Path(self.export) / self._name(), patch.image.cpu().numpy(), described)
        self._videos += 1

    def _name(self, further: int = 0) -> str:
        """The name of the next patch, or of one that follows it."""
        return f"patch_{self._videos + further:03d}"

    def _check_params(self) -> None:
        super()._check_params()
        if not self.adaptive and not isinstance(self.estimator, SiameseEstimator):
            fix = "only the preprocessors of this package's trackers can be bypassed"
            raise InvalidValueError("adaptive", "true for a third-party tracker", "false", fix)
        self._transformations()
        if self.export is not None:
            check_export_folder(self.export)
