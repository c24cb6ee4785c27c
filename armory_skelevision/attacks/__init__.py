"""Attacks on trackers, as ARMORY's ``attack`` block names them."""

from armory_skelevision.attacks.backdoor import BackdoorTrigger
from armory_skelevision.attacks.digital import FGSM, PGD, RTAA, IoUAttack
from armory_skelevision.attacks.keypoints import KeypointFGSM, KeypointIGSM, KeypointUniversal
from armory_skelevision.attacks.patch import AutoPatch, PatchAttack
from armory_skelevision.attacks.transfer import Transfer

__all__ = [
    "FGSM",
    "PGD",
    "RTAA",
    "AutoPatch",
    "BackdoorTrigger",
    "IoUAttack",
    "KeypointFGSM",
    "KeypointIGSM",
    "KeypointUniversal",
    "PatchAttack",
    "Transfer",
]
