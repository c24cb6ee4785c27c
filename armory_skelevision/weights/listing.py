"""Descriptions of weights files, packaged, published or the user's own, and checks of whether they can be used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from armory_skelevision.io import hash_file
from armory_skelevision.io.fetch import RemoteFile, recorded_hash
from armory_skelevision.networks import SiamRPN
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.validation import StructuredError
from armory_skelevision.weights.loading import read_keypoint_depth, read_metadata, read_state
from armory_skelevision.weights.metadata import ARCHITECTURE
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS
from armory_skelevision.weights.state import find_problems
from armory_skelevision.weights.unet import is_unet, load_unet, read_unet_metadata


def describe_all(folder: Path) -> list[str]:
    """One paragraph for each packaged file and for each of PySOT's checkpoints, which are fetched into ``folder``."""
    packaged = [describe_file(path) for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors"))]
    return packaged + [_describe_source(source, folder / source.file) for source in WEIGHTS.values()]


def describe_file(path: Path) -> str:
    """A paragraph on a weights file: network, training, licence, hash and place. Errors are those of `checkpoints`."""
    lines = _describe_unet(path) if is_unet(path) else _describe_tracker(path)
    return _paragraph(path.name, [*lines, ("sha256", hash_file(path)), ("where", _place(path))])


def verify_file(path: Path) -> list[str]:
    """Reasons why a file cannot be used as weights, one line each; empty if it can."""
    try:
        if is_unet(path):
            load_unet(UNETS[read_unet_metadata(path).width](), path)
            return []
        metadata, state, head = read_metadata(path), read_state(path), read_keypoint_depth(path)
    except (OSError, StructuredError) as error:
        return [str(error)]
    if metadata is not None and metadata.architecture != ARCHITECTURE:
        return [f"{path}: expected the architecture {ARCHITECTURE}, got {metadata.architecture}"]
    return [f"{path}: {problem}" for problem in find_problems(SiamRPN(head).state_dict(), state)]


def _describe_tracker(path: Path) -> list[tuple[str, str]]:
    metadata, head = read_metadata(path), read_keypoint_depth(path) or "none"
    if metadata is None:
        return [("network", f"{ARCHITECTURE}, keypoint head {head}"), ("metadata", "none in the file")]
    return [
        ("network", f"{metadata.architecture}, keypoint head {head}, lambda_k {metadata.lambda_k:g}"),
        ("training", f"{metadata.training}, seed {metadata.seed}" + (", BACKDOOR" if metadata.backdoor else "")),
        ("licence", metadata.licence),
    ]


def _describe_unet(path: Path) -> list[tuple[str, str]]:
    metadata = read_unet_metadata(path)
    return [
        ("network", f"U-Net, {metadata.width}, of DuaLossDef"),
        ("training", f"{metadata.training}, seed {metadata.seed}; {metadata.validation}"),
        ("tracker", f"{metadata.tracker}, sha256 {metadata.tracker_sha256}"),
        ("licence", metadata.licence),
    ]


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
