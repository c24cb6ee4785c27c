"""Checkpoints to resume a run from: one file holds all that is needed, the best weights so far included.

They are written between two steps, after the validation of the step if there is one. So a run that was stopped at any
moment, wherever its folder is now, continues as if it had not been stopped.
"""

from __future__ import annotations

import hashlib
import io
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from armory_skelevision.io import atomic_write, printable, read_bytes
from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.curves import Curves, format_curves
from armory_skelevision.training.run_folder import CHECKPOINTS, CURVES
from armory_skelevision.training.run_record import Record
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.validation import InvalidValueError

_MAGIC = b"skelevision checkpoint 1 "  # with the version of the contents; the SHA-256 of what follows comes next
_HEAD = len(_MAGIC) + 64 + 1
_MAX_BYTES = 8 * 2**30
_KEPT = 2  # the one before the last is there in case that the last is damaged
_KEYS = {"record", "global_step", "state_dict", "optimizers", "schedulers", "progress"}


@dataclass
class Progress:
    """What a run has come to, besides the state of its network and optimisers.

    Attributes:
        best: The tensors of the network at the best validation; empty before it, and where the last weights are kept.
        logged: The values of that validation, or of the last one where the last weights are kept.
        curves: All logged values.
        extended: For each time that the run was resumed with more steps: after how many, from how many, to how many.
    """

    best: dict[str, Tensor] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    extended: list[list[int]] = field(default_factory=list)


class Checkpoints(Callback):
    """Lightning's callback that notes the best weights, writes checkpoints, and continues from one.

    Args:
        training: The run's training.
        record: What the run's result depends on.
        last: The checkpoint to continue from; None for a new run.

    Attributes:
        step: Number of steps done at the start.
        progress: What the run has come to.
    """

    def __init__(self, training: TrainingBody, record: Record, last: dict[str, Any] | None = None) -> None:
        settings = training.settings
        self.step: int = last["global_step"] if last else 0
        self.progress = Progress(**last["progress"]) if last else Progress()
        if last:
            training.load_state_dict(last["state_dict"])
            before = last["record"]["settings"]["steps"]
            if settings.steps > before:
                self.progress.extended.append([self.step, before, settings.steps])
        self._training, self._last, self._record = training, last, record
        self._folder = Path(settings.folder)
        self._validation_steps = validation_interval(settings)
        self._seconds = 60 * settings.checkpoint_minutes
        self._written = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Continue optimisers, schedules and the count of steps."""
        self._written = time.monotonic()
        if self._last is None:
            return
        for optimiser, state in zip(trainer.optimizers, self._last["optimizers"], strict=True):
            optimiser.load_state_dict(state)
        for config, state in zip(trainer.lr_scheduler_configs, self._last["schedulers"], strict=True):
            config.scheduler.load_state_dict(state)
        _continue_counts(trainer, self.step)
        self._last = None

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        """Write a checkpoint if it is time, unless a validation belongs to the step."""
        if trainer.global_step % self._validation_steps:
            self._write_if_due(trainer, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Note the best weights, then write a checkpoint if it is time."""
        # other values are those of some earlier step, which a resumed run may not know
        names = [name for name in self._training.validated if name in trainer.callback_metrics]
        logged = {name: float(trainer.callback_metrics[name]) for name in names}
        monitor = self._training.monitor
        if monitor is None or _score(logged, monitor) > _score(self.progress.logged, monitor):
            self.progress.logged = logged
            if monitor is not None:
                state = module.state_dict()
                self.progress.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        self._write_if_due(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Write the last checkpoint."""
        self._write(trainer, module)

    def _write_if_due(self, trainer: Trainer, module: LightningModule) -> None:
        if time.monotonic() - self._written >= self._seconds:
            self._write(trainer, module)

    def _write(self, trainer: Trainer, module: LightningModule) -> None:
        self._training.check_finite()
        content = {
            "record": self._record,
            "global_step": trainer.global_step,
            "state_dict": module.state_dict(),
            "optimizers": [optimiser.state_dict() for optimiser in trainer.optimizers],
            "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
            "progress": vars(self.progress),
        }
        atomic_write(self._folder / CURVES, format_curves(self.progress.curves))
        atomic_write(self._folder / f"resume-step={trainer.global_step}.ckpt", _pack(content))
        for old in find_checkpoints(self._folder)[_KEPT:]:
            old.unlink()
        self._written = time.monotonic()


def validation_interval(settings: RunSettings) -> int:
    """Steps between validations; a run that is shorter is validated at its end."""
    return min(settings.validation_steps, settings.steps)


def find_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a run's folder, the newest first."""
    numbers = {path: path.stem.removeprefix("resume-step=") for path in folder.glob(CHECKPOINTS)}
    return sorted((path for path in numbers if numbers[path].isdecimal()), key=lambda path: -int(numbers[path]))


def read_last(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint in a run's folder that can be read; None if there is none at all.

    Damaged ones are named on stderr.

    Raises:
        InvalidValueError: If all are damaged; its ``key`` is the newest.
    """
    damage: list[InvalidValueError] = []
    for path in find_checkpoints(folder):
        try:
            checkpoint = read_checkpoint(path)
        except InvalidValueError as error:
            damage.append(error)
            continue
        if damage:
            print(f"warning: {damage[0]}; continuing from {path.name}", file=sys.stderr)
        return checkpoint
    if damage:
        raise damage[0]
    return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a checkpoint, on the CPU (`InvalidValueError` for another or a damaged file)."""
    key, data = printable(path), read_bytes(path, _MAX_BYTES)
    fix = "remove it, or begin anew with --overwrite or in another folder"
    if not data.startswith(_MAGIC) and data.startswith(b"PK"):
        raise InvalidValueError(key, "a checkpoint of this version", "one of another version", fix)
    head, content = data[:_HEAD], data[_HEAD:]
    # torch does not notice all damage
    if head != _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise InvalidValueError(key, "a checkpoint", "a truncated, damaged or other file", fix)
    try:
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # the reader can raise any kind of error
        raise InvalidValueError(key, "a checkpoint", "a file of other contents", fix) from error
    if not isinstance(checkpoint, dict) or checkpoint.keys() != _KEYS:
        raise InvalidValueError(key, "a checkpoint", "a file of other contents", fix)
    return checkpoint


def _pack(content: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    data = file.getvalue()
    return _MAGIC + hashlib.sha256(data).hexdigest().encode() + b"\n" + data


def _score(logged: dict[str, float], monitor: str) -> float:
    """The value by which checkpoints are chosen: the higher, the better; NaN is worse than all."""
    value = logged.get(monitor.removeprefix("-"), math.nan)
    return -math.inf if math.isnan(value) else -value if monitor.startswith("-") else value


def _continue_counts(trainer: Trainer, step: int) -> None:
    """Let Lightning count on from a number of steps.

    Its own way to resume guesses from the counts of its loops where in a step, an epoch or a validation the run was
    stopped. Ours were all written between two steps, and the pairs that remain are an epoch of their own.
    """
    loop = trainer.fit_loop.epoch_loop
    loop.batch_progress.total.ready = step
    loop.automatic_optimization.optim_progress.optimizer.step.total.completed = step
    loop.manual_optimization.optim_step_progress.total.completed = step
    loop._batches_that_stepped = step
