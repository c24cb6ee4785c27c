"""Training of SiamRPN trackers, with the keypoint head (MTL) or without (STL), on composed pairs.

L = 1.0 classification + 1.2 localisation + lambda_K keypoints (Das et al. 2022, Eq. 2, on PySOT's weights).

While training, the network sees inputs of about unit size, which half precision wants; what is written to disk takes
PySOT's BGR 0..255, the scaling being folded into the first convolution.
"""

from __future__ import annotations

import copy
import math
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from armory_skelevision.boxes import cxcywh_to_xyxy, iou
from armory_skelevision.networks import Metadata, RPNOutput, SiamRPN, read_metadata, save_weights
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
from armory_skelevision.training.scaling import load_start, normalise, take_raw_input
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
        convert_conv2d_weight_memory_format(self.network, torch.channels_last)
        self._keypoint_loss = keypoint_softmax if settings.keypoint_loss == "softmax" else keypoint_bce

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch; all parts are logged."""
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
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss.item()} at step {self.global_step}; see the last checkpoint")
        self.log_dict({"cls": cls, "loc": loc}, prog_bar=True)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Mean IoU of the box that scores best."""
        output = self.network(normalise(batch.template), normalise(batch.search))
        overlap = iou(best_boxes_xyxy(output), batch.box_xyxy)
        self.log("mean_iou", overlap.mean(), prog_bar=True, batch_size=len(overlap))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW without decay of biases and norms; linear warm-up, then a cosine to zero, step by step."""
        settings = self.settings
        kernels = [p for p in self.parameters() if p.dim() > 1]
        others = [p for p in self.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": kernels}, {"params": others, "weight_decay": 0.0}]
        optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / max(1, settings.warmup_steps))
            return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, step / settings.steps)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train(settings: Settings, resume: bool = False) -> Path:
    """Run a training to its end.

    Args:
        settings: What to do.
        resume: Go on from the last checkpoint in ``settings.folder``, if there is one.

    Returns:
        ``weights.safetensors`` of the checkpoint with the best validation.

    Raises:
        OSError, ValueError: Stores or initial weights are missing or unusable.
        FloatingPointError: The loss is no longer finite.
    """
    folder = Path(settings.folder)
    last = _last_checkpoint(folder) if resume else None
    training = MultitaskTraining(settings)
    best = ModelCheckpoint(folder, "best-{step}", monitor="mean_iou", mode="max")
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
        logger=CSVLogger(folder, name="curves"),
        log_every_n_steps=10,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
    )
    pairs = PairModule(settings, _step_of(last) if last else 0)
    trainer.fit(training, datamodule=pairs, ckpt_path=last, weights_only=True)
    if best.best_model_path:
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
        training.load_state_dict(state)
    return _write_weights(training.network, settings, best.best_model_score)


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


def _last_checkpoint(folder: Path) -> Path | None:
    return max(folder.glob("resume-step=*.ckpt"), key=_step_of, default=None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("step=")[2].partition("-")[0])


def _write_weights(network: SiamRPN, settings: Settings, score: Tensor | None) -> Path:
    exported = copy.deepcopy(network).cpu()
    convert_conv2d_weight_memory_format(exported, torch.contiguous_format)
    take_raw_input(exported)
    best = math.nan if score is None else float(score)
    summary = (
        f"{settings.steps} steps of {settings.batch_size} composed pairs of rendered people, AdamW, learning rate "
        f"{settings.learning_rate}, {settings.precision}; validation mean IoU {best:.3f}; "
        f"from {_describe_start(settings.init)}"
    )
    metadata = Metadata(
        keypoint_head=settings.keypoint_head,
        lambda_k=settings.lambda_k,
        training=summary,
        licence=settings.licence,
        seed=settings.seed,
    )
    path = Path(settings.folder) / "weights.safetensors"
    save_weights(exported, path, metadata)
    return path


def _describe_start(init: str | None) -> str:
    if init is None:
        return "random weights"
    metadata = read_metadata(init)
    return f"weights of: {metadata.training}" if metadata else f"{Path(init).name}, of unknown origin"


def main(arguments: list[str]) -> None:
    """``python -m armory_skelevision.training.multitask SETTINGS.json [--resume]``."""
    files = [argument for argument in arguments if argument != "--resume"]
    if len(files) != 1:
        raise SystemExit("usage: python -m armory_skelevision.training.multitask SETTINGS.json [--resume]")
    print(train(read_settings(files[0]), resume="--resume" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
