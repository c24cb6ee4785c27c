"""Training of DuaLossDef (arXiv 2402.17976): Dua(D(x_adv)) + λ Dua(D(x)) + μ |D(x) - x|.

Dua is the tracker's classification and localisation loss together, D the U-Net, x_adv the crops after an attack on the
bare tracker, which stays as it is. The U-Net's gate is told which crops were attacked. That sum, λ, μ, the gate and the
size of D are our own; see docs/training.md.
"""

from __future__ import annotations

import sys
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
from armory_skelevision.networks.frozen import freeze
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.tracking import network_input
from armory_skelevision.tracking.losses import (
    CLASSIFICATION_WEIGHT,
    LOCALISATION_WEIGHT,
    classification_loss,
    localisation_loss,
)
from armory_skelevision.training.card import write_card
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.dualossdef.attack import Attack, Pair, draw_attack, perturb
from armory_skelevision.training.dualossdef.export import write_unet
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings, Part
from armory_skelevision.training.running import check_finite, run
from armory_skelevision.training.schedule import make_optimiser
from armory_skelevision.training.settings import read_run_settings
from armory_skelevision.training.targets import add_hard_negatives, best_boxes_xyxy
from armory_skelevision.weights import load_weights, read_metadata
from armory_skelevision.weights.packaged import packaged_weights

VALIDATION_ATTACK = Attack("inf", 8 / 255, 5, 2.0)
"""The attack that validation defends against: on both crops and both losses, whatever the training does."""

VALIDATED = ("mean_iou_attacked", "mean_iou_clean", "undefended_attacked", "undefended_clean")
"""What validation measures: mean IoU under that attack and without it, behind the U-Net and without it."""


class Judged(NamedTuple):
    """A batch of validation pairs under attack, and how the bare tracker does on it."""

    attacked: Pair
    """uint8, which is what a video holds."""
    overlaps: list[Tensor]
    """Mean IoU without defense, attacked and clean."""


class DuaLossDefTraining(LightningModule):
    """The training loop's body.

    Args:
        settings: The run's settings.
        tracker: To be used in place of the settings' one; it is frozen.

    Attributes:
        network: The U-Net, which changes nothing at the start.
    """

    def __init__(self, settings: DuaLossDefSettings, tracker: SiamRPN | None = None) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = UNETS[settings.width]().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        tracker = tracker or load_tracker(find_tracker(settings))
        freeze(tracker)
        # In a tuple it is no part of this module: checkpoints hold what is learned and nothing else.
        self._held = (tracker.to(memory_format=torch.channels_last),)  # type: ignore[call-overload]
        self._judged: dict[int, Judged] = {}

    def on_fit_start(self) -> None:
        """Bring the tracker to where the U-Net is."""
        self._held[0].to(self.device)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch, attacked in a way that depends on the seed and the step's number alone."""
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed + (self.global_step << 32))
        clean = Pair.read(batch)
        attacked = self.attack(clean, batch, draw_attack(settings, generator), generator)
        loss = on_attacked = self.dua(self.clean(attacked), batch)
        self.log("attacked", on_attacked, prog_bar=True)
        if settings.gate:
            told_apart = self._tell_apart(clean, attacked)
            self.log("gate", told_apart, prog_bar=True)
            loss = loss + settings.gate * told_apart
        if settings.lambda_clean or settings.mu:
            loss = loss + self._clean_terms(clean, batch)
        check_finite(loss, self.global_step)
        self.log("loss", loss)
        return loss

    def _clean_terms(self, clean: Pair, batch: Batch) -> Tensor:
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

    def _tell_apart(self, clean: Pair, attacked: Pair) -> Tensor:
        """Cross entropy of the gate, which shall open for attacked crops and shut for others."""
        losses = []
        for before, after in zip(clean, attacked, strict=True):
            if after is not before:  # else the settings leave this branch alone
                logits = torch.cat([self.network.suspect(before), self.network.suspect(after)])
                truth = torch.cat([torch.zeros_like(logits[: len(before)]), torch.ones_like(logits[len(before) :])])
                losses.append(binary_cross_entropy_with_logits(logits, truth))
        return torch.stack(losses).mean()

    def attack(self, clean: Pair, batch: Batch, attack: Attack, generator: torch.Generator) -> Pair:
        """Crops that raise the loss of the bare tracker."""
        loss = partial(self.dua, batch=batch, loc_weight=attack.loc_weight)
        return perturb(clean, loss, attack, self.settings.branches, batch.box_xyxy, generator)

    def clean(self, crops: Pair) -> Pair:
        """What the U-Net makes of crops; other branches than the settings' are left as they are."""
        return crops.change(self.settings.branches, self.network)

    def predict_head(self, crops: Pair) -> RPNOutput:
        """The tracker's answer."""
        tracker = self._held[0]
        template, search = (tracker.embed(network_input(crop)) for crop in crops)
        output: RPNOutput = tracker.predict_head(template, search)
        return output

    def dua(
        self, crops: Pair, batch: Batch, part: Part | None = None, loc_weight: float = LOCALISATION_WEIGHT
    ) -> Tensor:
        """The tracker's loss on crops, the part of it that the settings name by default; see `dua_loss`."""
        output = self.predict_head(crops)
        return dua_loss(output, batch, part or self.settings.loss, self.settings.hard_negatives, loc_weight)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Mean IoU of the box that scores best, on attacked and on clean crops, behind the U-Net and without it."""
        if index not in self._judged:
            self._judged[index] = self._judge(batch)
        attacked, overlaps = self._judged[index]
        attacked = Pair(*(crop.float() / 255 for crop in attacked))
        defended = [self._overlap(self.clean(crops), batch) for crops in (attacked, Pair.read(batch))]
        count = len(batch.box_xyxy)
        self.log_dict(dict(zip(VALIDATED, [*defended, *overlaps], strict=True)), batch_size=count)
        self.log("score", torch.stack(defended).mean(), prog_bar=True, batch_size=count)

    def _judge(self, batch: Batch) -> Judged:
        """Attack a batch of validation pairs: always alike, so once in a run is enough."""
        clean = Pair.read(batch)
        loss = partial(self.dua, batch=batch, part="both")
        attacked = perturb(clean, loss, VALIDATION_ATTACK, "both", batch.box_xyxy, torch.Generator().manual_seed(0))
        shown = Pair(*((255 * crop).round().to(torch.uint8) for crop in attacked))
        return Judged(shown, [self._overlap(crops, batch) for crops in (attacked, clean)])

    def _overlap(self, crops: Pair, batch: Batch) -> Tensor:
        with torch.no_grad():
            return iou(best_boxes_xyxy(self.predict_head(crops)), batch.box_xyxy).mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `make_optimiser`."""
        return make_optimiser(self.parameters(), self.settings)


def dua_loss(output: RPNOutput, batch: Batch, part: Part, hard_negatives: int, loc_weight: float) -> Tensor:
    """The tracker's training loss, classification and regression together, or one of them.

    Args:
        output: ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S).
        batch: The targets.
        part: "both", "cls" or "reg".
        hard_negatives: Background anchors per pair that are added because the tracker errs most there.
        loc_weight: Weight of regression beside classification.
    """
    loss = output.cls.new_zeros(())
    if part != "reg":
        labels = add_hard_negatives(batch.labels, output.cls, batch.background, hard_negatives)
        loss = loss + CLASSIFICATION_WEIGHT * classification_loss(output.cls, labels)
    if part != "cls":
        loss = loss + loc_weight * localisation_loss(output.loc, batch.deltas, batch.weights)
    return loss


def sum_changes(cleaned: Pair, crops: Pair) -> Tensor:
    """Mean absolute change of the template's values plus that of the search crop's."""
    return torch.stack([(a - b).abs().mean() for a, b in zip(cleaned, crops, strict=True)]).sum()


def find_tracker(settings: DuaLossDefSettings) -> Path:
    """The weights file of the tracker: a path, or a packaged one by its name.

    Raises:
        FileNotFoundError: If there is neither.
    """
    path = Path(settings.tracker)
    return path if path.is_file() else packaged_weights(settings.tracker)


def load_tracker(path: Path) -> SiamRPN:
    """A SiamRPN with the weights of a file.

    Raises:
        OSError, ValueError: As `load_weights`.
    """
    metadata = read_metadata(path)
    tracker = SiamRPN(metadata.keypoint_head if metadata else None)
    load_weights(tracker, path)
    return tracker


def train(settings: DuaLossDefSettings, resume: bool = False) -> Path:
    """Run a training to its end.

    Args:
        settings: What to do.
        resume: Go on from the last checkpoint in ``settings.folder``, if there is one.

    Returns:
        ``weights.safetensors`` of the checkpoint with the best validation: the highest mean of the mean IoU on attacked
        and on clean pairs.

    Raises:
        OSError, ValueError: Stores or the tracker's weights are missing or unusable.
        FloatingPointError: The loss is no longer finite.
    """
    training = DuaLossDefTraining(settings)
    logged = run(training, settings, "score", resume)
    validation = {name: logged[name] for name in VALIDATED if name in logged}
    weights = write_unet(training.network, settings, validation, find_tracker(settings))
    write_card(weights, settings)
    return weights


def main(arguments: list[str]) -> None:
    """``python -m armory_skelevision.training.dualossdef.training SETTINGS.json [--resume]``."""
    files = [argument for argument in arguments if argument != "--resume"]
    if len(files) != 1:
        raise SystemExit("usage: python -m armory_skelevision.training.dualossdef.training SETTINGS.json [--resume]")
    print(train(read_run_settings(files[0], DuaLossDefSettings), resume="--resume" in arguments))


if __name__ == "__main__":
    main(sys.argv[1:])
