"""Attacks on trackers, as ARMORY's ``attack`` block names them."""

from armory_skelevision.attacks.backdoor import BackdoorTrigger
from armory_skelevision.attacks.digital import FGSM, PGD, RTAA, IoUAttack
from armory_skelevision.attacks.keypoints import KeypointFGSM, KeypointIGSM, KeypointUniversal
from armory_skelevision.attacks.patch import PatchAttack

__all__ = [
    "FGSM",
    "PGD",
    "RTAA",
    "BackdoorTrigger",
    "IoUAttack",
    "KeypointFGSM",
    "KeypointIGSM",
    "KeypointUniversal",
    "PatchAttack",
]
