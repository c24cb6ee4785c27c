"""A training run with Lightning, from its start or its last checkpoint to its weights file."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from armory_skelevision.io import progress
from armory_skelevision.networks.inference import warn_of_slow_bf16
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.checkpoints import Checkpoints, read_last, validation_interval
from armory_skelevision.training.curves import CurveLogger
from armory_skelevision.training.data.loading import training_pairs, validation_pairs
from armory_skelevision.training.model_card import write_model_card
from armory_skelevision.training.run_folder import check_inputs, open_folder, remove_run
from armory_skelevision.training.run_record import check_same_run, record_run
from armory_skelevision.training.settings import RunSettings

TERMINATED = 128 + signal.SIGTERM
"""Exit code of a run that a signal has ended."""


def train(training: TrainingBody, resume: bool = False, overwrite: bool = False) -> Path:
    """Run a training to its end.

    Args:
        training: The training loop's body.
        resume: Continue from the last checkpoint in ``settings.folder``, or begin if it holds nothing yet.
        overwrite: Replace a run in ``settings.folder``, which is refused otherwise.

    Returns:
        Path of ``weights.safetensors``. ``card.md`` is written beside it.

    Raises:
        OSError: If a store is missing, the disk is full, or another training has the folder.
        InvalidValueError: If a store cannot be used, the folder holds a run already, its checkpoints are damaged, or
            it is a run of other settings, data, weights or versions than those to resume with.
        FloatingPointError: If the training diverges: a loss or a weight, or all results of validations, are not finite.
    """
    folder, files = Path(training.settings.folder), training.input_files()
    check_inputs(files, folder)
    with open_folder(folder, resume, overwrite):
        record = record_run(training.settings, files)
        last = read_last(folder) if resume else None
        if last is not None:
            check_same_run(last["record"], record)
        if overwrite:
            remove_run(folder)
        checkpoints = Checkpoints(training, record, last)
        fit(training, checkpoints)
        weights = training.export(checkpoints.progress.logged)
        write_model_card(weights, training.settings, record, checkpoints.progress)
    return weights


def fit(training: TrainingBody, checkpoints: Checkpoints | None = None) -> None:
    """Train to the end, then fill the module with the weights of the best validation; see `train`.

    Args:
        training: The training loop's body.
        checkpoints: What writes checkpoints and knows where to continue; None for a new run without a record.
    """
    checkpoints = checkpoints or Checkpoints(training, {})
    settings, done = training.settings, checkpoints.step
    if done < settings.steps:
        with _quiet_lightning():
            trainer = _make_trainer(training, checkpoints)
            warn_of_slow_bf16(settings.precision, trainer.strategy.root_device)
            pairs = training_pairs(settings, done, training.base_size), validation_pairs(settings, training.base_size)
            with _errors_of_workers():
                trainer.fit(training, *pairs)
    if training.monitor is not None:
        if not checkpoints.progress.best:
            raise training.diverged(f"no validation gave a finite {training.monitor.removeprefix('-')}")
        training.load_state_dict(checkpoints.progress.best)


def _make_trainer(training: TrainingBody, checkpoints: Checkpoints) -> Trainer:
    settings = training.settings
    return Trainer(
        devices=1,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        max_steps=settings.steps,
        max_epochs=-1,
        val_check_interval=validation_interval(settings),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        inference_mode=False,  # some validations take gradients
        callbacks=[_Bar(checkpoints.step), checkpoints],
        logger=_make_loggers(settings, checkpoints),
        log_every_n_steps=10,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silence Lightning's advertisements and its own deprecations."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _errors_of_workers() -> Iterator[None]:
    """Shorten an error in a worker process, which torch passes on as a traceback, to its last line.

    A signal that ends the workers as well as this process ends the run as if it had come here first.
    """
    try:
        yield
    except RuntimeError as error:
        if "is killed by signal: Terminated" in str(error):
            raise SystemExit(TERMINATED) from None
        if "in DataLoader worker process" not in str(error):
            raise
        kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
        raise RuntimeError(message or kind) from error


class _Bar(Callback):
    """Shows the progress."""

    def __init__(self, done: int) -> None:
        self._done = done

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._bar = progress(total=trainer.max_steps, initial=self._done, desc="Training", unit="step")

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        shown = {name: f"{float(value):.3g}" for name, value in trainer.progress_bar_metrics.items()}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()


def _make_loggers(settings: RunSettings, checkpoints: Checkpoints) -> list[Logger]:
    loggers: list[Logger] = [CurveLogger(checkpoints.progress.curves)]
    if settings.tensorboard:
        # Where TensorFlow is installed, TensorBoard's writer imports it: some seconds, and hundreds of megabytes.
        from lightning.pytorch.loggers import TensorBoardLogger

        loggers.append(TensorBoardLogger(settings.folder, name="tensorboard"))
    return loggers
