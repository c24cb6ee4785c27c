"""Settings of adversarial training, and of the attacks on batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.validation import Fraction, InvalidValueError, Range, Settings, Weight

Branches = Literal["template", "search", "both"]
Iterations = Annotated[int, Range(1, 100)]
PixelSize = Annotated[float, Range(0.25, 16)]


@dataclass(frozen=True)
class InnerAttackSettings(Settings):
    """Settings of the attacks on the batches of a training; colours lie in [0, 1].

    Attributes:
        inner_loss: What the attack raises: "dua", the tracker's loss; "features", the squared distance of its features
            from those of clean crops, in units of the latter's squared length; or "both", one of the two for each
            batch.
        inner_attack: How crops are attacked: "pgd", or "mixed", one of four kinds for each batch.
        eps: Smallest and largest bound of a perturbation; one value between them is drawn for each batch.
        inner_max_iter: Fewest and most iterations of the attack, drawn in the same way.
        inner_stride: Length of all iterations' steps together, in units of the bound.
        inner_noise: Largest value of the perturbation's random start, in units of the bound. Above 1, perturbations are
            not clipped to the bound; with 2, one iteration and a stride of 1 the attack is N-FGSM, from which networks
            learn more than the one step (de Jorge et al. 2022, arXiv 2202.01181).
        pixel_size: Smallest and largest side of a perturbation's pixels, in crop pixels, drawn in the same way. It
            imitates a frame's pixel in a crop: above 1 where the crop was enlarged, below 1 where it was shrunk.
    """

    inner_loss: Literal["dua", "features", "both"] = "dua"
    inner_attack: Literal["pgd", "mixed"] = "pgd"
    eps: tuple[Fraction, Fraction] = (2 / 255, 16 / 255)
    inner_max_iter: tuple[Iterations, Iterations] = (1, 4)
    inner_stride: Annotated[float, Range(0.1, 10)] = 2.0
    inner_noise: Annotated[float, Range(0, 4)] = 1.0
    pixel_size: tuple[PixelSize, PixelSize] = (0.5, 2.0)

    def check(self) -> None:
        """Check the order of the limits."""
        super().check()
        for name in ("eps", "inner_max_iter", "pixel_size"):
            low, high = getattr(self, name)
            if low > high:
                raise InvalidValueError(name, "the smallest value, then the largest", f"[{low}, {high}]")


@dataclass(frozen=True)
class AdversarialSettings(InnerAttackSettings, MultitaskSettings):
    """Settings of the adversarial training of the tracker of ``init``.

    Attributes:
        attacked: Weight of the tracker's loss on attacked pairs, in [0, 1]; that on clean pairs has the rest.
        features: Weight of the squared distance of the features of attacked crops from those of clean ones, in units of
            the latter's squared length.
    """

    attacked: Fraction = 0.5
    features: Weight = 1.0

    def check(self) -> None:
        """Check that there is a tracker to start from, all of which is trained."""
        super().check()
        if self.init is None:
            raise InvalidValueError("init", "the weights of a trained tracker", "null")
        if self.train_only is not None:
            raise InvalidValueError("train_only", "null, since all of the tracker is trained", repr(self.train_only))

    @property
    def procedure(self) -> str:
        """The training in words for the weights file."""
        low, high = (round(255 * bound, 1) for bound in self.eps)
        return f"adversarial training, bounds of {low:g}/255 to {high:g}/255"
