"""Training of SiamRPN trackers, with the keypoint head (MTL) or without (STL), on pairs of crops; or of the head alone.

A SiamRPN++ is trained further if the run starts from one.

L = 1.0 classification + 1.2 localisation + lambda_K keypoints (Das et al. 2022, Eq. 2, with PySOT's loss weights).

In training the network takes inputs of about unit size, which half precision needs. The exported weights take PySOT's
BGR in 0..255: the scaling is folded into the first convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from armory_skelevision.networks import AnchorNetwork, RPNOutput, SiamRPN
from armory_skelevision.networks.keypoint_head import TEMPLATE_SIZE
from armory_skelevision.tracking.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    keypoint_bce,
    keypoint_distance,
    keypoint_softmax,
)
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.data.loading import Batch, describe_pairs
from armory_skelevision.training.input_scaling import fold_scaling, load_initial_weights, normalise
from armory_skelevision.training.licence import UNKNOWN, find_licence
from armory_skelevision.training.run_folder import WEIGHTS
from armory_skelevision.training.settings import MultitaskSettings, shares_of
from armory_skelevision.training.targets import mean_iou
from armory_skelevision.training.videos import read_videos, score_videos
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.architectures import ARCHITECTURES, SIAMRPN
from armory_skelevision.weights.loading import read_kind, read_metadata, save_weights
from armory_skelevision.weights.metadata import START, Metadata


class MultitaskTraining(TrainingBody):
    """The training loop's body; see the base class."""

    settings: MultitaskSettings
    validated: tuple[str, ...] = ("mean_iou", "validation_keypoints")

    def __init__(self, settings: MultitaskSettings) -> None:
        super().__init__(settings)
        self._videos = read_videos(settings.validation_videos)
        if settings.train_only is None:
            self.monitor = "video_iou" if self._videos else "mean_iou"
        else:
            self.monitor = "-validation_keypoints"
        self.validated = (*self.validated, "video_iou", *(f"video_iou {each}" for each in settings.validation_videos))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = _make_network(settings)
        if settings.init is not None:
            load_initial_weights(self.network, settings.init)
        self._start = read_metadata(settings.init) if settings.init is not None else None
        if settings.train_only == "keypoint_head":
            self.network.requires_grad_(False)
            self.network.get_submodule("keypoint_head").requires_grad_(True)
        convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        losses = {"softmax": keypoint_softmax, "bce": keypoint_bce}
        self._keypoint_loss = losses.get(settings.keypoint_loss, partial(keypoint_distance, size=TEMPLATE_SIZE))

    @property
    def base_size(self) -> int:
        """That of the trained network; see `networks.AnchorNetwork`."""
        return self.network.base_size

    def input_files(self) -> dict[str, Path]:
        """The weights that the run starts from."""
        return {} if self.settings.init is None else {"init": Path(self.settings.init)}

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar; its parts are logged."""
        return self._tracking_loss(batch) if self.settings.train_only is None else self._head_loss(batch)

    def _tracking_loss(self, batch: Batch, features: Sequence[Tensor] | None = None) -> Tensor:
        """The whole loss of Eq. 2; ``features`` are those of the batch's crops, where they are known."""
        crops = (batch.template, batch.search)
        template, search = features or [self.network.embed(normalise(crop)) for crop in crops]
        output = self.network.predict_head(template, search)
        cls, loc = self.tracking_losses(output, batch)
        loss = CLASSIFICATION_WEIGHT * cls + LOCALISATION_WEIGHT * loc
        self._log_by_store(output, batch)
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            loss = loss + self.settings.lambda_k * keypoints
            self.log("keypoints", keypoints)
        self.log_dict({"cls": cls, "loc": loc}, prog_bar=True)
        return loss

    @torch.no_grad()
    def _log_by_store(self, output: RPNOutput, batch: Batch) -> None:
        """Log the tracking loss of the pairs of each store, if there are several."""
        folders = list(shares_of("store", self.settings.store))
        for number, folder in enumerate(folders if len(folders) > 1 else []):
            chosen = batch.source == number
            if chosen.any():
                part = Batch(*(values[chosen] for values in batch))
                cls, loc = self.tracking_losses(RPNOutput(*(values[chosen] for values in output)), part)
                self.log(f"loss {folder}", CLASSIFICATION_WEIGHT * cls + LOCALISATION_WEIGHT * loc)

    def _keep_statistics(self) -> None:
        """Let BatchNorm use the statistics that it has: those of attacked or poisoned batches differ from them."""
        for module in self.network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()

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
        self.log("mean_iou", mean_iou(output, batch.box_xyxy, self.base_size), prog_bar=True, batch_size=count)
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            self.log("validation_keypoints", keypoints, batch_size=count)

    def on_validation_epoch_end(self) -> None:
        """Log the mean IoU over whole validation videos: of each folder, and the mean over all folders."""
        if self._videos:
            architecture = ARCHITECTURES[str(self.network.architecture)]
            constants = architecture.settings.from_dict(self.settings.tracking, "tracking", architecture.constants)
            scores = score_videos(self._tracker(), self._videos, constants)
            self.log("video_iou", sum(scores.values()) / len(scores), prog_bar=True)
            self.log_dict({f"video_iou {folder}": score for folder, score in scores.items()})

    def _tracker(self) -> AnchorNetwork:
        """A copy of the network that takes the input of trackers, on the CPU."""
        network = deepcopy(self.network).cpu().eval()
        fold_scaling(network)
        return network

    def export(self, logged: dict[str, float]) -> Path:
        """Write the weights for PySOT's input and with the metadata of the run; see the base class."""
        settings, start = self.settings, self._start
        terms = None if settings.init is None else start.licence if start else UNKNOWN
        exported = self._tracker()
        convert_conv2d_weight_memory_format(exported, torch.contiguous_format)
        metadata = Metadata(
            keypoint_head=settings.keypoint_head,
            architecture=str(self.network.architecture),
            lambda_k=settings.lambda_k,
            training=_describe(settings, logged, start),
            licence=find_licence(settings, terms),
            seed=settings.seed,
            # Training on clean pairs may leave a backdoor in place, so weights that start from one are marked too.
            backdoor=settings.poison is not None or (start is not None and start.backdoor),
            tracking=settings.tracking,
        )
        path = Path(settings.folder) / WEIGHTS
        save_weights(exported, path, metadata)
        return path


def _make_network(settings: MultitaskSettings) -> AnchorNetwork:
    """The network to be trained, with random weights: that of ``init``, or else SiamRPN with AlexNet."""
    architecture = SIAMRPN if settings.init is None else read_kind(settings.init).architecture
    if architecture == SIAMRPN or architecture not in ARCHITECTURES:
        return SiamRPN(settings.keypoint_head)
    if settings.keypoint_head is not None:
        raise InvalidValueError("keypoint_head", f"null with {architecture}", repr(settings.keypoint_head))
    network = ARCHITECTURES[architecture].make()
    if not isinstance(network, AnchorNetwork):
        raise InvalidValueError("init", "weights of a SiamRPN or SiamRPN++", f"those of {architecture}")
    return network


def _describe(settings: MultitaskSettings, logged: dict[str, float], start: Metadata | None) -> str:
    """The training in words; ``start`` are the metadata of the weights it started from."""
    procedure = "" if settings.procedure is None else f"{settings.procedure}; "
    if settings.train_only is None:
        name, what = ("video_iou", "mean IoU of videos") if settings.validation_videos else ("mean_iou", "mean IoU")
        part, score = "", f"{what} {logged.get(name, math.nan):.3f}"
    else:
        part = "the keypoint head alone: "
        score = f"keypoint loss {logged.get('validation_keypoints', math.nan):.3f}"
    if settings.init is None:
        origin = "; from random weights"
    else:
        origin = f"{START}{start.training}" if start else f"; from {Path(settings.init).name}, of unknown origin"
    return (
        f"{procedure}{part}{settings.steps} steps of {settings.batch_size} {describe_pairs(settings.store)}, AdamW, "
        f"learning rate {settings.learning_rate}, {settings.precision}; validation {score}{origin}"
    )
