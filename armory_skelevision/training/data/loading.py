"""Training pairs as batches of tensors. Pair number i is the same for any number of workers, and after a resume."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from armory_skelevision.training.data.crops.pairs import CropPairs
from armory_skelevision.training.data.crops.store import CropStore, is_crop_store
from armory_skelevision.training.data.pairs.compose import Composer
from armory_skelevision.training.data.pairs.store import Store
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.training.targets import TargetMaker

VALIDATION_SEED = 2**31 - 1  # keeps validation pairs apart from every run's training pairs


class Batch(NamedTuple):
    """N pairs and their targets.

    Attributes:
        template: (N, 127, 127, 3) uint8 BGR.
        search: (N, side, side, 3) uint8 BGR.
        box_xyxy: (N, 4) in search-crop pixels.
        keypoints: (N, 17, 3) in template-crop pixels, x, y, v.
        labels: (N, 5, S, S), see `Targets`; likewise the rest.
        deltas: (N, 4, 5, S, S).
        weights: (N, 5, S, S).
        background: (N, 5, S, S).
    """

    template: Tensor
    search: Tensor
    box_xyxy: Tensor
    keypoints: Tensor
    labels: Tensor
    deltas: Tensor
    weights: Tensor
    background: Tensor


def open_pairs(folder: str, search_side: int, strangers: float = 0.0) -> Composer | CropPairs:
    """Whatever draws pairs from a store: one of crops, known by its parts, or one of rendered people and scenes.

    Raises:
        OSError, ValueError: It is neither, empty or damaged.
    """
    if is_crop_store(folder):
        return CropPairs(CropStore(folder), search_side, strangers)
    return Composer(Store(folder), search_side=search_side, strangers=strangers)


def describe_pairs(folder: str) -> str:
    """What the pairs of a store are, for what weights say of themselves."""
    if not is_crop_store(folder):
        return "composed pairs of rendered people"
    store = CropStore(folder)
    return f"pairs from {len(store)} crops of real people ({', '.join(store.sources)})"


class PairDataset(Dataset[Batch]):
    """Endless pairs by number.

    Args:
        folder: The store, of either kind, read where the first pair is asked for: in the worker that will use it.
        seed: Pair ``i`` depends on ``(seed, i)``, the store and what follows here alone.
        search_side: Of the search crops, pixels.
        strangers: Share of the pairs whose search crop does not show the target.
    """

    def __init__(self, folder: str, seed: int, search_side: int = 255, strangers: float = 0.0) -> None:
        self._folder = folder
        self._seed = seed
        self._search_side = search_side
        self._strangers = strangers
        self._targets = TargetMaker(search_side)

    @cached_property
    def _source(self) -> Composer | CropPairs:
        return open_pairs(self._folder, self._search_side, self._strangers)

    def __getitem__(self, index: int) -> Batch:
        """Pair number ``index`` as a batch without its first axis."""
        rng = np.random.default_rng((self._seed, index))
        pair = self._source.pair(rng)
        targets = self._targets.make(pair.box_xyxy, rng, pair.is_target, pair.others_xyxy)
        seen = (pair.template, pair.search, pair.box_xyxy, pair.keypoints)
        return Batch(*(torch.from_numpy(array) for array in (*seen, *targets)))


class PairModule(LightningDataModule):
    """Loaders of training and validation pairs.

    Args:
        settings: The run's settings.
        first_step: Steps already done, when a run is resumed.
    """

    def __init__(self, settings: RunSettings, first_step: int = 0) -> None:
        super().__init__()
        self._settings = settings
        self._first_step = first_step

    def train_dataloader(self) -> DataLoader[Batch]:
        """Exactly the pairs that are left to do, in order."""
        settings = self._settings
        numbers = range(self._first_step * settings.batch_size, settings.steps * settings.batch_size)
        pairs = PairDataset(settings.store, settings.seed, settings.search_side, settings.strangers)
        return self._load(pairs, numbers)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The same pairs each time."""
        settings = self._settings
        return self._load(PairDataset(settings.validation_store, VALIDATION_SEED), range(settings.validation_pairs))

    def _load(self, pairs: PairDataset, numbers: range) -> DataLoader[Batch]:
        # Before its first use and before workers are forked: OpenCV's pool of threads does not survive a fork.
        cv2.setNumThreads(1)
        workers = self._settings.workers
        return DataLoader(
            pairs,
            batch_size=self._settings.batch_size,
            sampler=numbers,
            num_workers=workers,
            prefetch_factor=8 if workers else None,
            persistent_workers=workers > 0,
            # forked workers would inherit, and wait for, OpenCV's and torch's threads that are not there any more
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_calm_torch,
        )


def _calm_torch(_: int) -> None:
    """One thread per worker: more would fight with the network's."""
    torch.set_num_threads(1)
