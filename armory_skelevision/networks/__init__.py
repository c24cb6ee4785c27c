"""The trackers' networks as plain torch modules, without state of a video, losses or files."""

from armory_skelevision.networks.heads import RPNOutput
from armory_skelevision.networks.nanotrack import NanoTrack
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.networks.siamfcpp import SiamFCpp
from armory_skelevision.networks.siamrpn import AnchorNetwork, SiamRPN
from armory_skelevision.networks.siamrpnpp import SiamRPNpp

__all__ = ["AnchorNetwork", "NanoTrack", "RPNOutput", "SiamFCpp", "SiamRPN", "SiamRPNpp", "SiameseNetwork"]
