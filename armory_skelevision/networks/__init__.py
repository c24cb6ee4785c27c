"""The trackers' networks as plain torch modules: weights in, tensors out; no state of a video and no loss inside."""

from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.networks.metadata import Metadata
from armory_skelevision.networks.nanotrack import NanoTrack, load_nanotrack
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.networks.siamrpn import SiamRPN
from armory_skelevision.networks.weights import load_weights, read_metadata, read_state, save_weights

__all__ = [
    "Metadata",
    "NanoTrack",
    "RPNOutput",
    "SiamRPN",
    "SiameseNetwork",
    "load_nanotrack",
    "load_weights",
    "read_metadata",
    "read_state",
    "save_weights",
]
