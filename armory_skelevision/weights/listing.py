"""Descriptions of weights files, packaged, published or the user's own. All of a file's texts are made printable."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from armory_skelevision.io import hash_file, printable
from armory_skelevision.io.fetch import RemoteFile, recorded_hash
from armory_skelevision.networks import AnchorNetwork, NanoTrack, SiameseNetwork
from armory_skelevision.networks.unet import UNet
from armory_skelevision.weights.architectures import SIAMRPN
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import read_metadata
from armory_skelevision.weights.metadata import Metadata, UNetMetadata
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.published import WEIGHTS, architecture
from armory_skelevision.weights.recognition import load_network
from armory_skelevision.weights.unet import read_unet_metadata


class Description(NamedTuple):
    """What is known of a weights file."""

    file: str
    network: str
    licence: str
    further: dict[str, str]
    """Training and so on, by what it is."""
    sha256: str
    where: str
    place: str = ""
    """``where`` in short; empty if it is short enough."""


def describe_all(folder: Path) -> list[Description]:
    """The packaged files, and PySOT's checkpoints, which are fetched into ``folder``."""
    packaged = [describe_file(path) for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors"))]
    return [each._replace(place="packaged") for each in packaged] + [
        _describe_source(source, folder / source.file) for source in WEIGHTS.values()
    ]


def describe_file(path: Path) -> Description:
    """Check a weights file, and describe it.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it cannot be used; see `recognition.load_network`.
    """
    network = load_network(path)
    without = {"metadata": "none in the file"}
    parts: tuple[str, str, dict[str, str]]
    if isinstance(network, NanoTrack):
        parts = f"NanoTrack version {network.version}", "", without
    elif isinstance(network, UNet):
        described = bool(read_header(path))
        unknown = f"U-Net of width {network.width}, of DuaLossDef", "", without
        parts = _describe_unet(read_unet_metadata(path)) if described else unknown
    else:
        parts = _describe_tracker(network, read_metadata(path))
    return Description(path.name, *parts, hash_file(path), _place(path))


def format_table(descriptions: list[Description]) -> str:
    """A line for each file."""
    rows = [("file", "network", "licence", "where")]
    rows += [(each.file, each.network, _shorten(each.licence), each.place or each.where) for each in descriptions]
    printed = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*printed, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in printed)


def format_description(description: Description) -> str:
    """A paragraph with all that is known of a file."""
    lines = {
        "network": description.network,
        **description.further,
        "licence": description.licence,
        "sha256": description.sha256,
        "where": description.where,
    }
    shown = (f"  {key:<9} {printable(text)}" for key, text in lines.items() if text)
    return "\n".join([printable(description.file), *shown])


def _describe_tracker(network: SiameseNetwork, metadata: Metadata | None) -> tuple[str, str, dict[str, str]]:
    weight = None if metadata is None else metadata.lambda_k
    head = network.keypoint_head_kind if isinstance(network, AnchorNetwork) else None
    described = _describe_network(str(network.architecture), head, weight)
    if metadata is None:
        return described, "", {"metadata": "none in the file"}
    training = f"{metadata.training}, seed {metadata.seed}" + (", BACKDOOR" if metadata.backdoor else "")
    return described, metadata.licence, {"training": training}


def _describe_network(architecture: str, keypoint_head: str | None, lambda_k: float | None) -> str:
    if architecture != SIAMRPN:  # which has no keypoint head
        return architecture
    weight = "" if lambda_k is None else f", lambda_k {lambda_k:g}"
    return f"{architecture}, keypoint head {keypoint_head or 'none'}{weight}"


def _describe_unet(metadata: UNetMetadata) -> tuple[str, str, dict[str, str]]:
    further = {
        "training": f"{metadata.training}, seed {metadata.seed}; {metadata.validation}",
        "tracker": f"{metadata.tracker}, sha256 {metadata.tracker_sha256}",
    }
    return f"U-Net, {metadata.width}, of DuaLossDef", metadata.licence, further


def _describe_source(source: RemoteFile, path: Path) -> Description:
    if path.is_file():
        found, recorded = hash_file(path), recorded_hash(path)
        note = "" if recorded == found else " (not fetched by this command)" if recorded is None else " (CHANGED)"
        hashed, where, place = found + note, _place(path), ""
    else:
        hashed, place = "none published", f"skelevision weights fetch {source.name}"
        where = f"not here yet: {place}, or by hand from {source.page}"
    network = _describe_network(architecture(source.name), None, 0)
    return Description(source.file, network, source.licence, {"training": source.about}, hashed, where, place)


def _shorten(licence: str) -> str:
    """The first of several terms, without what it is of."""
    first, more, _ = licence.partition(";")
    return f"{first.partition(' (')[0]}; …" if more else first


def _place(path: Path) -> str:
    return f"{path} ({path.stat().st_size / 1e6:.1f} MB)"
