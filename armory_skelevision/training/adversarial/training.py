"""Adversarial training of trackers (Madry et al. 2018), regularised by their features.

It lowers (1 - a) Dua(x) + a Dua(x') + λ |f(x') - f(x)|² / |f(x)|², where Dua is the sum of the tracker's
classification and localisation loss, f are its features, and x' crops x after an attack on the tracker as it is at that
step. Weights, distance and attacks are our own. BatchNorm keeps the statistics of the start: those of attacked batches
are not those in use, and an attacker meets fixed ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from armory_skelevision.tracking import network_input
from armory_skelevision.tracking.losses import CLASSIFICATION_WEIGHT, LOCALISATION_WEIGHT
from armory_skelevision.training.adversarial.inner_attack import (
    CropBatch,
    InnerAttack,
    draw_attack,
    feature_distance,
    perturb,
)
from armory_skelevision.training.adversarial.settings import AdversarialSettings
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.input_scaling import standardise
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.targets import mean_iou

VALIDATION_ATTACK = InnerAttack("inf", 8 / 255, 10, 1.0)
"""The attack of validation, PGD-10 on both crops and both losses, whatever the attack in training."""

ATTACKED = "mean_iou_attacked"
"""Value of validation: mean IoU of pairs under `VALIDATION_ATTACK`."""


class AdversarialTraining(MultitaskTraining):
    """The training loop's body; see the base class.

    The best checkpoint is that with the highest mean of two values: the mean IoU of attacked pairs, and that of clean
    pairs or, with validation videos, of those.
    """

    settings: AdversarialSettings

    def __init__(self, settings: AdversarialSettings) -> None:
        super().__init__(settings)
        self._clean_score, self.monitor = str(self.monitor), "score"
        self.validated = (*self.validated, ATTACKED, self.monitor)

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar. The attack on it depends on the seed and the number of the step alone."""
        self._keep_statistics()
        settings = self.settings
        generator = torch.Generator().manual_seed(settings.seed + (self.global_step << 32))
        clean = CropBatch.from_batch(batch)
        features = self.embed(clean)
        wanted = [each.detach() for each in features]
        found = self.embed(self.attack(clean, wanted, batch, draw_attack(settings, generator), generator))
        on_attacked, distance = self._dua(found, batch), feature_distance(found, wanted)
        self.log_dict({"attacked": on_attacked, "features": distance}, prog_bar=True)
        on_clean = self._tracking_loss(batch, features)  # with that of the keypoint head, if there is one
        return (1 - settings.attacked) * on_clean + settings.attacked * on_attacked + settings.features * distance

    def attack(
        self,
        clean: CropBatch,
        features: Sequence[Tensor],
        batch: Batch,
        attack: InnerAttack,
        generator: torch.Generator,
    ) -> CropBatch:
        """Crops that raise the tracker's loss, or the distance of its features from those of the clean ones."""

        def loss(crops: CropBatch) -> Tensor:
            found = self.embed(crops)
            return feature_distance(found, features) if attack.on_features else self._dua(found, batch, attack)

        return perturb(clean, loss, attack, "both", batch.box_xyxy, generator)

    def embed(self, crops: CropBatch) -> list[Tensor]:
        """The tracker's features of template and search crops."""
        return [self.network.embed(standardise(network_input(crop))) for crop in crops]

    def validation_step(self, batch: Batch, number: int) -> None:
        """Log the values of a training without attacks, and the mean IoU of the same pairs under PGD."""
        super().validation_step(batch, number)
        clean, generator = CropBatch.from_batch(batch), torch.Generator().manual_seed(0)
        attacked = self.attack(clean, [], batch, VALIDATION_ATTACK, generator)
        output = self.network.predict_head(*self.embed(attacked))
        found = mean_iou(output, batch.box_xyxy, self.base_size)
        self.log(ATTACKED, found, prog_bar=True, batch_size=len(batch.box_xyxy))

    def on_validation_epoch_end(self) -> None:
        """Log the score by which the checkpoint is chosen, besides the values of the base class."""
        super().on_validation_epoch_end()
        logged = self.trainer.callback_metrics
        self.log("score", (logged[ATTACKED] + logged[self._clean_score]) / 2, prog_bar=True)

    def _dua(self, features: Sequence[Tensor], batch: Batch, attack: InnerAttack | None = None) -> Tensor:
        """The tracker's training loss from features of template and search crops, a scalar."""
        cls, loc = self.tracking_losses(self.network.predict_head(*features), batch)
        weight = LOCALISATION_WEIGHT if attack is None else attack.loc_weight
        return CLASSIFICATION_WEIGHT * cls + weight * loc
