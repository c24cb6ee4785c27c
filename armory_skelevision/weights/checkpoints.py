"""Weights files on disk: reading what may come from anywhere, writing whole files only. No file gets to run code."""

from __future__ import annotations

import codecs
import json
import pickle
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from armory_skelevision.io import atomic_write

PICKLED = (".pth", ".pt", ".ckpt")
SUFFIXES = (".safetensors", *PICKLED)

# Trainings keep the optimiser beside the weights, and PySOT's learning rates are numpy's numbers: values, no code.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # its name before numpy 2
    np.dtype,
    type(np.dtype(np.float64)),
    codecs.encode,
]

# How files begin that people save in place of weights.
_STRANGERS = {
    b"<": "a web page or XML, not weights: download the file itself, not the page that shows it",
    b"{": "JSON text, not weights",
    b"version https://git-lfs": "a Git LFS pointer, not the weights it points to: run `git lfs pull`",
}


def read_checkpoint(path: Path) -> object:
    """What a file holds, on the CPU: a dictionary of tensors, possibly wrapped.

    Raises:
        OSError: If there is no readable file.
        ValueError: For another kind of file, a damaged one, or one that wants to run code.
    """
    check_file(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(_damaged(path, error)) from error
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(_refused(path, error)) from error
    except Exception as error:  # a damaged file ends anywhere in the reader, in any kind of error
        raise ValueError(_damaged(path, error)) from error


def read_header(path: Path) -> dict[str, str]:
    """The strings in a safetensors header, without those that say nothing; empty for other formats.

    Raises:
        OSError: If there is no readable file.
        ValueError: For another kind of file, or a damaged one.
    """
    check_file(path)
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(_damaged(path, error)) from error
    header.pop("format", None)  # other tools write format = pt
    return header


def write_checkpoint(tensors: Mapping[str, Tensor], header: Mapping[str, str], path: Path) -> None:
    """Write a safetensors file, whole or not at all. Equal contents give equal bytes.

    Raises:
        OSError: If the file cannot be written; a file that stood at ``path`` is then still there, unchanged.
    """
    data = _sort_header(save(dict(tensors), dict(header)))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, data)


def check_file(path: Path) -> None:
    """Refuse, by name and first bytes, what cannot be weights.

    Raises:
        OSError: If there is no readable file.
        ValueError: For a name or beginning that is not that of a weights file.
    """
    wanted = f"expected weights, a {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file"
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; {wanted}")
    if not path.exists():
        raise FileNotFoundError(f"no weights file {path}; {wanted}")
    if path.suffix not in SUFFIXES or not path.is_file():
        raise ValueError(f"{path}: {wanted}")
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start:
        raise ValueError(f"{path} is empty; {wanted}")
    for beginning, what in _STRANGERS.items():
        if start.startswith(beginning) and b"\0" not in start:  # binary formats may begin like text
            raise ValueError(f"{path} is {what}")


def _refused(path: Path, error: pickle.UnpicklingError) -> str:
    """Tell apart, by the reader's complaint, a pickle that calls something and bytes that are no pickle."""
    complaint = str(error)
    called = re.search(r"GLOBAL ([\w.]+)", complaint)
    if not (called or "unrecognized function" in complaint or _calls(path)):
        return _damaged(path, error)
    what = f" ({called[1]})" if called else ""
    return (
        f"{path} is refused: it wants to run code{what}, where weights are tensors and nothing else. "
        "If you trust its source, save the bare state dict again there: torch.save(network.state_dict(), …)"
    )


def _calls(path: Path) -> bool:
    """Whether a bare pickle, of a protocol that torch does not read, calls anything. Looks at it without running it."""
    with path.open("rb") as file:
        try:
            return any(opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST") for opcode, _, _ in pickletools.genops(file))
        except ValueError:
            return False


def _damaged(path: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())
    found = re.search(r"WeightsUnpickler error: (.*?)(?: Check the documentation|$)", reason)
    reason = (found[1] if found else reason).split(". ")[0] or type(error).__name__
    return f"{path} cannot be read as weights: it is truncated, damaged or of another format ({reason})"


def _sort_header(data: bytes) -> bytes:
    """Give the strings in a safetensors header a fixed order; the library writes them in a new one each time."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
