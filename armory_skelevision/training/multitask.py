"""Training of SiamRPN trackers, with the keypoint head (MTL) or without (STL), on pairs of crops; or of the head alone.

L = 1.0 classification + 1.2 localisation + lambda_K keypoints (Das et al. 2022, Eq. 2, on PySOT's weights).

While training, the network sees inputs of about unit size, which half precision wants; what is written to disk takes
PySOT's BGR 0..255, the scaling being folded into the first convolution.
"""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from armory_skelevision.boxes import cxcywh_to_xyxy, iou
from armory_skelevision.networks import RPNOutput, SiamRPN
from armory_skelevision.networks.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    classification_loss,
    keypoint_bce,
    keypoint_softmax,
    localisation_loss,
)
from armory_skelevision.tracking.anchors import anchors_cxcywh
from armory_skelevision.training.data import Batch, PairModule
from armory_skelevision.training.export import write_weights
from armory_skelevision.training.scaling import load_start, normalise
from armory_skelevision.training.schedule import rate_factor
from armory_skelevision.training.settings import Settings, read_settings
from armory_skelevision.training.targets import add_hard_negatives


class MultitaskTraining(LightningModule):
    """The training loop's body.

    Args:
        settings: The run's settings.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = SiamRPN(settings.keypoint_head)
        if settings.init is not None:
            load_start(self.network, settings.init)
        if settings.train_only == "keypoint_head":
            self.network.requires_grad_(False)
            self.network.get_submodule("keypoint_head").requires_grad_(True)
        convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        self._keypoint_loss = keypoint_softmax if settings.keypoint_loss == "softmax" else keypoint_bce

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch; all parts are logged."""
        loss = self._tracking_step(batch) if self.settings.train_only is None else self._keypoint_step(batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.global_step}; see the last checkpoint")
        self.log("loss", loss)
        return loss

    def _tracking_step(self, batch: Batch) -> Tensor:
        """The loss of everything, Eq. 2."""
        template = self.network.embed(normalise(batch.template))
        output = self.network.respond(template, self.network.embed(normalise(batch.search)))
        output = RPNOutput(output.cls.float(), output.loc.float())
        labels = add_hard_negatives(batch.labels, output.cls, batch.background, self.settings.hard_negatives)
        cls = classification_loss(output.cls, labels)
        loc = localisation_loss(output.loc, batch.deltas, batch.weights)
        loss = CLASSIFICATION_WEIGHT * cls + LOCALISATION_WEIGHT * loc
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            loss = loss + self.settings.lambda_k * keypoints
            self.log("keypoints", keypoints)
        self.log_dict({"cls": cls, "loc": loc}, prog_bar=True)
        return loss

    def _keypoint_step(self, batch: Batch) -> Tensor:
        """The loss of the keypoint head alone. Nothing in the frozen tracker changes, nor do its norms' statistics."""
        self.network.backbone.eval()
        with torch.no_grad():
            template = self.network.embed(normalise(batch.template))
        return self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Mean IoU of the box that scores best, and the keypoint loss."""
        template, count = self.network.embed(normalise(batch.template)), len(batch.box_xyxy)
        output = self.network.respond(template, self.network.embed(normalise(batch.search)))
        overlap = iou(best_boxes_xyxy(output), batch.box_xyxy)
        self.log("mean_iou", overlap.mean(), prog_bar=True, batch_size=count)
        if self.network.keypoint_head is not None:
            keypoints = self._keypoint_loss(self.network.keypoints(template).float(), batch.keypoints)
            self.log("validation_keypoints", keypoints, batch_size=count)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW without decay of biases and norms, its learning rate changing step by step."""
        settings = self.settings
        learned = [p for p in self.parameters() if p.requires_grad]
        kernels = [p for p in learned if p.dim() > 1]
        others = [p for p in learned if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(rate_factor, settings))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(settings: Settings, resume: bool = False, training: MultitaskTraining | None = None) -> Path:
    """Run a training to its end.

    Args:
        settings: What to do.
        resume: Go on from the last checkpoint in ``settings.folder``, if there is one.
        training: The loop's body; None for the one here.

    Returns:
        ``weights.safetensors`` of the checkpoint with the best validation, or of the last step where a backdoor is put
        in, as its validation only says how well the tracker hides it.

    Raises:
        OSError, ValueError: Stores or initial weights are missing or unusable.
        FloatingPointError: The loss is no longer finite.
    """
    folder = Path(settings.folder)
    last = _last_checkpoint(folder) if resume else None
    training = training or MultitaskTraining(settings)
    head_alone = settings.train_only is not None
    best = ModelCheckpoint(
        folder,
        "best-{step}",
        monitor="validation_keypoints" if head_alone else "mean_iou",
        mode="min" if head_alone else "max",
    )
    every = timedelta(minutes=settings.checkpoint_minutes)
    trainer = Trainer(
        devices=1,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        max_steps=settings.steps,
        max_epochs=-1,
        val_check_interval=settings.validation_steps,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=[best, ModelCheckpoint(folder, "resume-{step}", train_time_interval=every)],
        logger=_make_loggers(settings),
        log_every_n_steps=10,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )
    pairs = PairModule(settings, _step_of(last) if last else 0)
    trainer.fit(training, datamodule=pairs, ckpt_path=last, weights_only=True)
    score = math.nan if best.best_model_score is None else float(best.best_model_score)
    if settings.poison is not None:
        score = float(trainer.callback_metrics.get("mean_iou", math.nan))
    elif best.best_model_path:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
        training.load_state_dict(state)
    return write_weights(training.network, settings, score)


def best_boxes_xyxy(output: RPNOutput) -> Tensor:
    """The box of the best-scored anchor of each pair, in search-crop pixels: (N, 4)."""
    count, score_size = len(output.cls), output.cls.shape[-1]
    middle = (127 + 8 * (score_size - 1)) / 2
    scores = output.cls.float().reshape(count, 2, -1)
    best = (scores[:, 1] - scores[:, 0]).argmax(dim=1)
    rows = torch.arange(count, device=best.device)
    delta = output.loc.float().reshape(count, 4, -1)[rows, :, best]
    anchor = anchors_cxcywh(score_size).to(best.device)[best]
    centre = delta[:, :2] * anchor[:, 2:] + anchor[:, :2] + middle
    return cxcywh_to_xyxy(torch.cat([centre, delta[:, 2:].exp() * anchor[:, 2:]], dim=1))


def _make_loggers(settings: Settings) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(settings.folder, name="curves")]
    if settings.tensorboard:
        # Where TensorFlow is installed, TensorBoard's writer loads it: some seconds, and hundreds of megabytes.
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(settings.folder, name="tensorboard"))
    return loggers


def _last_checkpoint(folder: Path) -> Path | None:
    return max(folder.glob("resume-step=*.ckpt"), key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("step=")[2].partition("-")[0])


def main(arguments: list[str]) -> None:
    """``python -m armory_skelevision.training.multitask SETTINGS.json [--resume]``."""
    files = [argument for argument in arguments if argument != "--resume"]
    if len(files) != 1:
        raise SystemExit("usage: python -m armory_skelevision.training.multitask SETTINGS.json [--resume]")
    print(train(read_settings(files[0]), resume="--resume" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
