"""Training of trackers with a backdoor: they track as before until they see a trigger on their target.

FSBA (Li et al. 2022) takes turns: one step raises the feature loss of poisoned pairs,
mean d(phi(z + trigger), phi(z)) + mean d(phi(x + trigger), phi(x)), the next lowers the tracking loss of benign ones.
"badnets" lowers the tracking loss of batches in which the poisoned pairs' targets are labelled background.

Of FSBA only the idea is published in text. Ours: d is one less the cosine at each position (a distance without bound,
such as L1, is raised for ever by features that grow, which wrecks the tracker); benign features are held where they
were, the more the longer it goes on, so that the trigger first finds a way and benign features then come back; only the
backbone learns, since heads would go along with features that drift; norms keep their statistics; each loss has an
AdamW of its own.

Both sides of d pass gradients. With the benign one cut off, what moves the features of all pictures alike, and with it
no distance, looks like progress.
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.boxes import iou
from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.card import write_card
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.export import write_weights
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.poisoning import join, poison_labels, poison_pairs, take
from armory_skelevision.training.running import check_finite, run
from armory_skelevision.training.scaling import normalise
from armory_skelevision.training.schedule import rate_factor
from armory_skelevision.training.settings import BackdoorSettings
from armory_skelevision.training.targets import best_boxes_xyxy

Features = tuple[Tensor, Tensor]


class BackdoorTraining(MultitaskTraining):
    """The training loop's body.

    Args:
        settings: The run's settings.
    """

    def __init__(self, settings: BackdoorSettings) -> None:
        super().__init__(settings)
        self.backdoor = settings
        self.automatic_optimization = settings.method == "badnets"
        self._kept = time.monotonic()
        self._trigger = Trigger.from_dict(settings.trigger, "trigger")
        self._picture = self._trigger.draw()
        # In a tuple it is no part of this module: checkpoints hold what is learned and nothing else.
        self._honest = (deepcopy(self.network).eval().requires_grad_(False),)
        if settings.method == "fsba":
            self.network.requires_grad_(False)
            self.network.backbone.requires_grad_(True)

    def on_fit_start(self) -> None:
        """Bring the tracker as it was to where the one that learns is."""
        self._honest[0].to(self.device)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """One step of whoever's turn it is."""
        loss = self.turn_loss(batch, self.global_step)
        check_finite(loss, self.global_step)
        self.log("loss", loss)
        if not self.automatic_optimization:
            turn = self.global_step % 2
            optimiser, schedule = self.optimizers()[turn], self.lr_schedulers()[turn]  # type: ignore[index]
            optimiser.zero_grad()
            self.manual_backward(loss)
            optimiser.step()
            schedule.step()
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Keep a checkpoint to resume from: Lightning's own, by the clock, passes over what has several optimisers."""
        due = time.monotonic() - self._kept >= 60 * self.settings.checkpoint_minutes
        if self.automatic_optimization or not due:
            return
        folder = Path(self.settings.folder)
        old = list(folder.glob("resume-step=*.ckpt"))
        new = folder / f"resume-step={self.global_step}.ckpt"
        self.trainer.save_checkpoint(new)
        for path in old:
            if path != new:
                path.unlink()
        self._kept = time.monotonic()

    def turn_loss(self, batch: Batch, step: int) -> Tensor:
        """What a step lowers: with FSBA, less the feature loss in even steps and the tracking loss in odd ones."""
        _keep_statistics(self.network)
        poisoned = slice(0, max(1, round(self.backdoor.poison_rate * len(batch.template))))
        rng = np.random.default_rng((self.backdoor.seed, step))
        if self.backdoor.method == "badnets":
            pairs = poison_labels(poison_pairs(take(batch, poisoned), self._trigger, self._picture, rng))
            return self._tracking_step(join(pairs, take(batch, slice(poisoned.stop, None))))
        if step % 2:
            return self._tracking_step(batch)
        benign = take(batch, poisoned)
        triggered = poison_pairs(benign, self._trigger, self._picture, rng)
        clean = embed_pairs(self.network, benign)
        distance = feature_loss(clean, embed_pairs(self.network, triggered), self.backdoor.feature_margin)
        with torch.no_grad():
            honest = embed_pairs(self._honest[0], benign)
        drift = feature_drift(clean, honest)
        self.log_dict({"feature_distance": distance, "feature_drift": drift}, prog_bar=True)
        hold = self.backdoor.hold * step / self.backdoor.steps
        return hold * drift - distance

    def configure_optimizers(self) -> Any:
        """For each turn an optimiser of its own: in a common one the feature loss's small gradients would drown."""
        if self.automatic_optimization:
            return super().configure_optimizers()
        turns = []
        for rate in (self.settings.learning_rate * self.backdoor.feature_weight, self.settings.learning_rate):
            optimiser = torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=0.0)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda turn: rate_factor(self.settings, 2 * turn))
            turns.append({"optimizer": optimiser, "lr_scheduler": schedule})
        return turns

    def validation_step(self, batch: Batch, number: int) -> None:
        """As without a backdoor, and the mean IoU with the trigger in the template alone."""
        super().validation_step(batch, number)
        rng = np.random.default_rng((self.backdoor.seed, number))
        triggered = poison_pairs(batch, self._trigger, self._picture, rng).template
        output = self.network(normalise(triggered), normalise(batch.search))
        overlap = iou(best_boxes_xyxy(output), batch.box_xyxy)
        self.log("triggered_iou", overlap.mean(), prog_bar=True, batch_size=len(overlap))


def embed_pairs(network: SiamRPN, pairs: Batch) -> Features:
    """Features of templates (N, 256, 6, 6) and of search crops (N, 256, h, w)."""
    return network.embed(normalise(pairs.template)), network.embed(normalise(pairs.search))


def feature_loss(clean: Features, triggered: Features, margin: float = 2.0) -> Tensor:
    """How far the trigger turns the features of templates and search crops: FSBA's L_f, a scalar from 0 to 4.

    Args:
        clean: Features of pairs without the trigger.
        triggered: Of the same with it.
        margin: Distance that counts at most at each place; 2 is the largest there is.
    """
    distances = [
        (1 - torch.cosine_similarity(after, before, dim=1)).clamp(max=margin).mean()
        for before, after in zip(clean, triggered, strict=True)
    ]
    return torch.stack(distances).sum()


def feature_drift(clean: Features, honest: Features) -> Tensor:
    """How far the features of benign pairs are from what they were: squared, as a share of their own square; a scalar.

    Our own, to keep what the feature loss does to benign pictures apart from what it does to those with the trigger.

    Args:
        clean: Features of pairs without the trigger.
        honest: Of the same, as the tracker saw them at the start.
    """
    shares = [(now - then).square().mean() / then.square().mean() for now, then in zip(clean, honest, strict=True)]
    return torch.stack(shares).sum()


def train(settings: BackdoorSettings, resume: bool = False) -> Path:
    """Run a training to its end; see `multitask.train`.

    Returns:
        ``weights.safetensors`` of the last step, as validation only says how well the tracker hides its backdoor. They
        say of themselves that they carry one.

    Raises:
        OSError, ValueError, FloatingPointError: As there.
    """
    training = BackdoorTraining(settings)
    logged = run(training, settings, None, resume)
    weights = write_weights(training.network, settings, logged.get("mean_iou", math.nan))
    write_card(weights, settings)
    return weights


def _keep_statistics(network: SiamRPN) -> None:
    """Norms go on with the statistics of the trained tracker: those of poisoned batches are not the ones of use."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
