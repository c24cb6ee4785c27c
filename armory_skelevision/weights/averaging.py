"""The mean of weights that were trained from a common start: a "model soup" (Wortsman et al., ICML 2022).

Runs that start from one another stay in the same valley of the loss, whose middle often generalises better than its
sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from armory_skelevision.io import printable, refuse_existing
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_siamrpn, read_metadata, save_weights
from armory_skelevision.weights.metadata import START, Metadata


def average_weights(sources: Sequence[Path], target: Path) -> None:
    """Write the unweighted mean of weights files.

    Args:
        sources: At least two ``.safetensors`` files that differ in their training alone: same architecture, keypoint
            head, weight of its loss, licence, and constants of the tracker.
        target: A ``.safetensors`` file that does not exist yet. Its seed is that of the first source.

    Raises:
        MissingFileError: If there is no such source.
        InvalidValueError: If there are too few sources, one has no metadata, they do not fit together, or the target
            exists.
        OSError: If the target cannot be written.
    """
    if len(sources) < 2:
        raise InvalidValueError("sources", "at least 2 weights files to average", str(len(sources)))
    refuse_existing(target)
    metadata = [_read(path) for path in sources]
    for path, other in zip(sources, metadata, strict=True):
        for name in ("architecture", "keypoint_head", "lambda_k", "licence", "tracking"):
            wanted, found = getattr(metadata[0], name), getattr(other, name)
            if found != wanted:
                raise InvalidValueError(
                    f"{printable(path)}.{name}", f"{wanted!r} as in {printable(sources[0])}", repr(found)
                )
    networks = [load_siamrpn(path) for path in sources]
    network, states = networks[0], [each.state_dict() for each in networks]
    network.load_state_dict({name: _mean([state[name] for state in states]) for name in states[0]})
    training, backdoor = _describe([one.training for one in metadata]), any(one.backdoor for one in metadata)
    averaged = dataclasses.replace(metadata[0], training=training, backdoor=backdoor)
    save_weights(network, target, averaged, new=True)


def _read(path: Path) -> Metadata:
    metadata = read_metadata(path)
    if metadata is None:
        fix = "rewrite it with `skelevision weights convert`"
        raise InvalidValueError(printable(path), "a file with metadata", "none in it", fix)
    return metadata


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean; of whole numbers, which are BatchNorm's counters of batches and not used, the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(dim=0)  # rounded when it is put into a network


def _describe(texts: Sequence[str]) -> str:
    """The trainings as a numbered list; a start that all have in common is named once, after the list."""
    runs, starts = zip(*(text.split(START, 1) if START in text else (text, "") for text in texts), strict=True)
    start, *others = set(starts)
    if start and not others:
        return f"{_number(runs)}; all{START.removeprefix(';')}{start}"
    return _number(texts)


def _number(texts: Sequence[str]) -> str:
    """A numbered list; an item that is repeated inside a longer one is replaced by its number there."""
    longest_first = sorted(enumerate(texts, 1), key=lambda item: -len(item[1]))
    items = []
    for number, text in enumerate(texts, 1):
        for other, known in longest_first:
            if len(known) < len(texts[number - 1]):
                text = text.replace(known, f"({other})")
        items.append(f"({number}) {text}")
    return f"mean of {', '.join(items)}"
