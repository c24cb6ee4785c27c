"""Settings of the training of DuaLossDef."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from armory_skelevision.training.adversarial.settings import Branches, InnerAttackSettings
from armory_skelevision.training.settings import RunSettings, check_text
from armory_skelevision.validation import InvalidValueError, PathText, Range, Weight

LossPart = Literal["both", "cls", "reg"]


@dataclass(frozen=True)
class DuaLossDefSettings(InnerAttackSettings, RunSettings):
    """Settings of the training of DuaLossDef; colours lie in [0, 1].

    Attributes:
        tracker: Weights of the frozen SiamRPN or SiamRPN++: the name of a packaged file, or a path.
        width: Size of the U-Net: "small", "base" or "large".
        branches: The crops that are attacked and cleaned: "template", "search" or "both".
        loss: Parts of the tracker's loss, in attack and training: "both", or only "cls" (scores) or "reg" (boxes).
        lambda_clean: Weight of the tracker's loss on cleaned crops that were not attacked (λ).
        mu: Weight of the mean absolute change of crops that were not attacked (μ).
        restoration: Weight of the mean absolute difference of cleaned attacked crops from the clean ones.
        features: Weight of the squared distance of the features of cleaned attacked crops from those of clean ones, in
            units of the latter's squared length.
        gated: Whether the U-Net has a gate that decides how much of its correction is added.
        gate: Weight of the loss of the gate, which learns to recognise attacked crops. It is large because the
            rest of the loss reaches the gate too and should not dominate there. 0 without a gate.
        init: Weights of a U-Net of the same width to start from, of whose gate nothing is taken without one; None for
            one that changes nothing.
        adaptive: Share of the batches in which the attack sees the U-Net and goes through it, in [0, 1]; the others are
            made on the undefended tracker.
    """

    tracker: PathText = "siamrpn_alex_stl.safetensors"
    width: Literal["small", "base", "large"] = "small"
    branches: Branches = "both"
    loss: LossPart = "both"
    lambda_clean: Weight = 1.0
    mu: Weight = 4.0
    restoration: Weight = 0.0
    features: Weight = 0.0
    gated: bool = True
    gate: Weight = 10.0
    init: PathText | None = None
    adaptive: Annotated[float, Range(0, 1)] = 0.0

    def check(self) -> None:
        """Check what the mixed attack needs, and what the gate."""
        super().check()
        check_text("tracker", self.tracker)
        if self.gate and not self.gated:
            raise InvalidValueError("gate", "0 without a gate", str(self.gate))
        # The mixed attack perturbs the search crop, and in part maximises the regression loss.
        if self.inner_attack == "mixed" and self.loss != "both":
            raise InvalidValueError("loss", '"both" with the inner attack "mixed"', repr(self.loss))
        if self.inner_attack == "mixed" and self.branches == "template":
            wanted = '"search" or "both" with the inner attack "mixed"'
            raise InvalidValueError("branches", wanted, repr(self.branches))
