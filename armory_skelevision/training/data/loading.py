"""Training pairs in batches of tensors. Pair number i is the same for any number of workers, and after a resume."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from armory_skelevision.training.data.real_crops.sampling import FRAME_RANGE, CropPairSampler
from armory_skelevision.training.data.real_crops.store import CropStore, is_crop_store
from armory_skelevision.training.data.rendered_pairs.composing import RenderedPairSampler
from armory_skelevision.training.data.rendered_pairs.store import RenderedStore, read_sources
from armory_skelevision.training.settings import RunSettings, shares_of
from armory_skelevision.training.targets import TargetMaker

VALIDATION_SEED = 2**31 - 1  # differs from the seeds of training pairs


class Batch(NamedTuple):
    """N pairs and their targets."""

    template: Tensor
    """(N, 127, 127, 3) uint8 BGR."""
    search: Tensor
    """(N, side, side, 3) uint8 BGR."""
    box_xyxy: Tensor
    """(N, 4) float32, in search-crop pixels."""
    keypoints: Tensor
    """(N, 17, 3) float32: x, y in template-crop pixels, v."""
    labels: Tensor
    """(N, 5, S, S) int64; see `targets.Targets` for this and the following."""
    deltas: Tensor
    """(N, 4, 5, S, S) float32."""
    weights: Tensor
    """(N, 5, S, S) float32."""
    background: Tensor
    """(N, 5, S, S) bool."""
    source: Tensor
    """(N,) int64: the number of the store that each pair is from."""


def describe_pairs(stores: str | Mapping[str, float]) -> str:
    """A description of the pairs of one or several stores, for the metadata of weights."""
    shares = shares_of("store", stores)
    if len(shares) == 1:
        return _describe_store(*shares)
    return "pairs: " + ", ".join(f"{share:.0%} {_describe_store(folder)}" for folder, share in shares.items())


def _describe_store(folder: str) -> str:
    if not is_crop_store(folder):
        real = f" and of real ones ({', '.join(sources)})" if (sources := read_sources(folder)) else ""
        return f"composed pairs of rendered people{real}"
    store = CropStore(folder)
    labels = f"; labels by {', '.join(store.teachers)}" if store.teachers else ""
    return f"pairs from {len(store)} crops of real people ({', '.join(store.sources)}{labels})"


class PairDataset(Dataset[Batch]):
    """Endless pairs by number.

    Args:
        stores: Folder of a store of crops, recognised by its parts, or of rendered people and scenes; or several with
            the share of the pairs that each gives. They are read with the first pair, in the worker that uses them.
        seed: Pair ``i`` depends on ``(seed, i)``, the store and the following arguments alone.
        search_side: Side of the search crops in pixels.
        negative_pair_ratio: Share of negative pairs, whose search crop does not show the target.
        frame_range: Largest number of frames between template and search crop of real people in videos.
        base_size: Of the network that the targets are for; see `networks.AnchorNetwork`.
    """

    def __init__(
        self,
        stores: str | Mapping[str, float],
        seed: int,
        search_side: int = 255,
        negative_pair_ratio: float = 0.0,
        frame_range: int = FRAME_RANGE,
        base_size: int = 0,
    ) -> None:
        self._shares = shares_of("store", stores)
        self._seed = seed
        self._search_side = search_side
        self._negative_pair_ratio = negative_pair_ratio
        self._frame_range = frame_range
        self._targets = TargetMaker(search_side, base_size)

    @cached_property
    def _samplers(self) -> list[RenderedPairSampler | CropPairSampler]:
        return [self._open(folder) for folder in self._shares]

    def _open(self, folder: str) -> RenderedPairSampler | CropPairSampler:
        side, ratio = self._search_side, self._negative_pair_ratio
        if is_crop_store(folder):
            return CropPairSampler(CropStore(folder), side, ratio, self._frame_range)
        return RenderedPairSampler(RenderedStore(folder), search_side=side, negative_pair_ratio=ratio)

    def __getitem__(self, index: int) -> Batch:
        """Pair number ``index`` as a batch without its first axis."""
        rng = np.random.default_rng((self._seed, index))
        source = int(rng.choice(len(self._shares), p=list(self._shares.values()))) if len(self._shares) > 1 else 0
        pair = self._samplers[source].sample(rng)
        targets = self._targets.make(pair.box_xyxy, rng, pair.is_positive, pair.distractors_xyxy)
        inputs = (pair.template, pair.search, pair.box_xyxy, pair.keypoints)
        return Batch(*(torch.from_numpy(array) for array in (*inputs, *targets, np.asarray(source))))


def training_pairs(settings: RunSettings, first_step: int = 0, base_size: int = 0) -> DataLoader[Batch]:
    """Exactly the pairs of a run that remain after ``first_step`` steps, in order."""
    numbers = range(first_step * settings.batch_size, settings.steps * settings.batch_size)
    sampled = (settings.search_side, settings.negative_pair_ratio, settings.frame_range)
    pairs = PairDataset(settings.store, settings.seed, *sampled, base_size)
    return _load(pairs, numbers, settings)


def validation_pairs(settings: RunSettings, base_size: int = 0) -> DataLoader[Batch]:
    """The pairs that a run is validated on, always the same."""
    pairs = PairDataset(
        settings.validation_store, VALIDATION_SEED, frame_range=settings.frame_range, base_size=base_size
    )
    return _load(pairs, range(settings.validation_pairs), settings)


def _load(pairs: PairDataset, numbers: range, settings: RunSettings) -> DataLoader[Batch]:
    # Before OpenCV's first use and before workers are forked: its pool of threads does not survive a fork.
    cv2.setNumThreads(1)
    workers = settings.workers
    return DataLoader(
        pairs,
        batch_size=settings.batch_size,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=8 if workers else None,
        persistent_workers=workers > 0,
        # forked workers would wait for OpenCV's and torch's threads, which do not exist in them
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_use_one_thread,
    )


def _use_one_thread(_: int) -> None:
    """Use one thread per worker; more would compete with the network's."""
    torch.set_num_threads(1)
