"""A training run with Lightning, from its start or its last checkpoint to its weights file."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger

from armory_skelevision.networks.inference import warn_of_slow_bf16
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.data.loading import training_pairs, validation_pairs
from armory_skelevision.training.model_card import write_model_card
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.validation import InvalidValueError


def train(training: TrainingBody, resume: bool = False) -> Path:
    """Run a training to its end.

    Args:
        training: The training loop's body.
        resume: Resume from the last checkpoint in ``settings.folder``, if there is one.

    Returns:
        Path of ``weights.safetensors``. ``card.md`` is written beside it.

    Raises:
        OSError: If a store is missing, or the disk is full.
        InvalidValueError: If a store cannot be used, or the checkpoint to resume from is damaged.
        FloatingPointError: If the loss is no longer finite.
    """
    weights = training.export(fit(training, resume))
    write_model_card(weights, training.settings)
    return weights


def fit(training: TrainingBody, resume: bool = False) -> dict[str, float]:
    """Train to the end, then fill the module with the weights of the best checkpoint; see `train`.

    Returns:
        The values that were last logged when that checkpoint was written; empty if there was no validation.
    """
    settings = training.settings
    folder = Path(settings.folder)
    last = _last_checkpoint(folder) if resume else None
    if last:
        _read_checkpoint(last)  # Lightning would end in a bare traceback for a damaged one
    every = timedelta(minutes=settings.checkpoint_minutes)
    callbacks: list[Callback] = [ModelCheckpoint(folder, "resume-{step}", train_time_interval=every), _LoggedValues()]
    best = _best_checkpoint(folder, training.monitor)
    with _quiet_lightning():
        trainer = Trainer(
            devices=1,
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            max_steps=settings.steps,
            max_epochs=-1,
            val_check_interval=settings.validation_steps,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            inference_mode=False,  # some validations take gradients
            callbacks=[*callbacks, best] if best else callbacks,
            logger=_make_loggers(settings),
            log_every_n_steps=10,
            enable_progress_bar=sys.stderr.isatty(),
            enable_model_summary=False,
        )
        warn_of_slow_bf16(settings.precision, trainer.strategy.root_device)
        pairs = training_pairs(settings, _step_of(last) if last else 0)
        trainer.fit(training, pairs, validation_pairs(settings), ckpt_path=last, weights_only=True)
    keep_checkpoint(folder, _last_checkpoint(folder))  # Lightning leaves the one that a run was resumed from
    if best is None:
        return _logged(trainer)
    if not best.best_model_path:
        return {}
    checkpoint = _read_checkpoint(Path(best.best_model_path))
    training.load_state_dict(checkpoint["state_dict"])
    logged: dict[str, float] = checkpoint[_LoggedValues.KEY]
    return logged


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advertisements, its own deprecations, and its warning about a folder that is not empty."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")
            yield
    finally:
        logger.setLevel(level)


class _LoggedValues(Callback):
    """Stores the logged values in the checkpoints."""

    KEY = "logged"

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[self.KEY] = _logged(trainer)


def _logged(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _best_checkpoint(folder: Path, monitor: str | None) -> ModelCheckpoint | None:
    if monitor is None:
        return None
    mode = "min" if monitor.startswith("-") else "max"
    return ModelCheckpoint(folder, "best-{step}", monitor=monitor.removeprefix("-"), mode=mode)


def _make_loggers(settings: RunSettings) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(settings.folder, name="curves")]
    if settings.tensorboard:
        # Where TensorFlow is installed, TensorBoard's writer imports it: some seconds, and hundreds of megabytes.
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(settings.folder, name="tensorboard"))
    return loggers


def keep_checkpoint(folder: Path, kept: Path | None) -> None:
    """Remove all checkpoints to resume from but one."""
    for checkpoint in folder.glob("resume-step=*.ckpt"):
        if checkpoint != kept:
            checkpoint.unlink()


def _last_checkpoint(folder: Path) -> Path | None:
    return max(folder.glob("resume-step=*.ckpt"), key=_step_of, default=None)


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        fix = "remove it, or start without --resume"
        raise InvalidValueError(str(path), "a checkpoint", "another or a damaged file", fix) from error
    return checkpoint


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.stem.partition("step=")[2].partition("-")[0])
