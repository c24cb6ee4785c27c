"""Template adaptation: changes the template to lower the tracker's loss on the first frame (AUTracker, section III).

The opposite of an adversarial attack: small steps lower the tracker's own training loss on frame 0, whose box is given.
The network is not changed, and one adapted template is used for the whole video.

The paper gives no step size, bound or number of steps; ours were chosen on the packaged videos. The shifted and
rescaled search crops are our own: the usual crop of frame 0 has the target in its centre, where the loss is low
already.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from armory_skelevision.defenses.first_frame import FirstFrameLoss, HeldOutScores
from armory_skelevision.models import RegionDefense
from armory_skelevision.tracking import Crops
from armory_skelevision.validation import Fraction, InvalidValueError, PositiveFraction, Range, Seed


class TemplateAdaptation(RegionDefense):
    """Adapts the template of each video to its first frame, for SiamRPN, SiamRPN++ and SiamFC++.

    z' = Clip(z - eps_step * sign(gradient of the loss at z)), repeated (Eq. 7). List it after other region defenses: it
    adapts the template that they return, to search crops that they have changed.

    The sign has no gradient, so an attack's exact gradient would ignore the steps. With ``differentiable``, the
    backward pass goes through each step as if the sign were g / (|g| + mean |g|) (our own; a backward pass in the
    manner of BPDA, Athalye et al. 2018), and through the search crops; without, it bypasses the adaptation.

    Args:
        max_iter: Number of steps; 0 changes nothing.
        eps_step: Size of a step, in (0, 1]; colours lie in [0, 1].
        eps: Bound (l∞) of the change, in [0, 1].
        augment: Number of shifted and rescaled search crops of frame 0, in addition to the usual one.
        held_out: Number of further such crops that judge each step: one that lowers the target's score there, or raises
            that of anything else, is taken back and is the last; 0 for no such check.
        differentiable: Whether the gradient of an attack goes through the steps.
        seed: Seed of the shifts and scales, which are the same for each video; only 0 without any, or without steps.
    """

    params = ["max_iter", "eps_step", "eps", "augment", "held_out", "differentiable", "seed"]

    def __init__(
        self,
        max_iter: Annotated[int, Range(0, 1000)] = 5,
        eps_step: PositiveFraction = 1 / 255,
        eps: Fraction = 4 / 255,
        augment: Annotated[int, Range(0, 1000)] = 4,
        held_out: Annotated[int, Range(0, 1000)] = 0,
        differentiable: bool = True,
        seed: Seed = 0,
        apply_fit: bool = False,
        apply_predict: bool = True,
    ) -> None:
        settings = {name: value for name, value in locals().items() if name in self.params}
        super().__init__(is_fitted=True)
        self.set_params(**settings, apply_fit=apply_fit, apply_predict=apply_predict)

    def _check_params(self) -> None:
        super()._check_params()
        if self.seed != 0 and not ((self.augment or self.held_out) and self.max_iter and self.eps):
            fix = "leave it out, or draw search crops from it, by augment or held_out"
            raise InvalidValueError("seed", "0 where nothing is random", str(self.seed), fix)

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The template (1, 3, size, size), RGB in [0, 1], adapted to the first frame of the video of ``crops``.

        Raises:
            InvalidValueError: For a network other than SiamRPN, SiamRPN++ and SiamFC++.
        """
        through, generator = self.differentiable and torch.is_grad_enabled(), torch.Generator().manual_seed(self.seed)
        with torch.set_grad_enabled(through):
            loss = FirstFrameLoss(crops, self.augment, generator)
        scores = HeldOutScores(crops, self.held_out, generator) if self.held_out else None
        if through and (crop.requires_grad or loss.requires_grad):
            return self._adapt(crop, loss, scores, through=True)
        # The change is a constant to the attack.
        return self._adapt(crop.detach(), loss, scores, through=False) + (crop - crop.detach())

    def _adapt(self, crop: Tensor, loss: FirstFrameLoss, scores: HeldOutScores | None, through: bool) -> Tensor:
        # A crop from another defense may leave [0, 1]; values outside are moved no further out, and not clipped either.
        low = torch.maximum(crop - self.eps, crop.clamp(max=0))
        high = torch.minimum(crop + self.eps, crop.clamp(min=1))
        adapted = crop
        best = scores(crop) if scores else None
        for _ in range(self.max_iter):
            with torch.enable_grad():
                leaf = adapted if adapted.requires_grad else adapted.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=through)
            moved = leaf - self.eps_step * smoothed_sign(gradient)
            moved = torch.minimum(torch.maximum(moved, low), high)
            if scores and best:
                found = scores(moved)
                if found[0] < best[0] or found[1] > best[1]:
                    break
                best = found
            adapted = moved if through else moved.detach()
        return adapted


def smoothed_sign(gradient: Tensor) -> Tensor:
    """The sign of a tensor of any shape, with the derivative of g / (|g| + mean |g|), the mean taken as a constant."""
    size = gradient.detach().abs().mean().clamp(min=1e-12)
    smooth = gradient / (gradient.abs() + size)
    return gradient.detach().sign() + (smooth - smooth.detach())
