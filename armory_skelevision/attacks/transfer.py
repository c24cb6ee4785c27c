"""Attacks made on one tracker and shown to another, which needs to have neither gradients nor anything but boxes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from art.estimators.estimator import BaseEstimator
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import Metadata, TrackerAttack
from armory_skelevision.models import load_tracker
from armory_skelevision.validation import InvalidValueError, StructuredError, suggest


class Transfer(TrackerAttack):
    """Makes another attack on a source tracker; what comes of it is shown to the tracker that is evaluated.

    The source tracker has no defense, and nothing of the evaluated tracker is asked. With equal settings, the attacked
    videos are the same for all trackers that they are shown to.

    Args:
        estimator: The tracker that is evaluated; it is not queried, so that one of any kind will do.
        source: The tracker that is attacked, as `load_tracker` takes it: "siamrpn_stl", a weights file, ….
        attack: Name of a class of `armory_skelevision.attacks`, such as "PGD".
        kwargs: Its settings.

    Raises:
        InvalidValueError: For an unknown tracker, attack or setting. Also for ``checkpoints``, which would record how
            well the source tracker tracks.
        MissingFileError: If there is no such weights file.
    """

    _estimator_requirements = (BaseEstimator, ObjectTrackerMixin)

    def __init__(
        self, estimator: Any, source: str = "siamrpn_stl", attack: str = "PGD", kwargs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(estimator, source=source, attack=attack, kwargs={} if kwargs is None else kwargs)

    @property
    def made(self) -> TrackerAttack:
        """The attack on the source tracker."""
        return self._made

    def generate(self, x: Any, y: Any = None, y_patch_metadata: Metadata = None, **kwargs: Any) -> np.ndarray:
        """The videos (N, F, H, W, 3) as the attack on the source tracker leaves them; arguments are that attack's."""
        return np.asarray(self._made.generate(x=x, y=y, y_patch_metadata=y_patch_metadata, **kwargs))

    def _check_params(self) -> None:
        super()._check_params()
        kind = find_attack(self.attack)
        if "checkpoints" in self.kwargs:
            expected = "none, as they would record how well the source tracker tracks"
            raise InvalidValueError("kwargs.checkpoints", expected, str(self.kwargs["checkpoints"]))
        try:
            tracker = load_tracker(self.source)
        except StructuredError as error:
            raise type(error)("source", error.expected, error.got, error.fix) from error
        unknown = sorted({*self.kwargs} - {*kind.attack_params})
        if unknown:
            fix = suggest(unknown[0], kind.attack_params)
            raise InvalidValueError(f"kwargs.{unknown[0]}", f"a setting of {self.attack}", "an unknown one", fix)
        try:
            self._made = kind(tracker, **self.kwargs)
        except StructuredError as error:
            raise error.within("kwargs") from None
        self._made.records = False


def find_attack(name: Any) -> type[TrackerAttack]:
    """The attack of a name, that can be made on another tracker (`InvalidValueError`)."""
    package = import_module("armory_skelevision.attacks")  # which has this class, too
    known = [each for each in package.__all__ if each != Transfer.__name__]
    if name not in known:
        raise InvalidValueError("attack", "the name of an attack", repr(name), suggest(str(name), known))
    found: type[TrackerAttack] = getattr(package, name)
    return found
