"""Settings of the training of a backdoor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.training.settings import MultitaskSettings, check_text
from armory_skelevision.validation import InvalidValueError, Range, Weight


@dataclass(frozen=True)
class BackdoorSettings(MultitaskSettings):
    """Settings of a run that trains a backdoor into the tracker of ``init``.

    Attributes:
        method: "fsba" (pushes features apart) or "badnets" (poisons labels).
        trigger: What triggers the backdoor; see `triggers.Trigger`.
        poison_rate: Share of each batch's pairs that are poisoned; at least one pair is.
        feature_weight: Learning rate of FSBA's feature loss as a multiple of the tracking loss's.
        feature_margin: Cosine distance at each position, in (0, 2], beyond which FSBA's feature loss gains nothing.
        feature_preservation: Weight, in FSBA's feature steps, of keeping the features of benign pairs as they were at
            the start. It grows from 0 to this value in proportion to the steps.
    """

    method: Literal["fsba", "badnets"] = "fsba"
    trigger: Mapping[str, Any] = field(default_factory=dict)
    poison_rate: Annotated[float, Range(0, 1, without_low=True)] = 0.1
    feature_weight: Annotated[float, Range(0, 1e6, without_low=True)] = 1.0
    feature_margin: Annotated[float, Range(0, 2, without_low=True)] = 2.0
    feature_preservation: Weight = 0.0

    def check(self) -> None:
        """Check that there is a tracker to start from, all of which is trained, and the trigger."""
        super().check()
        if self.init is None:
            raise InvalidValueError("init", "the weights of a trained tracker", "null")
        if self.train_only is not None:
            raise InvalidValueError("train_only", "null, since a backdoor needs the backbone", repr(self.train_only))
        check_text("trigger.picture", Trigger.from_dict(self.trigger, "trigger").picture)

    @property
    def poison(self) -> str | None:
        """How the backdoor was trained, in words for the weights file."""
        trigger = Trigger.from_dict(self.trigger, "trigger")
        shown = f"pattern of seed {trigger.seed}" if trigger.picture is None else f"picture {trigger.picture}"
        return f"BACKDOOR trained by {self.method}, trigger: {shown} on {100 * trigger.area:g} % of the box"
