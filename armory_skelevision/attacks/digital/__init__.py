"""Digital perturbations: small changes of the frames' own pixels."""

from armory_skelevision.attacks.digital.gradient import FGSM, PGD
from armory_skelevision.attacks.digital.iou import IoUAttack
from armory_skelevision.attacks.digital.rtaa import RTAA

__all__ = ["FGSM", "PGD", "RTAA", "IoUAttack"]
