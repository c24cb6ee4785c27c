"""The adversarial patch on a screen in the scene (SkeleVision, section 3.3; Wiyatno and Xu 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor
from tqdm.auto import trange

from armory_skelevision.attacks.metadata import PatchMetadata, read_metadata
from armory_skelevision.attacks.screen import PatchedFrames, view_screens
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.models.validation import check_box, check_labels, check_video
from armory_skelevision.tracking import Frames, VideoFrames
from armory_skelevision.tracking.frames import as_tensor

Update = Literal["sign", "gradient", "accumulated_sign"]
Start = Literal["grey", "random"]


class PatchAttack(EvasionAttack):  # type: ignore[misc]
    """One static patch per video that drives the tracked box away from the true one.

    Ascends the sum of absolute box errors over all frames (SkeleVision, Eq. 3). The patch is drawn in perspective, in
    the light of the scene and behind whoever walks before it, and only inside the windows that the tracker reads;
    whole frames are rendered where a full-frame preprocessor or another maker's estimator needs them.

    Args:
        estimator: The tracker; ours, or any of ART's object trackers that takes tensors.
        step_size: Step of each iteration, in units of the colour range [0, 1].
        max_iter: Number of iterations.
        update: "sign" steps along the sign of the gradient; "gradient" along the gradient itself (SkeleVision, Eq. 4);
            "accumulated_sign" along the sign of the sum of all gradients so far, as the published tables were made.
        start: "grey" (0.5 everywhere) or "random" (uniform colours from ``seed``).
        seed: Seed of a random start.
        verbose: Show a progress bar (on terminals).

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    attack_params = [*EvasionAttack.attack_params, "step_size", "max_iter", "update", "start", "seed", "verbose"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        step_size: float = 0.1,
        max_iter: int = 100,
        update: Update = "sign",
        start: Start = "grey",
        seed: int = 0,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.step_size = step_size
        self.max_iter = max_iter
        self.update = update
        self.start = start
        self.seed = seed
        self.verbose = verbose
        self._check_params()

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1].
            y: True boxes, ``[{"boxes": (F, 4)}, …]``; the first box of each starts the tracker.
            y_patch_metadata: Per video ``gs_coords`` ((4, 2) or (F, 4, 2) corners), ``masks`` ((F, H, W[, 3]), non-zero
                where the screen is visible) and optionally ``shading`` (False shows the patch unshaded).

        Returns:
            The videos with their patches, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, naming video and frame.
        """
        if kwargs:
            raise TypeError(f"generate: unknown keywords {sorted(kwargs)}; known are ['x', 'y', 'y_patch_metadata']")
        for index, video in enumerate(x):
            check_video(video, f"x[{index}]")
        labels = check_labels(y, x)
        if y_patch_metadata is None or len(y_patch_metadata) != len(x):
            raise ValueError(f"y_patch_metadata: expected one dict for each of {len(x)} videos")
        patched = [
            self._attack_video(video, boxes, read_metadata(metadata, video.shape, f"y_patch_metadata[{index}]"), index)
            for index, (video, boxes, metadata) in enumerate(zip(x, labels, y_patch_metadata, strict=True))
        ]
        return np.stack(patched).astype(x.dtype) if len({video.shape for video in patched}) == 1 else _objects(patched)

    def _attack_video(self, x: Any, boxes: Any, metadata: PatchMetadata, index: int) -> np.ndarray:
        device = self.estimator.device
        video = VideoFrames(as_tensor(x, device).float())
        check_box(boxes[0], video.width, video.height, f"y[{index}] frame 0")
        boxes_xyxy = torch.as_tensor(boxes).to(device)
        views = view_screens(video, metadata.corners_xy, metadata.masks, metadata.shaded)
        patch = self._first_patch(metadata.patch_hw).to(device)
        total_gradient = torch.zeros_like(patch)
        for _ in trange(self.max_iter, desc="Patch", unit="step", disable=None if self.verbose else True, leave=False):
            patch.requires_grad_()
            loss = (self._predict(PatchedFrames(video, views, patch), boxes_xyxy[0]) - boxes_xyxy).abs().sum()
            if not loss.requires_grad:
                break  # The tracker never sees the screen: there is nothing to climb.
            (gradient,) = torch.autograd.grad(loss, patch)
            total_gradient += gradient
            patch = (patch.detach() + self.step_size * self._direction(gradient, total_gradient)).clamp(0, 1)
        with torch.no_grad():
            return PatchedFrames(video, views, patch).render().cpu().numpy()

    def _predict(self, frames: Frames, box_xyxy: Tensor) -> Tensor:
        """Boxes (F, 4) with a graph, through windows where that is enough and through whole frames where not."""
        if isinstance(self.estimator, SiamRPNEstimator) and not self.estimator.needs_whole_frames:
            return self.estimator.track(frames, box_xyxy)
        boxes: Tensor = self.estimator.predict(frames.render()[None], y_init=box_xyxy[None])[0]["boxes"]
        return boxes

    def _first_patch(self, patch_hw: tuple[int, int]) -> Tensor:
        if self.start == "grey":
            return torch.full((*patch_hw, 3), 0.5)
        return torch.rand((*patch_hw, 3), generator=torch.Generator().manual_seed(self.seed))

    def _direction(self, gradient: Tensor, total_gradient: Tensor) -> Tensor:
        if self.update == "gradient":
            return gradient
        return (gradient if self.update == "sign" else total_gradient).sign()

    def _check_params(self) -> None:
        super()._check_params()
        for name, choices in (("update", get_args(Update)), ("start", get_args(Start))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {choices}, got {getattr(self, name)!r}")
        if not self.step_size > 0:
            raise ValueError(f"step_size: expected a number above 0, got {self.step_size!r}")
        if not isinstance(self.max_iter, int) or self.max_iter < 1:
            raise ValueError(f"max_iter: expected a whole number from 1, got {self.max_iter!r}")
        if not isinstance(self.seed, int):
            raise ValueError(f"seed: expected a whole number, got {self.seed!r}")


def _objects(videos: list[np.ndarray]) -> np.ndarray:
    result = np.empty(len(videos), dtype=object)
    result[:] = videos
    return result
