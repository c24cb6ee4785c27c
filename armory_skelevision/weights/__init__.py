"""Weights files: their format, what they say of themselves, where they are found, and their way into a network."""

from armory_skelevision.weights.loading import load_weights, read_metadata, read_state, save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.nanotrack import load_nanotrack

__all__ = ["Metadata", "load_nanotrack", "load_weights", "read_metadata", "read_state", "save_weights"]
