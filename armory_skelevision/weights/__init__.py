"""Weights files: format, metadata, third-party names, packaged and published files, and the way into a network."""

from armory_skelevision.weights.loading import (
    load_siamrpn,
    load_weights,
    read_keypoint_depth,
    read_metadata,
    read_state,
    save_weights,
)
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.nanotrack import load_nanotrack

__all__ = [
    "Metadata",
    "load_nanotrack",
    "load_siamrpn",
    "load_weights",
    "read_keypoint_depth",
    "read_metadata",
    "read_state",
    "save_weights",
]
