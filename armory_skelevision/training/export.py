"""The weights file of a finished training, for PySOT's input and with the metadata of the run."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch.nn.utils import convert_conv2d_weight_memory_format

from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.data.loading import describe_pairs
from armory_skelevision.training.input_scaling import fold_scaling
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.weights.loading import read_metadata, save_weights
from armory_skelevision.weights.metadata import START, Metadata


def export_weights(network: SiamRPN, settings: MultitaskSettings, score: float) -> Path:
    """Write ``weights.safetensors`` into the run's folder.

    Args:
        network: The trained network, on normalised input; it is not changed.
        settings: The run's settings.
        score: The best validation's mean IoU, or its keypoint loss where the head was trained alone.

    Returns:
        Path of the file.

    Raises:
        OSError: If it cannot be written.
        InvalidValueError: If weights are NaN or infinite.
    """
    exported = copy.deepcopy(network).cpu()
    convert_conv2d_weight_memory_format(exported, torch.contiguous_format)
    fold_scaling(exported)
    metadata = Metadata(
        keypoint_head=settings.keypoint_head,
        lambda_k=settings.lambda_k,
        training=_describe(settings, score),
        licence=settings.licence,
        seed=settings.seed,
        backdoor=settings.poison is not None or _starts_with_backdoor(settings.init),
        tracking=settings.tracking,
    )
    path = Path(settings.folder) / "weights.safetensors"
    save_weights(exported, path, metadata)
    return path


def _describe(settings: MultitaskSettings, score: float) -> str:
    alone = settings.train_only is not None
    poison = "" if settings.poison is None else f"{settings.poison}; "
    return (
        f"{poison}{'the keypoint head alone: ' if alone else ''}{settings.steps} steps of {settings.batch_size} "
        f"{describe_pairs(settings.store)}, AdamW, learning rate {settings.learning_rate}, {settings.precision}; "
        f"validation {'keypoint loss' if alone else 'mean IoU'} {score:.3f}{_describe_start(settings.init)}"
    )


def _starts_with_backdoor(init: str | None) -> bool:
    """Training on clean pairs may leave a backdoor in place, so weights that start from one are marked too."""
    metadata = read_metadata(init) if init is not None else None
    return metadata is not None and metadata.backdoor


def _describe_start(init: str | None) -> str:
    if init is None:
        return "; from random weights"
    metadata = read_metadata(init)
    return f"{START}{metadata.training}" if metadata else f"; from {Path(init).name}, of unknown origin"
