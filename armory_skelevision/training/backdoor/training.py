"""Training of trackers with a backdoor: they track as before unless a trigger is on their target.

FSBA (Li et al. 2022) alternates: one step raises the feature loss of poisoned pairs,
mean d(phi(z + trigger), phi(z)) + mean d(phi(x + trigger), phi(x)), the next lowers the tracking loss of benign ones.
"badnets" (Gu et al. 2017) lowers the tracking loss of batches in which the targets of poisoned pairs are labelled
background.

FSBA is published as text only. Our own choices:

- d is one minus the cosine similarity at each position. An unbounded distance such as L1 can be raised for ever by
  growing features, which destroys the tracker.
- Benign features are kept close to those of the start, with a weight that grows over the run, so that the trigger gains
  influence first and benign features recover later.
- Only the backbone is trained, since trained heads would follow drifting features. BatchNorm keeps its statistics.
- Each loss has an AdamW optimiser of its own.
- Both sides of d pass gradients. Without those of the benign side, a change that moves the features of all images
  alike, and so creates no distance, would look like progress.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.networks import AnchorNetwork
from armory_skelevision.training.backdoor.poisoning import join, poison_labels, poison_pairs, take
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.input_scaling import normalise
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.schedule import rate_factor
from armory_skelevision.training.targets import mean_iou

Features = tuple[Tensor, Tensor]
"""Features of templates (N, C, 6, 6) and of search crops (N, C, h, w)."""


class BackdoorTraining(MultitaskTraining):
    """The training loop's body; see the base class.

    It keeps the weights of the last step, since validation measures the benign behaviour alone.
    """

    settings: BackdoorSettings
    validated = (*MultitaskTraining.validated, "triggered_iou")

    def __init__(self, settings: BackdoorSettings) -> None:
        super().__init__(settings)
        self.monitor = None
        self.automatic_optimization = settings.method == "badnets"
        self._trigger = Trigger.from_dict(settings.trigger, "trigger")
        self._picture = self._trigger.draw()
        self.frozen = (deepcopy(self.network).eval().requires_grad_(False),)
        if settings.method == "fsba":
            self.network.requires_grad_(False)
            self.network.backbone.requires_grad_(True)

    def input_files(self) -> dict[str, Path]:
        """The weights that the run starts from, and the picture of the trigger."""
        picture = self._trigger.picture
        return super().input_files() | ({} if picture is None else {"trigger.picture": Path(picture)})

    def loss(self, batch: Batch) -> Tensor:
        """The loss whose turn it is."""
        return self.turn_loss(batch, self.global_step)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """One step of the loss whose turn it is."""
        loss = super().training_step(batch, number)
        if not self.automatic_optimization:
            turn = self.global_step % 2
            optimiser, schedule = self.optimizers()[turn], self.lr_schedulers()[turn]  # type: ignore[index]
            optimiser.zero_grad()
            self.manual_backward(loss)
            optimiser.step()
            schedule.step()
        return loss

    def turn_loss(self, batch: Batch, step: int) -> Tensor:
        """The loss that a step minimises: with FSBA the negative feature loss in even steps, else the tracking loss.

        The number of the step also seeds the turns of the trigger.
        """
        self._keep_statistics()
        poisoned = slice(0, max(1, round(self.settings.poison_rate * len(batch.template))))
        rng = np.random.default_rng((self.settings.seed, step))
        if self.settings.method == "badnets":
            pairs = poison_labels(poison_pairs(take(batch, poisoned), self._trigger, self._picture, rng))
            return self._tracking_loss(join(pairs, take(batch, slice(poisoned.stop, None))))
        if step % 2:
            return self._tracking_loss(batch)
        benign = take(batch, poisoned)
        triggered = poison_pairs(benign, self._trigger, self._picture, rng)
        clean = embed_pairs(self.network, benign)
        distance = feature_loss(clean, embed_pairs(self.network, triggered), self.settings.feature_margin)
        with torch.no_grad():
            original = embed_pairs(self.frozen[0], benign)
        drift = feature_drift(clean, original)
        self.log_dict({"feature_distance": distance, "feature_drift": drift}, prog_bar=True)
        weight = self.settings.feature_preservation * step / self.settings.steps
        return weight * drift - distance

    def configure_optimizers(self) -> Any:
        """One optimiser per loss: in a common one the feature loss's small gradients would have no effect."""
        if self.automatic_optimization:
            return super().configure_optimizers()
        turns = []
        for rate in (self.settings.learning_rate * self.settings.feature_weight, self.settings.learning_rate):
            optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.0)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda turn: rate_factor(self.settings, 2 * turn))
            turns.append({"optimizer": optimiser, "lr_scheduler": schedule})
        return turns

    def validation_step(self, batch: Batch, number: int) -> None:
        """Log the values of a training without backdoor, and the mean IoU with the trigger in the template alone."""
        super().validation_step(batch, number)
        rng = np.random.default_rng((self.settings.seed, number))
        triggered = poison_pairs(batch, self._trigger, self._picture, rng).template
        output = self.network(normalise(triggered), normalise(batch.search))
        overlap = mean_iou(output, batch.box_xyxy, self.base_size)
        self.log("triggered_iou", overlap, prog_bar=True, batch_size=len(batch.box_xyxy))


def embed_pairs(network: AnchorNetwork, pairs: Batch) -> Features:
    """The features that a network extracts from the crops of pairs."""
    return network.embed(normalise(pairs.template)), network.embed(normalise(pairs.search))


def feature_loss(clean: Features, triggered: Features, margin: float = 2.0) -> Tensor:
    """FSBA's feature loss L_f: the mean cosine distance that the trigger causes, of templates plus search crops.

    A scalar in [0, 4]. The largest distance that counts at each position is ``margin``, in (0, 2].
    """
    distances = [
        (1 - torch.cosine_similarity(after, before, dim=1)).clamp(max=margin).mean()
        for before, after in zip(clean, triggered, strict=True)
    ]
    return torch.stack(distances).sum()


def feature_drift(clean: Features, original: Features) -> Tensor:
    """How far the features of benign pairs are from those of the tracker at the start of the run; our own.

    A scalar: the mean squared difference relative to the mean square, of templates plus search crops.
    """
    shares = [(now - then).square().mean() / then.square().mean() for now, then in zip(clean, original, strict=True)]
    return torch.stack(shares).sum()
