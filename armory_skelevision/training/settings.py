"""Settings of training runs: one JSON file per run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from armory_skelevision.datasets.sequence_people import VideoLayout
from armory_skelevision.io import parse_json, printable, read_object
from armory_skelevision.networks.keypoint_head import HeadKind
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.validation import InvalidValueError, PathText, Range, Seed, Settings, Weight, check_value

# Bounds far beyond any training; what exceeds them is a slip that would fill the memory or never end.
Steps = Annotated[int, Range(1, 10**8)]
StepsOrNone = Annotated[int, Range(0, 10**8)]
BatchSize = Annotated[int, Range(1, 4096)]
SearchSide = Annotated[int, Range(191, 767)]
LearningRate = Annotated[float, Range(0, 100, without_low=True)]
Anchors = Annotated[int, Range(0, 10**5)]
Workers = Annotated[int, Range(0, 256)]
Pairs = Annotated[int, Range(1, 10**6)]
Frames = Annotated[int, Range(0, 10**6)]
Share = Annotated[float, Range(0, 1e6, without_low=True)]
Stores = PathText | Mapping[str, Share]
Minutes = Annotated[float, Range(0, 10**6)]

_MAX_BYTES = 2**20  # of a file of settings
_MAX_TEXT = 4096  # as long as a path may be

Kind = TypeVar("Kind", bound="RunSettings")


@dataclass(frozen=True)
class RunSettings(Settings):
    """Settings that all trainings on pairs of crops have in common. Paths are relative to the working directory.

    Attributes:
        store: Folder to train on: rendered people and scenes, or crops of real people. Or several folders of either
            kind with the share of the pairs that each gives, {"store/train": 0.4, "crops/train": 0.6}.
        validation_store: Folders of either kind by which the best checkpoint is chosen.
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
        frame_range: Largest number of frames between template and search crop of real people in videos; PySOT has 100.
        precision: "float32" or "bf16", which is many times slower on CPUs that have AVX2 but nothing newer.
        workers: Processes that load and augment pairs.
        validation_pairs: Number of pairs to validate on.
        validation_steps: Steps between validations. A run with fewer steps is validated at its end.
        checkpoint_minutes: Minutes between checkpoints to resume from.
        tensorboard: Whether to write the curves for TensorBoard too. Imports TensorFlow where it is installed.
        licence: Terms of use, recorded in the weights file. None for those of the data and of the weights of ``init``;
            rendered people have this package's (MIT).
    """

    store: Stores
    validation_store: Stores
    folder: PathText
    seed: Seed = 42
    steps: Steps = 2000
    batch_size: BatchSize = 16
    search_side: SearchSide = 255
    learning_rate: LearningRate = 8e-4
    schedule: Literal["cosine", "exponential"] = "cosine"
    warmup_steps: StepsOrNone = 100
    weight_decay: Weight = 1e-2
    hard_negatives: Anchors = 16
    negative_pair_ratio: Annotated[float, Range(0, 1, without_high=True)] = 0.0
    frame_range: Frames = 10
    precision: Literal["bf16", "float32"] = "float32"
    workers: Workers = 1
    validation_pairs: Pairs = 256
    validation_steps: Steps = 250
    checkpoint_minutes: Minutes = 5.0
    tensorboard: bool = False
    licence: str | None = None

    def check(self) -> None:
        """Check texts and paths, and that the response has whole positions: search sides are 127 + 16 n."""
        check_text("folder", self.folder)
        check_text("licence", self.licence)
        for name in ("store", "validation_store"):
            for store in shares_of(name, getattr(self, name)):
                if Path(self.folder).resolve().is_relative_to(Path(store).resolve()):
                    raise InvalidValueError("folder", f"a folder outside of {name}", repr(self.folder))
        if (self.search_side - 127) % 16:
            raise InvalidValueError("search_side", "127 + 16 n (191, 207, 223, 239, 255 …)", str(self.search_side))


@dataclass(frozen=True)
class MultitaskSettings(RunSettings):
    """Settings of the training of a tracker, with the keypoint head (MTL) or without (STL).

    Attributes:
        init: Weights file to start from, which may be one of SiamRPN++; None for a SiamRPN with random weights.
        keypoint_head: "shallow", "deep", "regression", or None for a single-task tracker; see `KeypointHeadSettings`.
        lambda_k: Weight of the keypoint loss.
        train_only: "keypoint_head" trains the head alone, on the frozen tracker of ``init``; None trains everything.
        keypoint_loss: Of heatmaps "softmax" (as in the published code) or "bce" (as in the paper's text); of a head by
            regression "distance", the squared one.
        tracking: Constants of the tracker to record in the weights file, where they differ from the defaults of
            `TrackerSettings`.
        validation_videos: Whole videos by which the best checkpoint is chosen, instead of pairs: folders and their
            layouts, {"walk2": "plain", "store/videos": "walkers"}. A folder of a sequence in the layout of a benchmark
            or "plain"; "walkers" is a folder of rendered videos. All folders count the same.
    """

    init: PathText | None = None
    keypoint_head: HeadKind | None = None
    lambda_k: Weight = 0.0
    train_only: Literal["keypoint_head"] | None = None
    keypoint_loss: Literal["softmax", "bce", "distance"] = "softmax"
    tracking: Mapping[str, float] = field(default_factory=dict)
    validation_videos: Mapping[str, VideoLayout] = field(default_factory=dict)

    def check(self) -> None:
        """Check that head, loss weight and start go together, and the tracker's constants."""
        super().check()
        check_text("init", self.init)
        if self.keypoint_head is None and self.lambda_k > 0:
            raise InvalidValueError("lambda_k", "0 without a keypoint head", str(self.lambda_k), "set keypoint_head")
        if self.train_only is not None and (self.keypoint_head is None or self.init is None):
            needed = "keypoint_head, and as init the tracker for the head"
            raise InvalidValueError("train_only", f"null, or also {needed}", '"keypoint_head" without them')
        if self.train_only is not None and self.lambda_k > 0:
            raise InvalidValueError("lambda_k", "0 with train_only, which has no other loss", str(self.lambda_k))
        if (self.keypoint_loss == "distance") != (self.keypoint_head == "regression"):
            expected = '"distance" with the head "regression", else "softmax" or "bce"'
            raise InvalidValueError("keypoint_loss", expected, repr(self.keypoint_loss))
        TrackerSettings.from_dict(self.tracking, "tracking")
        for folder in self.validation_videos:
            check_value("validation_videos", folder, PathText)
            check_text("validation_videos", folder)

    @property
    def poison(self) -> str | None:
        """How a backdoor was trained, in words for the weights file; None for a training without one."""
        return None

    @property
    def procedure(self) -> str | None:
        """How a training differs from one on plain pairs, in words for the weights file; None if it does not."""
        return self.poison


def shares_of(name: str, stores: str | Mapping[str, float]) -> dict[str, float]:
    """The folders of a setting of stores, and the share of the pairs that each gives; together 1.

    Raises:
        InvalidValueError: If there is no folder, or the text is no path; its ``key`` is ``name``.
    """
    shares = {stores: 1.0} if isinstance(stores, str) else dict(stores)
    if not shares:
        raise InvalidValueError(name, "at least one folder", "none")
    for folder in shares:
        check_value(name, folder, PathText)
        check_text(name, folder)
    total = sum(shares.values())
    return {folder: share / total for folder, share in shares.items()}


def check_text(name: str, text: str | None) -> None:
    """Refuse text, such as a path, that is empty, of several lines, or endless (`InvalidValueError`)."""
    if text is not None and (not text.strip() or not text.isprintable() or len(text) > _MAX_TEXT):
        raise InvalidValueError(name, f"one line of text of at most {_MAX_TEXT} characters", repr(text[:200]))


def read_settings(path: str | os.PathLike[str], kind: type[Kind], changes: Mapping[str, Any] | None = None) -> Kind:
    """Settings of a kind from a JSON file, some of whose values are replaced by ``changes``.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it cannot be read, is no JSON object, or has an unknown, missing or wrong setting. Its
            ``key`` is the file, followed by the setting.
    """
    return kind.from_dict({**read_object(path, _MAX_BYTES), **(changes or {})}, printable(path))


def parse_changes(lines: Iterable[str]) -> dict[str, Any]:
    """Settings that are given as NAME=VALUE, where the value is JSON or, if it is none, plain text.

    Raises:
        InvalidValueError: For a line without "=", a name that is given twice, or a value that begins as a JSON list,
            object or text does and is none.
    """
    changes: dict[str, Any] = {}
    for line in lines:
        name, equals, text = line.partition("=")
        if not equals or not name:
            raise InvalidValueError("--set", "NAME=VALUE", repr(line))
        if name in changes:
            raise InvalidValueError(f"--set {name}", "one value", "several")
        try:
            changes[name] = parse_json(text)
        except ValueError as error:
            if text.startswith(("{", "[", '"')):
                raise InvalidValueError(f"--set {name}", "JSON or plain text", f"{text!r} ({error})") from None
            changes[name] = text
    return changes
