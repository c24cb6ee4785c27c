"""Weights into and out of trackers' networks. Strict: a tensor that does not fit is an error, never left out.

Reads ``.safetensors`` (with `Metadata` in the header) and PyTorch checkpoints ``.pth``, ``.pt``, ``.ckpt``, ``.pkl`` of
PySOT, video_analyst, Lightning and plain ``torch.save``; writes ``.safetensors``. All that reads a file raises the
errors of `checkpoints`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from armory_skelevision.io import printable
from armory_skelevision.networks import AnchorNetwork, NanoTrack, SiameseNetwork, SiamFCpp, SiamRPN
from armory_skelevision.networks.keypoint_head import HeadKind
from armory_skelevision.networks.nanotrack import Version
from armory_skelevision.tracking import PointSettings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.architectures import ARCHITECTURES, SIAMRPN, recognise
from armory_skelevision.weights.checkpoints import read_checkpoint, read_header
from armory_skelevision.weights.metadata import UNET, Metadata
from armory_skelevision.weights.state import fill, write_network
from armory_skelevision.weights.third_party import as_float32, keypoint_head_kind, rename, unwrap, without_prefix


class Kind(NamedTuple):
    """What a file of weights has to have in common with the network that they are for."""

    architecture: str
    """Its name; of a file that names none of `ARCHITECTURES`, whatever it says."""
    keypoint_head: HeadKind | None
    """Kind of the keypoint head, or None if there is none."""

    @classmethod
    def of_network(cls, network: SiameseNetwork) -> Self:
        """The kind of a network."""
        head = network.keypoint_head_kind if isinstance(network, AnchorNetwork) else None
        return cls(str(network.architecture), head)

    @classmethod
    def of_file(cls, metadata: Metadata | None, names: Iterable[str]) -> Self:
        """The kind of a file's network, by its metadata, else by the names of its tensors."""
        if metadata is not None:
            return cls(metadata.architecture, metadata.keypoint_head)
        return cls(recognise(names), keypoint_head_kind(names))

    def describe(self) -> str:
        """The network in words."""
        if self.architecture != SIAMRPN and self.keypoint_head is None:
            return self.architecture
        return f"{self.architecture} with {f'a {self.keypoint_head}' if self.keypoint_head else 'no'} keypoint head"

    @property
    def fix(self) -> str:
        """How to load such a file; "" for an unknown architecture."""
        if self.architecture != SIAMRPN:
            return f"load it with {self.architecture}" if self.architecture in ARCHITECTURES else ""
        if self.keypoint_head is None:
            return "load it with siamrpn_stl"
        return f'load it with siamrpn_mtl and keypoint_head="{self.keypoint_head}"'


def load_weights(network: SiameseNetwork, path: str | os.PathLike[str]) -> Metadata | None:
    """Fill a network with the weights of a file: all of them, or the network stays as it was.

    Args:
        network: Of the architecture and with the keypoint head that the file holds.
        path: ``.safetensors``, ``.pth``, ``.pt``, ``.ckpt`` or ``.pkl``.

    Returns:
        The file's metadata; None for a file without (PyTorch checkpoints).

    Raises:
        InvalidValueError: Also for another architecture or keypoint head, for missing, unexpected, misshapen or
            non-finite tensors, and for finite ones with which the network answers NaN or infinity to a fixed input.
            Its ``key`` is the file.
    """
    path = Path(path)
    metadata, state = read_metadata(path), read_state(path)
    wanted = Kind.of_network(network)
    _check_kind(wanted, Kind.of_file(metadata, state), path)
    fill(network, state, path, wanted.describe(), _answer)
    return metadata


def load_siamese(path: str | os.PathLike[str]) -> SiameseNetwork:
    """The network of a weights file of one of `ARCHITECTURES`, with the keypoint head that it holds, if any.

    Raises:
        InvalidValueError: As `load_weights`.
    """
    architecture, depth = read_kind(path)
    known = architecture in ARCHITECTURES and architecture != SIAMRPN
    network = ARCHITECTURES[architecture].make() if known else SiamRPN(depth)
    load_weights(network, path)
    return network


def load_siamrpn(path: str | os.PathLike[str]) -> AnchorNetwork:
    """The SiamRPN or SiamRPN++ of a weights file; see `load_siamese`.

    Raises:
        InvalidValueError: Also for another network.
    """
    network = load_siamese(path)
    if not isinstance(network, AnchorNetwork):
        raise InvalidValueError(
            printable(path), "weights of a SiamRPN or SiamRPN++", f"those of {network.architecture}"
        )
    return network


def load_nanotrack(network: NanoTrack, path: str | os.PathLike[str]) -> None:
    """Fill a NanoTrack with the weights of a file: all of them, or the network stays as it was.

    Args:
        network: Of the version that the file holds.
        path: ``nanotrackv2.pth`` or ``nanotrackv3.pth`` as published, or another state dict of such a network.

    Raises:
        InvalidValueError: As `load_weights`.
    """
    path = Path(path)
    tensors = _read_tensors(path)
    # The checkpoints hold a layer between backbone and head that NanoTrack's own code never runs.
    state = as_float32({name: tensor for name, tensor in tensors.items() if not name.startswith("neck.")})
    fill(network, state, path, f"NanoTrack version {network.version}", _answer)


def nanotrack_version(names: Iterable[str]) -> Version | None:
    """The version of NanoTrack that has tensors of these names; None for those of another network."""
    heads = [name for name in names if name.startswith("ban_head.")]
    if not heads:
        return None
    return 3 if any(name.startswith("ban_head.cls_logits") for name in heads) else 2


def save_weights(
    network: SiameseNetwork, path: str | os.PathLike[str], metadata: Metadata, half: bool = True, new: bool = False
) -> None:
    """Write a network's weights as safetensors; see `state.write_network` for arguments and errors.

    Raises:
        InvalidValueError: Also if the metadata do not fit the network.
    """
    given, held = Kind.of_file(metadata, {}), Kind.of_network(network)
    if given != held:
        raise InvalidValueError(f"{printable(path)}.metadata", held.describe(), given.describe())
    write_network(network, Path(path), metadata.to_header(), half, new)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a weights file under this package's names, on the CPU, floating-point ones as float32."""
    path = Path(path)
    return as_float32(rename(unwrap(read_checkpoint(path), printable(path)), printable(path)))


def read_names(path: str | os.PathLike[str]) -> list[str]:
    """The names of the tensors of a weights file, without the prefixes of trainers."""
    return list(_read_tensors(Path(path)))


def read_metadata(path: str | os.PathLike[str]) -> Metadata | None:
    """The metadata of a tracker's weights file; None for a file without.

    Raises:
        InvalidValueError: Also for unknown, missing or wrong metadata, or weights of a U-Net.
    """
    header = read_header(Path(path))
    if not header:
        return None
    if header.get("architecture") == UNET:
        raise InvalidValueError(printable(path), "weights of a tracker", "weights of a U-Net (DuaLossDef)")
    return Metadata.from_header(header, printable(path))


def read_kind(path: str | os.PathLike[str]) -> Kind:
    """What a tracker's weights file is for, by its metadata, else its tensors."""
    metadata = read_metadata(path)
    return Kind.of_file(metadata, [] if metadata is not None else read_state(path))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    tensors = unwrap(read_checkpoint(path), printable(path))
    return {without_prefix(name): tensor for name, tensor in tensors.items()}


def _answer(network: SiameseNetwork) -> Iterable[Tensor]:
    """What a network finds in crops of noise, the same each time, most in one as template and as search crop."""
    known = ARCHITECTURES.get(network.architecture or "")
    settings = known.settings() if known else PointSettings()
    generator = torch.Generator().manual_seed(0)
    side = settings.exemplar_size
    features = network.embed(255 * torch.rand(1, 3, side, side, generator=generator))
    searched = features
    if isinstance(network, SiamFCpp):  # whose head needs more than a template
        side = settings.instance_size
        searched = network.embed(255 * torch.rand(1, 3, side, side, generator=generator))
    output = network.predict_head(features, searched)
    yield from (*output, *settings.decode(output))
    if isinstance(network, SiamRPN) and network.keypoint_head is not None:
        yield network.keypoints(features)


def _check_kind(wanted: Kind, held: Kind, path: Path) -> None:
    if held != wanted:
        raise InvalidValueError(printable(path), f"weights of {wanted.describe()}", held.describe(), held.fix)
