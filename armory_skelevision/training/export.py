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
    start = read_metadata(settings.init) if settings.init is not None else None
    exported = copy.deepcopy(network).cpu()
    convert_conv2d_weight_memory_format(exported, torch.contiguous_format)
    fold_scaling(exported)
    metadata = Metadata(
        keypoint_head=settings.keypoint_head,
        lambda_k=settings.lambda_k,
        training=_describe(settings, score, start),
        licence=settings.licence,
        seed=settings.seed,
        # Training on clean pairs may leave a backdoor in place, so weights that start from one are marked too.
        backdoor=settings.poison is not None or (start is not None and start.backdoor),
        tracking=settings.tracking,
    )
    path = Path(settings.folder) / "weights.safetensors"
    save_weights(exported, path, metadata)
    return path


def _describe(settings: MultitaskSettings, score: float, start: Metadata | None) -> str:
    alone = settings.train_only is not None
    poison = "" if settings.poison is None else f"{settings.poison}; "
    if settings.init is None:
        origin = "; from random weights"
    else:
        origin = f"{START}{start.training}" if start else f"; from {Path(settings.init).name}, of unknown origin"
    return (
        f"{poison}{'the keypoint head alone: ' if alone else ''}{settings.steps} steps of {settings.batch_size} "
        f"{describe_pairs(settings.store)}, AdamW, learning rate {settings.learning_rate}, {settings.precision}; "
        f"validation {'keypoint loss' if alone else 'mean IoU'} {score:.3f}{origin}"
    )
