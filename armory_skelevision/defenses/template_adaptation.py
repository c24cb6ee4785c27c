"""Template adaptation: the template moved so that the tracker is surer of the first frame (AUTracker, section III).

An adversarial example the other way round: small steps that lower the tracker's own training loss on frame 0, whose box
is given. The network stays as it is, and one adapted template serves the whole video.

The paper gives no step size, bound or number of steps; ours were tried on the embedded videos. Search crops that are
shifted and rescaled are our own: frame 0's own crop has the target in its middle, where the loss is low to begin with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from armory_skelevision.defenses.first_frame import FirstFrameLoss
from armory_skelevision.models import RegionDefense
from armory_skelevision.models.inputs import check_flag, check_not_negative, check_positive, check_whole
from armory_skelevision.tracking import Crops


class TemplateAdaptation(RegionDefense):
    """Adapts the template of each video to its first frame, for trackers of SiamRPN's kind.

    z' = Clip(z - step_size * sign(gradient of the loss at z)), repeated (Eq. 7). Put it after other region defenses: it
    adapts what they make of the template, to search crops as they make them.

    The sign has no slope, so the exact gradient of an attack would not see the steps at all. With ``differentiable``
    the way back goes through every step as if the sign were g / (|g| + mean |g|) (our own; a backward pass in the
    manner of BPDA, Athalye et al. 2018), and through the search crops; without, it goes around the adaptation.

    Args:
        steps: Number of steps; 0 changes nothing.
        step_size: Of each step; colours lie in [0, 1].
        epsilon: Largest change of a value.
        augment: How many shifted and rescaled search crops of frame 0 count beside the one in the middle.
        differentiable: Whether the gradient of an attack goes through the steps.
        seed: Of shifts and scales; every video gets the same.
        apply_fit: Whether it acts in ART's training, which our trackers do not have.
        apply_predict: Whether it acts at all.

    Raises:
        ValueError: For a setting out of range, naming what would be right.
    """

    params = ["steps", "step_size", "epsilon", "augment", "differentiable", "seed"]

    def __init__(
        self,
        steps: int = 5,
        step_size: float = 1 / 255,
        epsilon: float = 4 / 255,
        augment: int = 4,
        differentiable: bool = True,
        seed: int = 0,
        apply_fit: bool = False,
        apply_predict: bool = True,
    ) -> None:
        super().__init__(is_fitted=True, apply_fit=apply_fit, apply_predict=apply_predict)
        self.steps = steps
        self.step_size = step_size
        self.epsilon = epsilon
        self.augment = augment
        self.differentiable = differentiable
        self.seed = seed
        self._check_params()

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The template (1, 3, size, size) adapted to the first frame of the video.

        Raises:
            ValueError: For a network whose training loss is not known here.
        """
        through = self.differentiable and torch.is_grad_enabled()
        with torch.set_grad_enabled(through):
            loss = FirstFrameLoss(crops, self.augment, torch.Generator().manual_seed(self.seed))
        if through and (crop.requires_grad or loss.requires_grad):
            return self._adapt(crop, loss, through=True)
        # What is added is a constant to the attack.
        return self._adapt(crop.detach(), loss, through=False) + (crop - crop.detach())

    def _adapt(self, crop: Tensor, loss: FirstFrameLoss, through: bool) -> Tensor:
        # A crop that another defense made may leave [0, 1]; what does is not moved further out, nor called back.
        low = torch.maximum(crop - self.epsilon, crop.clamp(max=0))
        high = torch.minimum(crop + self.epsilon, crop.clamp(min=1))
        adapted = crop
        for _ in range(self.steps):
            with torch.enable_grad():
                leaf = adapted if adapted.requires_grad else adapted.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=through)
            moved = leaf - self.step_size * follow_sign(gradient)
            adapted = torch.minimum(torch.maximum(moved, low), high)
            adapted = adapted if through else adapted.detach()
        return adapted

    def _check_params(self) -> None:
        check_whole("steps", self.steps, least=0)
        check_positive("step_size", self.step_size)
        check_not_negative("epsilon", self.epsilon)
        check_whole("augment", self.augment, least=0)
        check_flag("differentiable", self.differentiable)
        check_whole("seed", self.seed, least=0)


def follow_sign(gradient: Tensor) -> Tensor:
    """The sign, with the slope of g / (|g| + mean |g|), in which the mean counts as a constant."""
    size = gradient.detach().abs().mean().clamp(min=1e-12)
    smooth = gradient / (gradient.abs() + size)
    return gradient.detach().sign() + (smooth - smooth.detach())
