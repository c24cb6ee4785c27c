"""Weights from PyTorch's format into this package's, and back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import torch

from armory_skelevision.io import atomic_write, hash_file, printable, refuse_existing
from armory_skelevision.networks import AnchorNetwork, SiamRPN
from armory_skelevision.validation import InvalidValueError, check_value
from armory_skelevision.weights.checkpoints import PICKLED
from armory_skelevision.weights.loading import save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.published import WEIGHTS
from armory_skelevision.weights.recognition import load_network
from armory_skelevision.weights.third_party import current_name, legacy_name

Backbone = Literal["alexnetlegacy", "alexnet"]


def convert(
    source: Path,
    target: Path,
    licence: str | None = None,
    training: str | None = None,
    lambda_k: float | None = None,
    seed: int = -1,
    backbone: Backbone = "alexnetlegacy",
) -> None:
    """Rewrite weights in float32, from PyTorch's format into this package's or back. Nothing is rounded.

    The weights are those of a SiamRPN or SiamRPN++. A PyTorch file is written as a bare state dict, under the names of
    PySOT's network of that ``backbone``: PySOT ignores tensors whose names it does not know, and tracks with random
    ones instead.

    Args:
        source: ``.pth``, ``.pt`` or ``.ckpt``, or ``.safetensors``.
        target: A file of the other format that does not exist yet.
        licence: Terms of use, for ``.safetensors``. None for PySOT's, if the source has the name of one of its files.
        training: How the weights were trained, for ``.safetensors``. None for the name and hash of the source.
        lambda_k: Weight of the keypoint loss, for ``.safetensors``; None if there is no keypoint head.
        seed: Seed of the training, for ``.safetensors``; -1 if unknown.
        backbone: ``BACKBONE.TYPE`` of the PySOT config that a PyTorch file is for: "alexnetlegacy", as in PySOT's
            ``siamrpn_alex_dwxcorr``, or "alexnet", as in its ``siamrpn_alex_dwxcorr_16gpu``, and in this package. Of no
            effect for SiamRPN++, of whose tensors there is one naming.

    Raises:
        MissingFileError: If there is no source.
        InvalidValueError: For two files of the same format, an existing target, weights of another network or that do
            not fit, or missing metadata.
        OSError: If the target cannot be written.
    """
    suffixes = {source.suffix, target.suffix}
    if ".safetensors" not in suffixes or not suffixes & set(PICKLED):
        wanted = f"one .safetensors and one {', '.join(PICKLED)} file"
        raise InvalidValueError("source, target", wanted, printable(f"{source.name} and {target.name}"))
    refuse_existing(target)
    check_value("backbone", backbone, Backbone)
    network = load_network(source)
    if not isinstance(network, AnchorNetwork):
        got = f"those of a {type(network).__name__}"
        raise InvalidValueError(printable(source), "weights of a SiamRPN", got, "they are used as they are")
    if target.suffix == ".safetensors":
        metadata = _make_metadata(network, source, licence, training, lambda_k, seed)
        save_weights(network, target, metadata, half=False, new=True)
        return
    name_of = legacy_name if backbone == "alexnetlegacy" and isinstance(network, SiamRPN) else current_name
    buffer = io.BytesIO()
    torch.save({name_of(name): tensor for name, tensor in network.state_dict().items()}, buffer)
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, buffer.getvalue(), new=True)


def _make_metadata(
    network: AnchorNetwork, path: Path, licence: str | None, training: str | None, lambda_k: float | None, seed: int
) -> Metadata:
    known = WEIGHTS.get(path.stem)
    licence = licence or (known.licence if known else None)
    if licence is None:
        raise InvalidValueError("licence", f"the terms of use of {printable(path)}", "none", "set --licence")
    if lambda_k is None and network.keypoint_head_kind is not None:
        raise InvalidValueError(
            "lambda_k", f"the weight of the keypoint loss of {printable(path)}", "none", "set --lambda-k"
        )
    origin = f"{known.about}; " if known else ""
    return Metadata(
        keypoint_head=network.keypoint_head_kind,
        architecture=str(network.architecture),
        lambda_k=lambda_k or 0.0,
        training=training or f"{origin}converted from {printable(path.name)}, SHA-256 {hash_file(path)}",
        licence=licence,
        seed=seed,
    )
