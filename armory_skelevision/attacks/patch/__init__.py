"""Adversarial patches: a picture on a screen in the scene."""

from armory_skelevision.attacks.patch.attack import PatchAttack

__all__ = ["PatchAttack"]
