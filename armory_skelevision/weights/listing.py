"""The weights there are: packaged ones, PySOT's, and those of users; described, fetched, checked and converted."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import torch

from armory_skelevision.io import atomic_write, hash_file
from armory_skelevision.io.checksums import recorded_hash
from armory_skelevision.io.fetch import fetch_file
from armory_skelevision.io.remote_file import RemoteFile
from armory_skelevision.networks import SiamRPN
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights import Metadata, load_weights, read_metadata, read_state, save_weights
from armory_skelevision.weights.checkpoints import PICKLED, read_header
from armory_skelevision.weights.loading import find_problems
from armory_skelevision.weights.metadata import ARCHITECTURE, UNET, UNetMetadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS
from armory_skelevision.weights.third_party import keypoint_depth
from armory_skelevision.weights.unet import load_unet

UNKNOWN_SEED = -1
"""Seed in the metadata of weights that do not tell theirs."""


def describe_all(folder: Path) -> list[str]:
    """One paragraph for each packaged file and for each of PySOT's checkpoints.

    Args:
        folder: Where fetched weights are.

    Raises:
        ValueError: If a packaged file is damaged.
    """
    packaged = [describe_file(path) for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors"))]
    return packaged + [_describe_source(source, folder / source.file) for source in WEIGHTS.values()]


def describe_file(path: Path) -> str:
    """A paragraph on a weights file: network, training, licence, hash and place.

    Raises:
        OSError: If there is no readable file.
        ValueError: If it is damaged, or another kind of file.
    """
    if _is_unet(path):
        return _describe_unet(path)
    metadata = read_metadata(path)
    if metadata is None:
        head = keypoint_depth(read_state(path))
        lines = [("network", f"{ARCHITECTURE}, keypoint head {_or_none(head)}"), ("metadata", "none in the file")]
    else:
        head = metadata.keypoint_head
        lines = [
            ("network", f"{metadata.architecture}, keypoint head {_or_none(head)}, lambda_k {metadata.lambda_k:g}"),
            ("training", f"{metadata.training}, seed {metadata.seed}" + (", BACKDOOR" if metadata.backdoor else "")),
            ("licence", metadata.licence),
        ]
    return _paragraph(path.name, [*lines, ("sha256", hash_file(path)), ("where", _place(path))])


def find_faults(path: Path) -> list[str]:
    """What keeps a file from being used as weights, one line each; empty if nothing does."""
    try:
        if _is_unet(path):
            load_unet(UNETS[_read_unet_metadata(path).width](), path)
            return []
        metadata, state = read_metadata(path), read_state(path)
    except (OSError, ValueError) as error:
        return [str(error)]
    if metadata is not None and metadata.architecture != ARCHITECTURE:
        return [f"{path}: expected the architecture {ARCHITECTURE}, got {metadata.architecture}"]
    head = keypoint_depth(state) if metadata is None else metadata.keypoint_head
    return [f"{path}: {problem}" for problem in find_problems(SiamRPN(head).state_dict(), state)]


def fetch_weights(name: str, folder: Path, origin: str | None = None) -> Path:
    """Put one of PySOT's checkpoints into a folder, checked.

    Args:
        name: One of `WEIGHTS`.
        folder: Where to; made if need be.
        origin: A mirror, or a local file or folder; None for the published address.

    Returns:
        The file.

    Raises:
        OSError: If it cannot be had, or another file of its name is there.
        ValueError: For an unknown name, or a file that holds no weights that fit.
    """
    if name not in WEIGHTS:
        raise ValueError(f"no weights {name!r} to fetch; known are {list(WEIGHTS)}")
    source = WEIGHTS[name]
    found, target = fetch_file(source, folder, origin, _check_weights), folder / source.file
    if target.is_file() and hash_file(target) != hash_file(found):
        raise FileExistsError(f"{target} is there and differs from {found}: delete or rename it first")
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(target, found.read_bytes())
    return target


def convert(
    source: Path,
    target: Path,
    licence: str | None = None,
    training: str | None = None,
    lambda_k: float | None = None,
    seed: int = UNKNOWN_SEED,
) -> None:
    """Rewrite weights in float32, from PyTorch's format into this package's or back. Nothing is rounded.

    A PyTorch file is written as a bare state dict. The names in it are PySOT's newer ones, which are this package's.

    Args:
        source: ``.pth``, ``.pt`` or ``.ckpt``, or ``.safetensors``.
        target: A file of the other format that is not there yet.
        licence: For ``.safetensors``: terms of use. None if the file is one of PySOT's by its name.
        training: For ``.safetensors``: what was done. None for where the weights come from.
        lambda_k: For ``.safetensors``: weight of the keypoint loss; None if there is no keypoint head.
        seed: For ``.safetensors``: seed of the training.

    Raises:
        OSError: If there is no source, or the target is there or cannot be written.
        ValueError: For two files of the same format, weights that do not fit, or metadata that are missing.
    """
    suffixes = {source.suffix, target.suffix}
    if ".safetensors" not in suffixes or not suffixes & set(PICKLED):
        raise ValueError(f"{source.name} to {target.name}: expected one .safetensors and one {', '.join(PICKLED)}")
    if target.exists():
        raise FileExistsError(f"{target} is there already: delete or rename it first")
    _check_weights(source)
    metadata, state = read_metadata(source), read_state(source)
    network = SiamRPN(metadata.keypoint_head if metadata else keypoint_depth(state))
    load_weights(network, source)
    if target.suffix == ".safetensors":
        made = _make_metadata(network, source, licence, training, lambda_k, seed)
        save_weights(network, target, made, half=False)
        return
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, buffer.getvalue())


def _make_metadata(
    network: SiamRPN, path: Path, licence: str | None, training: str | None, lambda_k: float | None, seed: int
) -> Metadata:
    known = WEIGHTS.get(path.stem)
    licence = licence or (known.licence if known else None)
    if licence is None:
        raise ValueError(f"{path} does not say under which terms it may be used: give --licence")
    if lambda_k is None and network.keypoint_depth is not None:
        raise ValueError(f"{path} has a keypoint head but does not say how its loss was weighted: give --lambda-k")
    origin = f"{known.about}; " if known else ""
    return Metadata(
        keypoint_head=network.keypoint_depth,
        lambda_k=lambda_k or 0.0,
        training=training or f"{origin}converted from {path.name}, SHA-256 {hash_file(path)}",
        licence=licence,
        seed=seed,
    )


def _check_weights(path: Path) -> None:
    faults = find_faults(path)
    if faults:
        raise InvalidValueError(str(path), "weights that fit a tracker", "; ".join(faults))


def _is_unet(path: Path) -> bool:
    return read_header(path).get("architecture") == UNET


def _read_unet_metadata(path: Path) -> UNetMetadata:
    try:
        return UNetMetadata.from_header(read_header(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _describe_unet(path: Path) -> str:
    metadata = _read_unet_metadata(path)
    lines = [
        ("network", f"U-Net, {metadata.width}, of DuaLossDef"),
        ("training", f"{metadata.training}, seed {metadata.seed}; {metadata.validation}"),
        ("tracker", f"{metadata.tracker}, sha256 {metadata.tracker_sha256}"),
        ("licence", metadata.licence),
    ]
    return _paragraph(path.name, [*lines, ("sha256", hash_file(path)), ("where", _place(path))])


def _describe_source(source: RemoteFile, path: Path) -> str:
    if path.is_file():
        found, recorded = hash_file(path), recorded_hash(path)
        note = "" if recorded == found else " (not fetched by this command)" if recorded is None else " (CHANGED)"
        hashed, place = found + note, _place(path)
    else:
        hashed = "none published"
        place = f"not here yet: skelevision weights fetch {source.name}, or by hand from {source.page}"
    lines = [
        ("network", f"{ARCHITECTURE}, keypoint head none, lambda_k 0"),
        ("training", source.about),
        ("licence", source.licence),
    ]
    return _paragraph(source.file, [*lines, ("sha256", hashed), ("where", place)])


def _paragraph(title: str, lines: Iterable[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {key:<9} {value}" for key, value in lines)])


def _place(path: Path) -> str:
    return f"{path} ({path.stat().st_size / 1e6:.1f} MB)"


def _or_none(head: str | None) -> str:
    return "none" if head is None else head
