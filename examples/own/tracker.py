"""A tracker of one's own: it looks for the place that is most like the target in frame 0 (normalised correlation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from torch import Tensor

from armory_skelevision.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from armory_skelevision.models.inputs import check_box, check_labels, check_video
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.validation import check_known

TEMPLATE_SIDE = 16
"""Of the picture of the target, in pixels; the picture in which it is sought is twice as wide and high."""


def correlation_tracker(
    model_kwargs: Mapping[str, Any], wrapper_kwargs: Mapping[str, Any], weights_path: str | None = None
) -> CorrelationTracker:
    """What a config's ``model`` names; ARMORY calls it with these three. There are no weights to load."""
    check_known("model_kwargs", model_kwargs, ["sharpness"])
    check_known("wrapper_kwargs", wrapper_kwargs, [])
    return CorrelationTracker(**model_kwargs)


class CorrelationTracker(ObjectTrackerMixin, LossGradientsMixin, BaseEstimator):  # type: ignore[misc]
    """Moves the first box to where the template fits best, and keeps its size.

    Args:
        sharpness: How much better a better fit counts, from 0; the place is a mean over all, which has a gradient.
    """

    estimator_params = [*BaseEstimator.estimator_params, "sharpness"]
    native_label_is_pytorch_format = True
    input_shape = (None, None, None, 3)
    device = torch.device("cpu")

    def __init__(self, sharpness: float = 30.0) -> None:
        super().__init__(model=None, clip_values=(0.0, 1.0))
        self.sharpness = sharpness

    def predict(self, x: Any, batch_size: int = 1, *, y_init: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Boxes (F, 4) for each video (F, H, W, 3): arrays for arrays; for tensors, tensors with a graph."""
        found: list[dict[str, Any]] = []
        for index, (video, box) in enumerate(zip(x, y_init, strict=True)):
            check_video(video, f"x[{index}]")
            box_xyxy = check_box(box, video.shape[2], video.shape[1], f"y_init[{index}]")
            if isinstance(video, np.ndarray):
                found.append({"boxes": self._track(torch.tensor(video), box_xyxy).numpy()})
            else:
                found.append({"boxes": self._track(video, box_xyxy)})
        return found

    def loss_gradient(self, x: Any, y: Sequence[Mapping[str, Any]], **kwargs: Any) -> np.ndarray:
        """Gradient of the sum of absolute box errors with respect to the videos, for attacks such as PGD."""
        gradients = []
        for video, boxes in zip(x, check_labels(y, x), strict=True):
            leaf, truth_xyxy = torch.tensor(video, requires_grad=True), torch.as_tensor(boxes)
            loss = (self._track(leaf, truth_xyxy[0]) - truth_xyxy).abs().sum()
            gradients.append(torch.autograd.grad(loss, leaf)[0].numpy())
        return np.stack(gradients)

    def fit(self, x: Any, y: Any, **kwargs: Any) -> None:
        """Nothing is learned."""
        raise NotImplementedError("there is nothing to train")

    def _track(self, video: Tensor, box_xyxy: Tensor) -> Tensor:
        # ARMORY hands defenses over through ART's attribute; whoever forgets them here evaluates without them
        video = preprocess(video.float(), self.preprocessing_operations)
        first_cxcywh = xyxy_to_cxcywh(box_xyxy.float())
        centre_xy, size_wh = first_cxcywh[:2], first_cxcywh[2:]
        template = _cut(video[0], centre_xy, size_wh, TEMPLATE_SIDE)
        found = [first_cxcywh]
        for frame in video[1:]:
            search = _cut(frame, centre_xy, 2 * size_wh, 2 * TEMPLATE_SIDE)
            centre_xy = centre_xy + self._find(template, search) * size_wh
            found.append(torch.cat([centre_xy, size_wh]))
        return cxcywh_to_xyxy(torch.stack(found))

    def _find(self, template: Tensor, search: Tensor) -> Tensor:
        """How far the template's place lies from the middle of the search picture: (2,), in widths and heights."""
        fit = _correlate(template, search)
        weights = (self.sharpness * fit).flatten().softmax(dim=0).view_as(fit)
        places = torch.linspace(-0.5, 0.5, len(fit))
        return torch.stack([(weights.sum(dim=0) * places).sum(), (weights.sum(dim=1) * places).sum()])


def _cut(frame: Tensor, centre_xy: Tensor, size_wh: Tensor, side: int) -> Tensor:
    """A part of a frame (H, W, 3), resized to a square: (1, 3, side, side). Its place is a constant to the gradient."""
    frame_wh = torch.tensor([frame.shape[1], frame.shape[0]])
    theta = torch.cat([torch.diag(size_wh / frame_wh), (2 * centre_xy / frame_wh - 1)[:, None]], dim=1)
    grid = F.affine_grid(theta.detach()[None], [1, 3, side, side], align_corners=False)
    return F.grid_sample(frame.permute(2, 0, 1)[None], grid, padding_mode="border", align_corners=False)


def _correlate(template: Tensor, search: Tensor) -> Tensor:
    """Correlation in [-1, 1] of the template (1, 3, t, t) with each place of the search picture (1, 3, 2t, 2t)."""
    places = F.unfold(search, TEMPLATE_SIDE)[0].T
    wanted = template.flatten()
    places, wanted = places - places.mean(dim=1, keepdim=True), wanted - wanted.mean()
    fit = places @ wanted / (places.norm(dim=1) * wanted.norm()).clamp(min=1e-6)
    square: Tensor = fit.view(TEMPLATE_SIDE + 1, TEMPLATE_SIDE + 1)
    return square
