"""An attack of one's own: plain colours on the screen, of which the one stays that the tracker loses most by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import check_call, check_metadata, stack_videos
from armory_skelevision.attacks.patch import PatchScene, read_scene
from armory_skelevision.boxes import iou
from armory_skelevision.models.inputs import check_labels
from armory_skelevision.validation import Count, WholeNumber, check_arguments


class PlainColours(EvasionAttack):  # type: ignore[misc]
    """Random plain colours, tried one after the other; the tracker is asked for boxes and nothing else.

    Args:
        estimator: Any of ART's object trackers.
        tries: How many colours.
        seed: Of the colours; every video is shown the same.
    """

    attack_params = [*EvasionAttack.attack_params, "tries", "seed"]
    _estimator_requirements = (BaseEstimator, ObjectTrackerMixin)

    def __init__(self, estimator: Any, tries: Count = 8, seed: WholeNumber = 0) -> None:
        super().__init__(estimator=estimator)
        self.tries = tries
        self.seed = seed
        self._check_params()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """The videos (N, F, H, W, 3) with the worst colour on their screens; ``y`` are the true boxes.

        ARMORY hands over one video at a time, its true boxes if the config says ``"use_label": true``, and where the
        screen is.
        """
        videos = check_call(x, kwargs, ["x", "y", "y_patch_metadata"])
        triples = zip(videos, check_labels(y, videos), check_metadata(y_patch_metadata, videos), strict=True)
        scenes = [
            read_scene(video, boxes, metadata, torch.device("cpu"), index)
            for index, (video, boxes, metadata) in enumerate(triples)
        ]
        return stack_videos([self._attack(scene) for scene in scenes], videos[0].dtype)

    def _attack(self, scene: PatchScene) -> np.ndarray:
        colours = np.random.default_rng(self.seed).random((self.tries, 3), dtype=np.float32)
        shown = (scene.render(torch.from_numpy(colour).expand(*scene.patch_hw, 3)) for colour in colours)
        return min(shown, key=lambda video: self._overlap(video, scene))

    def _overlap(self, video: np.ndarray, scene: PatchScene) -> float:
        """Mean IoU of the tracked boxes with the true ones, frame 0 left out."""
        first_xyxy = scene.truth_xyxy[:1].numpy()
        boxes_xyxy = self.estimator.predict(video[None], y_init=first_xyxy)[0]["boxes"]
        return float(iou(torch.as_tensor(boxes_xyxy), scene.truth_xyxy)[1:].mean())

    def _check_params(self) -> None:
        super()._check_params()
        check_arguments(type(self), vars(self))
