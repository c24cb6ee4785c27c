"""Training of SiamRPN trackers, with the keypoint head (MTL) or without (STL), on pairs of crops; or of the head alone.

L = 1.0 classification + 1.2 localisation + lambda_K keypoints (Das et al. 2022, Eq. 2, with PySOT's loss weights).

In training the network takes inputs of about unit size, which half precision needs. The exported weights take PySOT's
BGR in 0..255: the scaling is folded into the first convolution.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    keypoint_bce,
    keypoint_softmax,
)
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.export import export_weights
from armory_skelevision.training.input_scaling import load_initial_weights, normalise
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.training.targets import mean_iou


class MultitaskTraining(TrainingBody):
    """The training loop's body; see the base class."""

    settings: MultitaskSettings

    def __init__(self, settings: MultitaskSettings) -> None:
        super().__init__(settings)
        self.monitor = "mean_iou" if settings.train_only is None else "-validation_keypoints"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = SiamRPN(settings.keypoint_head)
        if settings.init is not None:
            load_initial_weights(self.network, settings.init)
        if settings.train_only == "keypoint_head":
            self.network.requires_grad_(False)
            self.network.get_submodule("keypoint_head").requires_grad_(True)
        convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        self._keypoint_loss = keypoint_softmax if settings.keypoint_loss == "softmax" else keypoint_bce

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar; its parts are logged."""
        return self._tracking_loss(batch) if self.settings.train_only is None else self._head_loss(batch)

    def _tracking_loss(self, batch: Batch) -> Tensor:
        """The whole loss of Eq. 2."""
        template = self.network.embed(normalise(batch.template))
        output = self.network.predict_head(template, self.network.embed(normalise(batch.search)))
        cls, loc = self.tracking_losses(output, batch)
        loss = CLASSIFICATION_WEIGHT * cls + LOCALISATION_WEIGHT * loc
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            loss = loss + self.settings.lambda_k * keypoints
            self.log("keypoints", keypoints)
        self.log_dict({"cls": cls, "loc": loc}, prog_bar=True)
        return loss

    def _head_loss(self, batch: Batch) -> Tensor:
        """The loss of the keypoint head alone. The frozen tracker stays as it is, BatchNorm's statistics included."""
        self.network.backbone.eval()
        with torch.no_grad():
            template = self.network.embed(normalise(batch.template))
        return self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log the mean IoU of the boxes with the highest scores, and the keypoint loss."""
        template, count = self.network.embed(normalise(batch.template)), len(batch.box_xyxy)
        output = self.network.predict_head(template, self.network.embed(normalise(batch.search)))
        self.log("mean_iou", mean_iou(output, batch.box_xyxy), prog_bar=True, batch_size=count)
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            self.log("validation_keypoints", keypoints, batch_size=count)

    def export(self, logged: dict[str, float]) -> Path:
        """See `export_weights`."""
        score = "mean_iou" if self.settings.train_only is None else "validation_keypoints"
        return export_weights(self.network, self.settings, logged.get(score, math.nan))
