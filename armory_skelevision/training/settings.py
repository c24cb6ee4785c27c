"""Settings of training runs: one JSON file per run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from armory_skelevision.io import parse_json
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.validation import Count, InvalidValueError, NonNegative, Positive, Range, Settings, WholeNumber

Kind = TypeVar("Kind", bound="RunSettings")


@dataclass(frozen=True)
class RunSettings(Settings):
    """Settings that all trainings on pairs of crops have in common. Paths are relative to the working directory.

    Attributes:
        store: Folder to train on: rendered people and scenes, or crops of real people.
        validation_store: Folder of either kind by which the best checkpoint is chosen.
        folder: Folder for checkpoints, curves and the final ``weights.safetensors``.
        seed: Seed of the initial weights, of the pairs and of their order.
        steps: Number of optimiser steps.
        batch_size: Pairs per step.
        search_side: Side of the search crops in training in pixels, 127 + 16 n; PySOT's is 255, 191 costs half as much.
        learning_rate: Learning rate of AdamW after the warm-up.
        schedule: How the learning rate falls: "cosine" to zero, or "exponential", by the factor 0.95 fifty times.
        warmup_steps: Steps over which the learning rate rises.
        weight_decay: Weight decay of convolution kernels.
        hard_negatives: Number of background anchors per pair, those with the largest error, that are added to the loss.
        negative_pair_ratio: Share of negative pairs, whose search crop shows someone else instead of the target.
        precision: "float32" or "bf16", which is many times slower on CPUs that have AVX2 but nothing newer.
        workers: Processes that load and augment pairs.
        validation_pairs: Number of pairs to validate on.
        validation_steps: Steps between validations.
        checkpoint_minutes: Minutes between checkpoints to resume from.
        tensorboard: Whether to write the curves for TensorBoard too. Imports TensorFlow where it is installed.
        licence: Terms of use, recorded in the weights file.
    """

    store: str
    validation_store: str
    folder: str
    seed: WholeNumber = 42
    steps: Count = 2000
    batch_size: Count = 16
    search_side: Annotated[int, Range(191)] = 255
    learning_rate: Positive = 8e-4
    schedule: Literal["cosine", "exponential"] = "cosine"
    warmup_steps: WholeNumber = 100
    weight_decay: NonNegative = 1e-2
    hard_negatives: WholeNumber = 16
    negative_pair_ratio: Annotated[float, Range(0, 1, without_high=True)] = 0.0
    precision: Literal["bf16", "float32"] = "float32"
    workers: WholeNumber = 1
    validation_pairs: Count = 256
    validation_steps: Count = 250
    checkpoint_minutes: NonNegative = 5.0
    tensorboard: bool = False
    licence: str = "MIT"

    def check(self) -> None:
        """Check that the response has whole positions: search sides are 127 + 16 n."""
        if (self.search_side - 127) % 16:
            raise InvalidValueError("search_side", "127 + 16 n (191, 207, 223, 239, 255 …)", str(self.search_side))


@dataclass(frozen=True)
class MultitaskSettings(RunSettings):
    """Settings of the training of a tracker, with the keypoint head (MTL) or without (STL).

    Attributes:
        init: Weights file to start from; None for random weights.
        keypoint_head: "shallow", "deep", or None for a single-task tracker.
        lambda_k: Weight of the keypoint loss.
        train_only: "keypoint_head" trains the head alone, on the frozen tracker of ``init``; None trains everything.
        keypoint_loss: "softmax" (as in the published code) or "bce" (as in the paper's text).
        tracking: Constants of the tracker to record in the weights file, where they differ from the defaults of
            `TrackerSettings`.
    """

    init: str | None = None
    keypoint_head: Literal["shallow", "deep"] | None = None
    lambda_k: NonNegative = 0.0
    train_only: Literal["keypoint_head"] | None = None
    keypoint_loss: Literal["softmax", "bce"] = "softmax"
    tracking: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """Check that head, loss weight and start go together, and the tracker's constants."""
        super().check()
        if self.keypoint_head is None and self.lambda_k > 0:
            raise InvalidValueError("lambda_k", "0 without a keypoint head", str(self.lambda_k), "set keypoint_head")
        if self.train_only is not None and (self.keypoint_head is None or self.init is None):
            needed = "keypoint_head, and as init the tracker for the head"
            raise InvalidValueError("train_only", f"null, or also {needed}", '"keypoint_head" without them')
        if self.train_only is not None and self.lambda_k > 0:
            raise InvalidValueError("lambda_k", "0 with train_only, which has no other loss", str(self.lambda_k))
        TrackerSettings.from_dict(self.tracking, "tracking")

    @property
    def poison(self) -> str | None:
        """How a backdoor was trained, in words for the weights file; None for a training without one."""
        return None


def read_settings(path: str | os.PathLike[str], kind: type[Kind], changes: Mapping[str, Any] | None = None) -> Kind:
    """Settings of a kind from a JSON file, some of whose values are replaced by ``changes``.

    Raises:
        OSError: If the file cannot be read.
        InvalidValueError: If it is no JSON object, or has an unknown, missing or wrong setting. Its ``key`` is the
            file, followed by the setting.
    """
    try:
        values = parse_json(Path(path).read_bytes())
    except ValueError as error:
        raise InvalidValueError(str(path), "a JSON object", f"other text ({error})") from None
    return kind.from_dict({**values, **(changes or {})} if isinstance(values, dict) else values, str(path))


def parse_changes(lines: Iterable[str]) -> dict[str, Any]:
    """Settings that are given as NAME=VALUE, where the value is JSON or plain text.

    Raises:
        InvalidValueError: For a line without "=".
    """
    changes: dict[str, Any] = {}
    for line in lines:
        name, equals, text = line.partition("=")
        if not equals:
            raise InvalidValueError("--set", "NAME=VALUE", repr(line))
        try:
            changes[name] = parse_json(text.encode())
        except ValueError:
            changes[name] = text
    return changes
