"""Training of DuaLossDef (arXiv 2402.17976): Dua(D(x_adv)) + λ Dua(D(x)) + μ |D(x) - x|.

Dua is the sum of the tracker's classification and localisation loss, D the U-Net, x_adv the crops after an attack on
the undefended tracker, which stays frozen. The U-Net's gate is also trained to detect attacked crops. The outer loss,
λ, μ, the gate and the size of D are our own; see docs/training.md.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from armory_skelevision.boxes import iou
from armory_skelevision.networks import RPNOutput, SiamRPN
from armory_skelevision.networks.inference import freeze
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.tracking import network_input
from armory_skelevision.tracking.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    classification_loss,
    localisation_loss,
)
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.dualossdef.attack import CropBatch, InnerAttack, draw_attack, perturb
from armory_skelevision.training.dualossdef.export import export_unet
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings, LossPart
from armory_skelevision.training.fitting import check_finite, fit
from armory_skelevision.training.model_card import write_model_card
from armory_skelevision.training.schedule import make_optimiser
from armory_skelevision.training.targets import add_hard_negatives, best_boxes_xyxy
from armory_skelevision.weights import load_siamrpn
from armory_skelevision.weights.packaged import packaged_weights

VALIDATION_ATTACK = InnerAttack("inf", 8 / 255, 5, 2.0)
"""The attack of validation: on both crops and both losses, whatever the attack in training."""

VALIDATED = ("mean_iou_attacked", "mean_iou_clean", "undefended_attacked", "undefended_clean")
"""Values of validation: mean IoU under that attack and without it, with the U-Net and without it."""


class AttackedBatch(NamedTuple):
    """Attacked crops of validation, and the undefended tracker's results on them.

    Attributes:
        crops: uint8, as in a video.
        overlaps: Mean IoU of the undefended tracker, attacked and clean.
    """

    crops: CropBatch
    overlaps: list[Tensor]


class DuaLossDefTraining(LightningModule):
    """The training loop's body.

    Args:
        settings: The run's settings.
        tracker: Replaces the tracker of the settings; it is frozen.

    Attributes:
        network: The U-Net, at the start an identity.
    """

    def __init__(self, settings: DuaLossDefSettings, tracker: SiamRPN | None = None) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = UNETS[settings.width]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        tracker = tracker or load_siamrpn(find_tracker(settings))
        freeze(tracker)
        # In a tuple it is no submodule, so that checkpoints hold the trained network alone.
        self._tracker = (tracker.to(memory_format=torch.channels_last),)  # type: ignore[call-overload]
        self._attacked: dict[int, AttackedBatch] = {}

    def on_fit_start(self) -> None:
        """Move the tracker to the device of the U-Net."""
        self._tracker[0].to(self.device)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch, a scalar. The attack on it depends on the seed and the number of the step alone."""
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed + (self.global_step << 32))
        clean = CropBatch.from_batch(batch)
        attacked = self.attack(clean, batch, draw_attack(settings, generator), generator)
        loss = on_attacked = self.dua(self.clean(attacked), batch)
        self.log("attacked", on_attacked, prog_bar=True)
        if settings.gate:
            gate_loss = self._gate_loss(clean, attacked)
            self.log("gate", gate_loss, prog_bar=True)
            loss = loss + settings.gate * gate_loss
        if settings.lambda_clean or settings.mu:
            loss = loss + self._clean_terms(clean, batch)
        check_finite(loss, self.global_step)
        self.log("loss", loss)
        return loss

    def _clean_terms(self, clean: CropBatch, batch: Batch) -> Tensor:
        """λ Dua(D(x)) + μ |D(x) - x|."""
        cleaned = self.clean(clean)
        change = sum_changes(cleaned, clean)
        self.log("change", change, prog_bar=True)
        terms = self.settings.mu * change
        if self.settings.lambda_clean:
            on_clean = self.dua(cleaned, batch)
            self.log("clean", on_clean, prog_bar=True)
            terms = terms + self.settings.lambda_clean * on_clean
        return terms

    def _gate_loss(self, clean: CropBatch, attacked: CropBatch) -> Tensor:
        """Cross entropy of the gate, which should open for attacked crops and close for others."""
        losses = []
        for before, after in zip(clean, attacked, strict=True):
            if after is not before:  # otherwise the settings leave this branch alone
                logits = torch.cat([self.network.suspect(before), self.network.suspect(after)])
                truth = torch.cat([torch.zeros_like(logits[: len(before)]), torch.ones_like(logits[len(before) :])])
                losses.append(binary_cross_entropy_with_logits(logits, truth))
        return torch.stack(losses).mean()

    def attack(self, clean: CropBatch, batch: Batch, attack: InnerAttack, generator: torch.Generator) -> CropBatch:
        """Crops that raise the loss of the undefended tracker."""
        loss = partial(self.dua, batch=batch, loc_weight=attack.loc_weight)
        return perturb(clean, loss, attack, self.settings.branches, batch.box_xyxy, generator)

    def clean(self, crops: CropBatch) -> CropBatch:
        """The output of the U-Net; branches that are not in the settings stay as they are."""
        return crops.change(self.settings.branches, self.network)

    def predict_head(self, crops: CropBatch) -> RPNOutput:
        """The tracker's output, ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S)."""
        tracker = self._tracker[0]
        template, search = (tracker.embed(network_input(crop)) for crop in crops)
        output: RPNOutput = tracker.predict_head(template, search)
        return output

    def dua(
        self, crops: CropBatch, batch: Batch, part: LossPart | None = None, loc_weight: float = LOCALISATION_WEIGHT
    ) -> Tensor:
        """The tracker's loss on crops, by default the part of it that the settings name; see `dua_loss`."""
        output = self.predict_head(crops)
        return dua_loss(output, batch, part or self.settings.loss, self.settings.hard_negatives, loc_weight)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the mean IoU of the boxes with the highest scores, attacked and clean, with the U-Net and without it."""
        if index not in self._attacked:
            self._attacked[index] = self._attack_validation(batch)
        attacked, overlaps = self._attacked[index]
        attacked = CropBatch(*(crop.float() / 255 for crop in attacked))
        defended = [self._overlap(self.clean(crops), batch) for crops in (attacked, CropBatch.from_batch(batch))]
        count = len(batch.box_xyxy)
        self.log_dict(dict(zip(VALIDATED, [*defended, *overlaps], strict=True)), batch_size=count)
        self.log("score", torch.stack(defended).mean(), prog_bar=True, batch_size=count)

    def _attack_validation(self, batch: Batch) -> AttackedBatch:
        """Attack a batch of validation pairs. The result is always the same, so once per run is enough."""
        clean = CropBatch.from_batch(batch)
        loss = partial(self.dua, batch=batch, part="both")
        attacked = perturb(clean, loss, VALIDATION_ATTACK, "both", batch.box_xyxy, torch.Generator().manual_seed(0))
        stored = CropBatch(*((255 * crop).round().to(torch.uint8) for crop in attacked))
        return AttackedBatch(stored, [self._overlap(crops, batch) for crops in (attacked, clean)])

    def _overlap(self, crops: CropBatch, batch: Batch) -> Tensor:
        with torch.no_grad():
            return iou(best_boxes_xyxy(self.predict_head(crops)), batch.box_xyxy).mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `make_optimiser`."""
        return make_optimiser(self.parameters(), self.settings)


def dua_loss(output: RPNOutput, batch: Batch, part: LossPart, hard_negatives: int, loc_weight: float) -> Tensor:
    """The tracker's training loss, classification and regression together, or one of them.

    Args:
        output: ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S).
        batch: The targets.
        part: "both", "cls" or "reg".
        hard_negatives: Background anchors per pair that are added because the tracker's error is largest there.
        loc_weight: Weight of regression relative to classification.

    Returns:
        A scalar.
    """
    loss = output.cls.new_zeros(())
    if part != "reg":
        labels = add_hard_negatives(batch.labels, output.cls, batch.background, hard_negatives)
        loss = loss + CLASSIFICATION_WEIGHT * classification_loss(output.cls, labels)
    if part != "cls":
        loss = loss + loc_weight * localisation_loss(output.loc, batch.deltas, batch.weights)
    return loss


def sum_changes(cleaned: CropBatch, crops: CropBatch) -> Tensor:
    """Mean absolute change of the template's values plus that of the search crop's, a scalar in [0, 2]."""
    return torch.stack([(a - b).abs().mean() for a, b in zip(cleaned, crops, strict=True)]).sum()


def find_tracker(settings: DuaLossDefSettings) -> Path:
    """The weights file of the tracker, by its path, or by the name of a packaged file.

    Raises:
        MissingFileError: If there is neither.
    """
    path = Path(settings.tracker)
    return path if path.is_file() else packaged_weights(settings.tracker)


def train(settings: DuaLossDefSettings, resume: bool = False) -> Path:
    """Run a training to its end.

    Args:
        settings: The run's settings.
        resume: Resume from the last checkpoint in ``settings.folder``, if there is one.

    Returns:
        Path of ``weights.safetensors``, of the checkpoint with the best validation: the highest mean of the mean IoU on
        attacked and on clean pairs.

    Raises:
        OSError: If a store or the tracker's weights are missing.
        InvalidValueError: If a store or the tracker's weights cannot be used.
        FloatingPointError: If the loss is no longer finite.
    """
    training = DuaLossDefTraining(settings)
    logged = fit(training, settings, "score", resume)
    validation = {name: logged[name] for name in VALIDATED if name in logged}
    weights = export_unet(training.network, settings, validation, find_tracker(settings))
    write_model_card(weights, settings)
    return weights
