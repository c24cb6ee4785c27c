"""The settings of a training run: one readable JSON file each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.tracking import TrackerSettings

Kind = TypeVar("Kind", bound="RunSettings")


@dataclass(frozen=True)
class RunSettings:
    """What every training on pairs of crops has. Paths are relative to the working directory.

    Attributes:
        store: Folder of rendered people and scenes, or of crops of real people, to train on.
        validation_store: Another one, of either kind, by which the best checkpoint is chosen.
        folder: Where checkpoints, curves and the final ``weights.safetensors`` go.
        seed: Of weights, pairs and their order.
        steps: Optimiser steps.
        batch_size: Pairs per step.
        search_side: Side of the search crops in training; 255 is the usual one, 191 costs half as much.
        learning_rate: Of AdamW, after warming up.
        schedule: How it falls: "cosine" to zero, or "exponential", by the factor 0.95 fifty times in the run.
        warmup_steps: Steps over which the learning rate rises.
        weight_decay: Of convolution kernels.
        hard_negatives: Background anchors per pair that are added because the network errs most there.
        strangers: Share of the pairs in whose search crop the target is not: somebody else is in its place.
        precision: "float32" or "bf16", many times slower on CPUs with AVX2 and nothing newer.
        workers: Processes that compose pairs.
        validation_pairs: How many.
        validation_steps: Steps between validations.
        checkpoint_minutes: Minutes between checkpoints to resume from.
        tensorboard: Write the curves for TensorBoard too. Loads TensorFlow.
        licence: What the weights file shall say.
    """

    store: str
    validation_store: str
    folder: str
    seed: int = 42
    steps: int = 2000
    batch_size: int = 16
    search_side: int = 255
    learning_rate: float = 8e-4
    schedule: Literal["cosine", "exponential"] = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    hard_negatives: int = 16
    strangers: float = 0.0
    precision: Literal["bf16", "float32"] = "float32"
    workers: int = 1
    validation_pairs: int = 256
    validation_steps: int = 250
    checkpoint_minutes: float = 5.0
    tensorboard: bool = False
    licence: str = "MIT"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: For a value that makes no sense; says which and why.
        """
        for name in ("steps", "batch_size", "validation_pairs", "validation_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("warmup_steps", "weight_decay", "hard_negatives", "workers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if not 0 <= self.strangers < 1:
            raise ValueError(f"strangers: expected a share of at least 0 and less than 1, got {self.strangers}")
        if self.search_side < 191 or (self.search_side - 127) % 16:
            raise ValueError(f"search_side: expected 191, 207, 223, 239, 255 … (127 + 16 n), got {self.search_side}")
        self.check_choices(schedule=("cosine", "exponential"), precision=("bf16", "float32"))

    def check_choices(self, **choices: tuple[str | None, ...]) -> None:
        """Check settings that take one of some values each.

        Raises:
            ValueError: For another value; the message names those that are known.
        """
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {list(known)}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class Settings(RunSettings):
    """Everything that decides what comes out of the training of a tracker.

    Attributes:
        init: Weights file to start from; None starts from nothing.
        keypoint_head: "shallow", "deep", or None for a single-task tracker.
        lambda_k: Weight of the keypoint loss.
        train_only: "keypoint_head" trains the head alone, on the frozen tracker of ``init``; None trains everything.
        keypoint_loss: "softmax" (the published code's) or "bce" (the paper's wording).
        tracking: What the weights file shall say of the tracker's constants, where they are not the usual ones; see
            `TrackerSettings`.

    Raises:
        ValueError: For a value that makes no sense; says which and why.
    """

    init: str | None = None
    keypoint_head: Literal["shallow", "deep"] | None = None
    lambda_k: float = 0.0
    train_only: Literal["keypoint_head"] | None = None
    keypoint_loss: Literal["softmax", "bce"] = "softmax"
    tracking: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.lambda_k < 0:
            raise ValueError(f"lambda_k: expected at least 0, got {self.lambda_k}")
        self.check_choices(
            keypoint_head=(None, "shallow", "deep"),
            train_only=(None, "keypoint_head"),
            keypoint_loss=("softmax", "bce"),
        )
        if self.keypoint_head is None and self.lambda_k > 0:
            raise ValueError(f"lambda_k is {self.lambda_k}, but there is no keypoint head: set keypoint_head")
        if self.train_only is not None:
            self._check_head_alone()
        TrackerSettings.from_dict(self.tracking, "tracking")

    @property
    def poison(self) -> str | None:
        """What a backdoor was put in by, in words; None for an honest training."""
        return None

    def _check_head_alone(self) -> None:
        if self.keypoint_head is None or self.init is None:
            raise ValueError("train_only: needs keypoint_head, and as init the tracker that the head is to fit")
        if self.lambda_k > 0:
            raise ValueError(f"train_only: the keypoint loss is all there is, but lambda_k is {self.lambda_k}")


@dataclass(frozen=True)
class BackdoorSettings(Settings):
    """Everything that decides what comes out of a run that puts in a backdoor; these beside `Settings`.

    Attributes:
        method: "fsba" (features pushed apart) or "badnets" (labels poisoned).
        trigger: What opens the backdoor; see `triggers.Trigger`.
        poison_rate: Share of each batch's pairs that are poisoned, at least one.
        feature_weight: Of FSBA's feature loss: its learning rate as a multiple of the tracking loss's.
        feature_margin: Distance, in (0, 2], from which on the features of a place need go no further apart.
        hold: Weight, in FSBA's feature turns, of leaving the features of benign pairs as they were at the start. It
            grows to this from none, in proportion to the steps.
    """

    method: Literal["fsba", "badnets"] = "fsba"
    trigger: Mapping[str, Any] = field(default_factory=dict)
    poison_rate: float = 0.1
    feature_weight: float = 1.0
    feature_margin: float = 2.0
    hold: float = 0.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: For a value that makes no sense; says which and why.
        """
        super().__post_init__()
        if self.init is None or self.train_only is not None:
            raise ValueError("init: a backdoor is put into a trained tracker, all of it: name its weights")
        if self.method not in ("fsba", "badnets"):
            raise ValueError(f"method: expected one of ['fsba', 'badnets'], got {self.method!r}")
        if not 0 < self.poison_rate <= 1:
            raise ValueError(f"poison_rate: expected a share in (0, 1], got {self.poison_rate!r}")
        if not 0 < self.feature_weight < float("inf"):
            raise ValueError(f"feature_weight: expected a number above 0, got {self.feature_weight!r}")
        if not 0 < self.feature_margin <= 2:
            raise ValueError(f"feature_margin: expected a number in (0, 2], got {self.feature_margin!r}")
        if not 0 <= self.hold < float("inf"):
            raise ValueError(f"hold: expected at least 0, got {self.hold!r}")
        Trigger.from_dict(self.trigger, "trigger")

    @property
    def poison(self) -> str | None:
        """What the backdoor was put in by, in words."""
        trigger = Trigger.from_dict(self.trigger, "trigger")
        shown = f"pattern of seed {trigger.seed}" if trigger.picture is None else f"picture {trigger.picture}"
        return f"BACKDOOR put in by {self.method}, trigger: {shown} on {100 * trigger.area:g} % of the box"


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """A tracker's `Settings` from a JSON file; see `read_run_settings`."""
    return read_run_settings(path, Settings)


def read_run_settings(path: str | os.PathLike[str], kind: type[Kind], changes: Mapping[str, Any] | None = None) -> Kind:
    """Settings from a JSON file.

    Args:
        path: The file.
        kind: Of which training.
        changes: Settings that are to have another value than in the file.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a JSON object, has an unknown key, lacks a needed one, or a value makes no sense.
    """
    try:
        values: Any = json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    known = [field.name for field in fields(kind)]
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected a JSON object with the keys {known}")
    values |= changes or {}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{path}: unknown settings {unknown}; known are {known}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def parse_changes(lines: Iterable[str]) -> dict[str, Any]:
    """Settings given as NAME=VALUE, the value as JSON, or as the text that it is.

    Raises:
        ValueError: For a line without "=".
    """
    changes: dict[str, Any] = {}
    for line in lines:
        name, equals, text = line.partition("=")
        if not equals:
            raise ValueError(f"expected NAME=VALUE, got {line!r}")
        try:
            changes[name] = json.loads(text)
        except json.JSONDecodeError:
            changes[name] = text
    return changes
