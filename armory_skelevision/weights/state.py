"""State dicts of any network: whether one fits, and its way into the network and into a file."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from armory_skelevision.io import printable
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import write_checkpoint
from armory_skelevision.weights.third_party import list_some

N = TypeVar("N", bound=nn.Module)

# Relative error, in a tensor's norm, that float16 may cause. Ordinary rounding takes 3e-4; more means values outside
# its range.
_HALF_TOLERANCE = 1e-3


def fill(
    network: N,
    state: Mapping[str, Tensor],
    path: Path,
    wanted: str,
    answer: Callable[[N], Iterable[Tensor]],
) -> None:
    """Put tensors that were read from a file into a network, in place: all of them, or none.

    BatchNorm's counters of batches may be missing, since nothing here reads them.

    Args:
        network: The network.
        state: The tensors by their names in the network.
        path: Their file, for error messages.
        wanted: The network in words.
        answer: Runs such a network on a fixed input. Finite weights may have answers that are not.

    Raises:
        InvalidValueError: If the tensors do not fit those of ``wanted``, or make it answer with NaN or infinity.
    """
    expected = network.state_dict()
    problems = find_problems(expected, state)
    if problems:
        raise InvalidValueError(printable(path), f"the tensors of {wanted}", "; ".join(problems))
    counters = {name: tensor for name, tensor in expected.items() if _is_counter(name)}
    filled = copy.deepcopy(network).cpu().float().eval()
    filled.load_state_dict({**counters, **state})
    with torch.no_grad():
        if not all(torch.isfinite(values).all() for values in answer(filled)):
            problem = "weights of a size that makes it answer with NaN or infinity"
            raise InvalidValueError(printable(path), f"weights of {wanted} with finite answers", problem)
    network.load_state_dict(filled.state_dict())


def write_network(
    network: nn.Module, path: Path, header: Mapping[str, str], half: bool = True, new: bool = False
) -> None:
    """Write a network's weights as safetensors, whole or not at all.

    Args:
        network: The network; its tensors are not changed.
        path: Ends in ``.safetensors``; missing folders are made.
        header: The file's metadata as strings.
        half: Store kernels in float16. Biases and all of BatchNorm (whose variances exceed float16's range) stay in
            float32, as does a kernel with values that are too small or large.
        new: Whether an existing file is an error instead of being replaced.

    Raises:
        InvalidValueError: For another suffix, or NaN or infinite weights.
        OSError: If the file cannot be written.
    """
    if path.suffix != ".safetensors":
        raise InvalidValueError(printable(path), "a name that ends in .safetensors", path.name)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    problems = find_problems(state, state)
    if problems:
        raise InvalidValueError(printable(path), "finite weights", "; ".join(problems), "the file is not written")
    tensors = {name: _compact(tensor) if half else tensor for name, tensor in state.items()}
    write_checkpoint(tensors, header, path, new)


def find_problems(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Reasons why a state dict cannot take the place of another, one line per kind; empty if it can."""
    shared = [name for name in expected if name in state]
    fitting = [name for name in shared if _describe(expected[name]) == _describe(state[name])]
    kinds = {
        "missing": [name for name in expected if name not in state and not _is_counter(name)],
        "unexpected": sorted(set(state) - set(expected)),
        "misshapen": [
            f"{name} (expected {_describe(expected[name])}, got {_describe(state[name])})"
            for name in shared
            if name not in fitting
        ],
        "NaN or infinite": [name for name in fitting if not torch.isfinite(state[name]).all()],
        "negative variances": [name for name in fitting if name.endswith("running_var") and (state[name] < 0).any()],
    }
    return [f"{len(names)} {kind}: {list_some(names)}" for kind, names in kinds.items() if names]


def _compact(tensor: Tensor) -> Tensor:
    if tensor.dim() < 2:
        return tensor
    half = tensor.half()
    return half if (half.float() - tensor).norm() <= _HALF_TOLERANCE * tensor.norm() else tensor


def _describe(tensor: Tensor) -> str:
    kind = "float" if tensor.dtype == torch.float32 else str(tensor.dtype).removeprefix("torch.")
    return f"{kind} {tuple(tensor.shape)}"


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")
