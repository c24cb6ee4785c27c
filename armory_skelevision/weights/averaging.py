"""The mean of weights that were trained on from each other: a "model soup" (Wortsman et al., ICML 2022).

Runs that start from one another stay in the same valley of the loss, whose middle often generalises better than its
sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from armory_skelevision.networks import SiamRPN
from armory_skelevision.weights import Metadata, load_weights, read_metadata, save_weights
from armory_skelevision.weights.metadata import START


def average_weights(sources: Sequence[Path], target: Path) -> None:
    """Write the mean of weights files, each counting as much as the others.

    Args:
        sources: At least two ``.safetensors`` files that differ in their training alone: same keypoint head, weight of
            its loss, licence, and constants of the tracker.
        target: A ``.safetensors`` file that is not there yet. Its seed is that of the first source.

    Raises:
        OSError: If a source cannot be read, or the target is there or cannot be written.
        ValueError: If there are too few sources, they say nothing of themselves, or they do not go together.
    """
    if len(sources) < 2:
        raise ValueError(f"expected at least 2 weights files to average, got {len(sources)}")
    if target.exists():
        raise FileExistsError(f"{target} is there already: delete or rename it first")
    metadata = [_read(path) for path in sources]
    for path, other in zip(sources, metadata, strict=True):
        for name in ("keypoint_head", "lambda_k", "licence", "tracking"):
            if getattr(other, name) != getattr(metadata[0], name):
                raise ValueError(
                    f"{path}: {name} is {getattr(other, name)!r}, but {getattr(metadata[0], name)!r} in {sources[0]}: "
                    "no mean of these"
                )
    network = SiamRPN(metadata[0].keypoint_head)
    states = []
    for path in sources:
        load_weights(network, path)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    network.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    training, backdoor = _describe([one.training for one in metadata]), any(one.backdoor for one in metadata)
    made = dataclasses.replace(metadata[0], training=training, backdoor=backdoor)
    save_weights(network, target, made)


def _read(path: Path) -> Metadata:
    metadata = read_metadata(path)
    if metadata is None:
        raise ValueError(f"{path} does not say how it was made: write it anew by `skelevision weights convert`")
    return metadata


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean; of whole numbers, BatchNorm's counters of batches, which decide nothing, the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0).to(tensors[0].dtype)


def _describe(texts: Sequence[str]) -> str:
    """What they say, numbered; what several say, having started from it, only once."""
    runs, starts = zip(*(text.split(START, 1) if START in text else (text, "") for text in texts), strict=True)
    if starts[0] and len(set(starts)) == 1:
        return f"{_number(runs)}; all{START.removeprefix(';')}{starts[0]}"
    return _number(texts)


def _number(texts: Sequence[str]) -> str:
    """A list; in place of an item that is repeated in a longer one stands its number there."""
    longest_first = sorted(enumerate(texts, 1), key=lambda item: -len(item[1]))
    told = []
    for number, text in enumerate(texts, 1):
        for other, known in longest_first:
            if len(known) < len(texts[number - 1]):
                text = text.replace(known, f"({other})")
        told.append(f"({number}) {text}")
    return f"mean of {', '.join(told)}"
