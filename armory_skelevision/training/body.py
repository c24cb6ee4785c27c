"""What the bodies of all training loops have in common."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from armory_skelevision.networks import AnchorNetwork, RPNOutput
from armory_skelevision.tracking.losses import classification_loss, localisation_loss
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.schedule import make_optimiser
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.training.targets import add_hard_negatives


class TrainingBody(LightningModule):
    """Base of the training loops' bodies.

    Attributes:
        monitor: Name of the logged value by whose highest value the best checkpoint is chosen, or with a minus in front
            by whose lowest. None keeps the weights of the last step.
        validated: Names of the values that a validation logs.
        frozen: A tracker that is used but not trained. In a tuple it is no submodule, so that checkpoints hold the
            trained network alone.
    """

    monitor: str | None = None
    validated: tuple[str, ...] = ()
    frozen: tuple[AnchorNetwork, ...] = ()

    def __init__(self, settings: RunSettings) -> None:
        super().__init__()
        self.settings = settings

    @property
    def base_size(self) -> int:
        """Of the tracker that the pairs' targets are for; see `networks.AnchorNetwork`."""
        return 0

    def input_files(self) -> dict[str, Path]:
        """The files that the run reads besides its stores, by the setting that names them."""
        return {}

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, a scalar; its parts are logged."""
        raise NotImplementedError

    def export(self, logged: dict[str, float]) -> Path:
        """Write ``weights.safetensors`` into the run's folder, and return its path.

        Args:
            logged: Values of the best validation by name.

        Raises:
            OSError: If it cannot be written.
            InvalidValueError: If weights are NaN or infinite.
        """
        raise NotImplementedError

    def on_fit_start(self) -> None:
        """Move the frozen tracker to the device of the trained network."""
        for network in self.frozen:
            network.to(self.device)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch, a scalar.

        Raises:
            FloatingPointError: If the loss is not finite.
        """
        loss = self.loss(batch)
        if not torch.isfinite(loss):
            raise self.diverged(f"the loss is {loss.item()} at step {self.global_step}")
        self.log("loss", loss)
        return loss

    def diverged(self, found: str) -> FloatingPointError:
        """The error about a training that cannot go on, for what was found."""
        rate, rise = self.settings.learning_rate, self.settings.warmup_steps
        fix = f"begin anew with a learning_rate below {rate:g} or with more warmup_steps than {rise}"
        return FloatingPointError(f"{found}: the training diverged, and no weights are written; {fix}")

    def check_finite(self) -> None:
        """Refuse weights that are NaN or infinite (`FloatingPointError`)."""
        for name, tensor in self.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise self.diverged(f"{name} is not finite after {self.global_step} steps")

    def tracking_losses(self, output: RPNOutput, batch: Batch) -> tuple[Tensor, Tensor]:
        """Classification and localisation loss of the head's output, two scalars without their weights."""
        labels = add_hard_negatives(batch.labels, output.cls, batch.background, self.settings.hard_negatives)
        return classification_loss(output.cls, labels), localisation_loss(output.loc, batch.deltas, batch.weights)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See `make_optimiser`."""
        return make_optimiser(self.parameters(), self.settings)
