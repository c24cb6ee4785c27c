"""The trackers' networks as plain torch modules, without state of a video, losses or files."""

from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.networks.nanotrack import NanoTrack
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.networks.siamrpn import SiamRPN

__all__ = ["NanoTrack", "RPNOutput", "SiamRPN", "SiameseNetwork"]
