"""Adversarial patches: a picture on a screen in the scene."""

from armory_skelevision.attacks.objectives import TargetBox
from armory_skelevision.attacks.patch.attack import PatchAttack
from armory_skelevision.attacks.patch.auto import AutoPatch
from armory_skelevision.attacks.patch.eot import EOT
from armory_skelevision.attacks.patch.files import read_patch, write_patch
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene

__all__ = ["EOT", "AutoPatch", "PatchAttack", "PatchScene", "TargetBox", "read_patch", "read_scene", "write_patch"]
