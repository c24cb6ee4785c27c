"""Attacks on the keypoints that a multi-task tracker sees in the template."""

from armory_skelevision.attacks.keypoints.gradient import KeypointFGSM, KeypointIGSM
from armory_skelevision.attacks.keypoints.universal import KeypointUniversal

__all__ = ["KeypointFGSM", "KeypointIGSM", "KeypointUniversal"]
