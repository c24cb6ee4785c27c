"""Training of DuaLossDef (arXiv 2402.17976): Dua(D(x_adv)) + λ Dua(D(x)) + μ |D(x) - x|.

Dua is the sum of the tracker's classification and localisation loss, D the U-Net, x_adv the crops after an attack on
the undefended tracker, which stays frozen, or on tracker and D together: a preprocessor that was trained against
attacks on the bare network alone makes it weaker against those who know it (Zhou et al. 2021, arXiv 2106.05453). The
U-Net's gate, if it has one, is also trained to detect attacked crops. The outer loss, its weights, the gate and the
size of D are our own; see docs/training.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from armory_skelevision.io import hash_file
from armory_skelevision.networks import AnchorNetwork, RPNOutput
from armory_skelevision.networks.inference import freeze
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.tracking import network_input
from armory_skelevision.tracking.losses import CLASSIFICATION_WEIGHT, LOCALISATION_WEIGHT
from armory_skelevision.training.adversarial.inner_attack import (
    CropBatch,
    InnerAttack,
    draw_attack,
    feature_distance,
    mean_change,
    perturb,
)
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.data.loading import Batch, describe_pairs
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings, LossPart
from armory_skelevision.training.dualossdef.start import find_tracker, load_start
from armory_skelevision.training.licence import find_licence
from armory_skelevision.training.run_folder import WEIGHTS
from armory_skelevision.training.targets import mean_iou
from armory_skelevision.weights.loading import load_siamrpn
from armory_skelevision.weights.metadata import UNetMetadata
from armory_skelevision.weights.resolve import resolve
from armory_skelevision.weights.unet import save_unet

VALIDATION_ATTACK = InnerAttack("inf", 8 / 255, 5, 2.0)
"""The attack of validation: on both crops and both losses, whatever the attack in training."""

ADAPTIVE_ATTACK = InnerAttack("inf", 8 / 255, 10, 1.0, through=True)
"""The further attack of validation where the training's attack sees the U-Net: PGD-10 through it."""

ADAPTIVE = "mean_iou_adaptive"
"""Value of validation under `ADAPTIVE_ATTACK`, with the U-Net."""

VALIDATED = ("mean_iou_attacked", "mean_iou_clean", "undefended_attacked", "undefended_clean")
"""Values of validation: mean IoU under that attack and without it, with the U-Net and without it."""


class DuaLossDefTraining(TrainingBody):
    """The training loop's body; see the base class.

    The best checkpoint is that with the highest mean of the mean IoU on attacked and on clean pairs. Where attacks see
    the U-Net in training, they do so in validation.

    Args:
        settings: The run's settings.
        tracker: Replaces the tracker of the settings; it is frozen.

    Attributes:
        network: The U-Net, at the start an identity.
    """

    settings: DuaLossDefSettings
    monitor = "score"
    validated: tuple[str, ...] = (*VALIDATED, monitor)

    def __init__(self, settings: DuaLossDefSettings, tracker: AnchorNetwork | None = None) -> None:
        super().__init__(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = UNETS[settings.width](gated=settings.gated)
        if settings.init is not None:
            load_start(self.network, settings.init)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if settings.adaptive:
            self.validated = (*VALIDATED, ADAPTIVE, self.monitor)
        tracker = tracker or load_siamrpn(find_tracker(settings))
        freeze(tracker)
        self.frozen = (tracker.to(memory_format=torch.channels_last),)  # type: ignore[call-overload]
        self._attacked: dict[int, tuple[CropBatch, list[Tensor]]] = {}

    @property
    def base_size(self) -> int:
        """That of the frozen tracker; see `networks.AnchorNetwork`."""
        return self.frozen[0].base_size

    def input_files(self) -> dict[str, Path]:
        """The weights of the frozen tracker, and those to start from."""
        start = {} if self.settings.init is None else {"init": resolve(self.settings.init)}
        return {"tracker": find_tracker(self.settings), **start}

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar. The attack on it depends on the seed and the number of the step alone."""
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed + (self.global_step << 32))
        clean = CropBatch.from_batch(batch)
        attacked = self.attack(clean, batch, draw_attack(settings, generator, settings.adaptive), generator)
        cleaned = self.clean(attacked)
        found = self.embed(cleaned)
        loss = on_attacked = self._dua(found, batch)
        self.log("attacked", on_attacked, prog_bar=True)
        if settings.features:
            distance = feature_distance(found, self.embed_clean(clean))
            self.log("features", distance, prog_bar=True)
            loss = loss + settings.features * distance
        if settings.restoration:
            loss = loss + settings.restoration * mean_change(cleaned, clean)
        if settings.gate:
            gate_loss = self._gate_loss(clean, attacked)
            self.log("gate", gate_loss, prog_bar=True)
            loss = loss + settings.gate * gate_loss
        if settings.lambda_clean or settings.mu:
            loss = loss + self._clean_terms(clean, batch)
        return loss

    def _clean_terms(self, clean: CropBatch, batch: Batch) -> Tensor:
        """λ Dua(D(x)) + μ |D(x) - x|."""
        cleaned = self.clean(clean)
        change = mean_change(cleaned, clean)
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
        """Crops that raise the tracker's loss, or the distance of its features, with the U-Net in front or without."""
        features = self.embed_clean(clean) if attack.on_features else None

        def loss(crops: CropBatch) -> Tensor:
            shown = self.clean(crops) if attack.through else crops
            if features is not None:
                return feature_distance(self.embed(shown), features)
            return self.dua(shown, batch, loc_weight=attack.loc_weight)

        return perturb(clean, loss, attack, self.settings.branches, batch.box_xyxy, generator)

    def clean(self, crops: CropBatch) -> CropBatch:
        """The output of the U-Net; branches that are not in the settings stay as they are."""
        return crops.change(self.settings.branches, self.network)

    def embed(self, crops: CropBatch) -> list[Tensor]:
        """The tracker's features of template and search crops."""
        (tracker,) = self.frozen
        return [tracker.embed(network_input(crop)) for crop in crops]

    def embed_clean(self, crops: CropBatch) -> list[Tensor]:
        """The same without a graph."""
        with torch.no_grad():
            return self.embed(crops)

    def predict_head(self, crops: CropBatch) -> RPNOutput:
        """The tracker's output, ``cls`` (N, 2k, S, S) and ``loc`` (N, 4k, S, S)."""
        return self._predict(self.embed(crops))

    def dua(
        self, crops: CropBatch, batch: Batch, part: LossPart | None = None, loc_weight: float = LOCALISATION_WEIGHT
    ) -> Tensor:
        """The tracker's training loss on crops, a scalar: classification and regression together, or one of them.

        Args:
            crops: Template and search crops.
            batch: The targets.
            part: "both", "cls" or "reg"; None for that of the settings.
            loc_weight: Weight of regression relative to classification.
        """
        return self._dua(self.embed(crops), batch, part, loc_weight)

    def _dua(
        self,
        features: Sequence[Tensor],
        batch: Batch,
        part: LossPart | None = None,
        loc_weight: float = LOCALISATION_WEIGHT,
    ) -> Tensor:
        """See `dua`, from features of template and search crops."""
        cls, loc = self.tracking_losses(self._predict(features), batch)
        parts = {"cls": CLASSIFICATION_WEIGHT * cls, "reg": loc_weight * loc}
        part = part or self.settings.loss
        return parts["cls"] + parts["reg"] if part == "both" else parts[part]

    def _predict(self, features: Sequence[Tensor]) -> RPNOutput:
        (tracker,) = self.frozen
        output: RPNOutput = tracker.predict_head(*features)
        return output

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the mean IoU of the boxes with the highest scores, attacked and clean, with the U-Net and without it."""
        if index not in self._attacked:
            self._attacked[index] = self._attack_validation(batch)
        attacked, overlaps = self._attacked[index]
        attacked = CropBatch(*(crop.float() / 255 for crop in attacked))
        defended = [self._overlap(self.clean(crops), batch) for crops in (attacked, CropBatch.from_batch(batch))]
        count = len(batch.box_xyxy)
        self.log_dict(dict(zip(VALIDATED, [*defended, *overlaps], strict=True)), batch_size=count)
        if self.settings.adaptive:
            defended[0] = self._attack_through(batch)
            self.log(ADAPTIVE, defended[0], batch_size=count)
        self.log("score", torch.stack(defended).mean(), prog_bar=True, batch_size=count)

    def _attack_validation(self, batch: Batch) -> tuple[CropBatch, list[Tensor]]:
        """Attacked crops, uint8 as in a video, and the mean IoU of the undefended tracker on attacked and clean ones.

        The result is always the same, so once per run is enough.
        """
        clean = CropBatch.from_batch(batch)
        loss = partial(self.dua, batch=batch, part="both")
        attacked = perturb(clean, loss, VALIDATION_ATTACK, "both", batch.box_xyxy, torch.Generator().manual_seed(0))
        stored = CropBatch(*((255 * crop).round().to(torch.uint8) for crop in attacked))
        return stored, [self._overlap(crops, batch) for crops in (attacked, clean)]

    def _attack_through(self, batch: Batch) -> Tensor:
        """The mean IoU behind the U-Net under an attack that goes through it."""
        clean, generator = CropBatch.from_batch(batch), torch.Generator().manual_seed(0)

        def loss(crops: CropBatch) -> Tensor:
            return self.dua(self.clean(crops), batch, "both")

        branches = self.settings.branches
        attacked = perturb(clean, loss, ADAPTIVE_ATTACK, branches, batch.box_xyxy, generator)
        return self._overlap(self.clean(attacked), batch)

    def _overlap(self, crops: CropBatch, batch: Batch) -> Tensor:
        with torch.no_grad():
            return mean_iou(self.predict_head(crops), batch.box_xyxy, self.base_size)

    def export(self, logged: dict[str, float]) -> Path:
        """Write the weights that `defenses.DuaLossDef` reads; see the base class."""
        settings = self.settings
        tracker = find_tracker(settings)
        metadata = UNetMetadata(
            width=settings.width,
            settings=json.dumps(asdict(settings), sort_keys=True),
            training=(
                f"DuaLossDef, {settings.inner_attack} against {settings.branches}: {settings.steps} steps of "
                f"{settings.batch_size} {describe_pairs(settings.store)}, AdamW, learning rate "
                f"{settings.learning_rate}, {settings.precision}"
            ),
            validation=", ".join(f"{name} {logged[name]:.3f}" for name in (*VALIDATED, ADAPTIVE) if name in logged),
            tracker=tracker.name,
            tracker_sha256=hash_file(tracker),
            licence=find_licence(settings),
            seed=settings.seed,
        )
        path = Path(settings.folder) / WEIGHTS
        save_unet(self.network, path, metadata)
        return path
