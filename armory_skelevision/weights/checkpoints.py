"""The format of weights files: read from any source without running code, written whole or not at all.

Errors are about a file, so their ``key`` is its path. Whatever reads a file raises `MissingFileError` if there is none,
and `InvalidValueError` if it is damaged, of another format, or would run code.
"""

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
from safetensors.torch import load, save
from torch import Tensor

from armory_skelevision.io import atomic_write, open_regular, parse_json, printable, read_bytes
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.pickles import check_pickles

PICKLED = (".pth", ".pt", ".ckpt", ".pkl")
SUFFIXES = (".safetensors", *PICKLED)
WEIGHTS_FILE = f"a weights file ({', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]})"

MAX_FILE = 2**30
"""Bytes of a weights file: ten times those of this package's networks with an optimiser's state, in float64."""

MAX_HEADER = 2**20
"""Bytes of the header of a safetensors file. Those of this package's files have some 10 kB."""

# Checkpoints of trainings keep the optimiser beside the weights, and PySOT's learning rates are NumPy scalars. These
# types hold values and run no code.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    _SCALAR,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    np.dtype,
    type(np.dtype(np.float64)),
    codecs.encode,
]

# First bytes of files that are often saved in place of weights, what they are, and what to do.
_OTHER_FORMATS = {
    b"<": ("a web page or XML", "download the file itself, not the page that shows it"),
    b"{": ("JSON text", ""),
    b"version https://git-lfs": ("a Git LFS pointer", "run `git lfs pull`"),
}


def read_checkpoint(path: Path) -> object:
    """The contents of a weights file, on the CPU: a dictionary of tensors, possibly inside further dictionaries."""
    _check_file(path)
    if path.suffix == ".safetensors":
        read_header(path)
        try:
            return load(read_bytes(path, MAX_FILE))
        except Exception as error:  # SafetensorError, and others for numbers that PyTorch does not have
            raise _damaged(path, error) from error
    check_pickles(path, MAX_FILE)
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except Exception as error:  # a damaged file can raise any kind of error in the reader
        raise _damaged(path, error) from error


def read_header(path: Path) -> dict[str, str]:
    """The metadata strings in a safetensors header; empty for the other formats."""
    _check_file(path)
    if path.suffix != ".safetensors":
        return {}
    with open_regular(path) as file:
        start = file.read(8)
        size = int.from_bytes(start, "little")
        if len(start) < 8 or size > MAX_HEADER:
            problem = f"a header of {size} bytes, more than {MAX_HEADER}" if len(start) == 8 else "no header"
            raise _damaged(path, ValueError(problem))
        data = file.read(size)
    try:
        content = parse_json(data)
    except ValueError as error:
        raise _damaged(path, error) from error
    header = content.get("__metadata__", {}) if isinstance(content, dict) else None
    if not isinstance(header, dict) or not all(isinstance(text, str) for text in header.values()):
        raise _damaged(path, ValueError("its header is no object with an object of texts"))
    header.pop("format", None)  # other tools write "format": "pt", which holds no information here
    return header


def write_checkpoint(tensors: Mapping[str, Tensor], header: Mapping[str, str], path: Path, new: bool = False) -> None:
    """Write a safetensors file, whole or not at all. Equal contents give equal bytes.

    The tensors are contiguous and on the CPU. Missing folders are made, an existing file is replaced unless the file
    has to be ``new``.

    Raises:
        OSError: If the file cannot be written; an existing file at ``path`` then stays unchanged.
    """
    data = _sort_header(save(dict(tensors), dict(header)))
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, data, new)


def _check_file(path: Path) -> None:
    """Check the name, the size and the first bytes of a weights file."""
    key = printable(path)
    try:
        with open_regular(path, MAX_FILE) as file:
            start = file.read(64).lstrip()
    except MissingFileError:
        raise MissingFileError(key, WEIGHTS_FILE, "no such file") from None
    if path.suffix not in SUFFIXES:
        raise InvalidValueError(key, WEIGHTS_FILE, "another kind of file")
    if not start:
        raise InvalidValueError(key, WEIGHTS_FILE, "an empty file")
    for beginning, (found, fix) in _OTHER_FORMATS.items():
        if start.startswith(beginning) and b"\0" not in start:  # binary formats may begin like text
            raise InvalidValueError(key, WEIGHTS_FILE, found, fix)


def _refused(path: Path, error: pickle.UnpicklingError) -> InvalidValueError:
    """Tell apart a pickle that calls something and bytes that are no pickle, by the reader's message."""
    called = re.search(r"GLOBAL ([\w.]+)", str(error))
    if not (called or _calls(path)):
        return _damaged(path, error)
    return InvalidValueError(
        printable(path),
        "tensors and nothing else",
        f"a pickle that runs code ({called[1]})" if called else "a pickle that runs code",
        "if you trust its source, save the bare state dict there: torch.save(network.state_dict(), …)",
    )


def _calls(path: Path) -> bool:
    """Whether a bare pickle, of a protocol that torch does not read, calls anything. The pickle is not run."""
    with open_regular(path) as file:
        try:
            return any(opcode.name in ("GLOBAL", "STACK_GLOBAL", "INST") for opcode, _, _ in pickletools.genops(file))
        except Exception:  # of a damaged file the parser can raise any kind of error, as for too little memory
            return False


def _damaged(path: Path, error: Exception) -> InvalidValueError:
    reason = " ".join(str(error).split())
    found = re.search(r"WeightsUnpickler error: (.*?)(?: Check the documentation|$)", reason)
    reason = (found[1] if found else reason).split(". ")[0] or type(error).__name__
    return InvalidValueError(
        printable(path), WEIGHTS_FILE, f"a truncated or damaged file, or another format ({printable(reason)})"
    )


def _sort_header(data: bytes) -> bytes:
    """Give the strings in a safetensors header a fixed order; the library's order changes from call to call."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors stay aligned
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
