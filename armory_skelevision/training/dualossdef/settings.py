"""The settings of a training of DuaLossDef."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from armory_skelevision.training.settings import RunSettings

Part = Literal["both", "cls", "reg"]
Branches = Literal["template", "search", "both"]
Inner = Literal["pgd", "mixed"]


@dataclass(frozen=True)
class DuaLossDefSettings(RunSettings):
    """Everything that decides what comes out of the training of DuaLossDef; colours lie in [0, 1].

    Attributes:
        tracker: Weights of the frozen SiamRPN: the name of a packaged file, or a path.
        width: Of the U-Net: "small", "base" or "large".
        branches: The crops that are attacked and cleaned: "template", "search" or "both".
        loss: The tracker's loss, in the attack and in training alike: "both", or "cls" or "reg" alone.
        lambda_clean: Weight of the loss on cleaned crops that nobody attacked (λ).
        mu: Weight of the change of crops that nobody attacked (μ).
        gate: Weight of the gate's telling attacked crops from others; so large that the rest of the loss, which reaches
            the gate, too, does not lead it.
        inner: How crops are attacked: "pgd", or "mixed", a draw from `attack.KINDS` for each batch.
        epsilon: Smallest and largest bound of a perturbation, of which one is drawn for each batch.
        inner_steps: Fewest and most steps of the attack, likewise.
        coarseness: Smallest and largest side, in a crop's pixels, of what an attacker can change at will, likewise. So
            large is a frame's pixel in a crop: above 1 where the crop was enlarged, below where it was shrunk.
    """

    tracker: str = "siamrpn_alex_stl.safetensors"
    width: Literal["small", "base", "large"] = "small"
    branches: Branches = "both"
    loss: Part = "both"
    lambda_clean: float = 1.0
    mu: float = 4.0
    gate: float = 10.0
    inner: Inner = "pgd"
    epsilon: Sequence[float] = (2 / 255, 16 / 255)
    inner_steps: Sequence[int] = (1, 4)
    coarseness: Sequence[float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: For a value that makes no sense; says which and why.
        """
        super().__post_init__()
        self.check_choices(
            width=("small", "base", "large"),
            branches=get_args(Branches),
            loss=get_args(Part),
            inner=get_args(Inner),
        )
        for name in ("lambda_clean", "mu", "gate"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        for name, least, most in (("epsilon", 0, 1), ("inner_steps", 1, 100), ("coarseness", 0.25, 16)):
            self._check_range(name, least, most)
        if any(isinstance(steps, float) for steps in self.inner_steps):
            raise ValueError(f"inner_steps: expected whole numbers, got {list(self.inner_steps)}")
        if self.inner == "mixed" and (self.loss != "both" or self.branches == "template"):
            raise ValueError(
                'inner: "mixed" attacks the search crop, and in part the boxes above all: it needs loss "both" and '
                f'branches "search" or "both", got {self.loss!r} and {self.branches!r}'
            )

    def _check_range(self, name: str, least: float, most: float) -> None:
        values = getattr(self, name)
        pair = isinstance(values, Sequence) and len(values) == 2
        if not pair or not all(isinstance(value, int | float) for value in values):
            raise ValueError(f"{name}: expected two numbers, the smallest and the largest, got {values!r}")
        if not least <= values[0] <= values[1] <= most:
            raise ValueError(f"{name}: expected {least} <= smallest <= largest <= {most}, got {list(values)}")
