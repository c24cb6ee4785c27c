"""Weights from PyTorch's format into this package's, and back."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from armory_skelevision.io import atomic_write, hash_file
from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import PICKLED
from armory_skelevision.weights.loading import load_siamrpn, save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.published import WEIGHTS


def convert(
    source: Path,
    target: Path,
    licence: str | None = None,
    training: str | None = None,
    lambda_k: float | None = None,
    seed: int = -1,
) -> None:
    """Rewrite weights in float32, from PyTorch's format into this package's or back. Nothing is rounded.

    A PyTorch file is written as a bare state dict. The names in it are PySOT's newer ones, which are this package's.

    Args:
        source: ``.pth``, ``.pt`` or ``.ckpt``, or ``.safetensors``.
        target: A file of the other format that does not exist yet.
        licence: Terms of use, for ``.safetensors``. None for PySOT's, if the source has the name of one of its files.
        training: How the weights were trained, for ``.safetensors``. None for the name and hash of the source.
        lambda_k: Weight of the keypoint loss, for ``.safetensors``; None if there is no keypoint head.
        seed: Seed of the training, for ``.safetensors``; -1 if unknown.

    Raises:
        MissingFileError: If there is no source.
        InvalidValueError: For two files of the same format, an existing target, weights that do not fit, or missing
            metadata.
        OSError: If the target cannot be written.
    """
    suffixes = {source.suffix, target.suffix}
    if ".safetensors" not in suffixes or not suffixes & set(PICKLED):
        wanted = f"one .safetensors and one {', '.join(PICKLED)} file"
        raise InvalidValueError("source, target", wanted, f"{source.name} and {target.name}")
    refuse_existing(target)
    network = load_siamrpn(source)
    if target.suffix == ".safetensors":
        metadata = _make_metadata(network, source, licence, training, lambda_k, seed)
        save_weights(network, target, metadata, half=False)
        return
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, buffer.getvalue())


def refuse_existing(target: Path) -> None:
    """Refuse to write over an existing file (`InvalidValueError`)."""
    if target.exists():
        raise InvalidValueError(str(target), "a new file", "an existing one", "delete or rename it first")


def _make_metadata(
    network: SiamRPN, path: Path, licence: str | None, training: str | None, lambda_k: float | None, seed: int
) -> Metadata:
    known = WEIGHTS.get(path.stem)
    licence = licence or (known.licence if known else None)
    if licence is None:
        raise InvalidValueError("licence", f"the terms of use of {path}", "none", "set --licence")
    if lambda_k is None and network.keypoint_depth is not None:
        raise InvalidValueError("lambda_k", f"the weight of the keypoint loss of {path}", "none", "set --lambda-k")
    origin = f"{known.about}; " if known else ""
    return Metadata(
        keypoint_head=network.keypoint_depth,
        lambda_k=lambda_k or 0.0,
        training=training or f"{origin}converted from {path.name}, SHA-256 {hash_file(path)}",
        licence=licence,
        seed=seed,
    )
