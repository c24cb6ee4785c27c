"""The matrix of README agrees with what the attacks require of an estimator."""

import re
from pathlib import Path

import pytest
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision import attacks
from armory_skelevision.attacks.digital.online import OnlineAttack
from armory_skelevision.models import ExternalEstimator, SiameseEstimator, SiamRPNEstimator

README = Path(__file__).parent.parent.parent / "README.md"


class OtherTracker(ObjectTrackerMixin, LossGradientsMixin, BaseEstimator):
    """A tracker with the base classes that docs/extending.md lists, and no more."""


COLUMNS = {
    "STL, MTL": SiamRPNEstimator,
    "NanoTrack": SiameseEstimator,
    "other ART trackers": OtherTracker,
    "[your own](docs/extending.md#my-own-tracker-in-ten-lines)": ExternalEstimator,
}


def read_matrix() -> dict[str, dict[str, str]]:
    """The cells of the first table by attack and column."""
    table = README.read_text(encoding="utf-8").partition("## What works with what\n\n")[2].partition("\n\n")[0]
    titles, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return {name: dict(zip(titles, row, strict=True)) for row in rows for name in re.findall(r"`(\w+)`", row[0])}


MATRIX = read_matrix()


def test_every_attack_has_a_row() -> None:
    assert sorted(MATRIX) == sorted(attacks.__all__)


@pytest.mark.parametrize("name", [name for name in MATRIX if not name.startswith("Keypoint")])
def test_trackers_that_an_attack_accepts(name: str) -> None:
    required = getattr(attacks, name)._estimator_requirements
    accepted = {title: all(issubclass(kind, each) for each in required) for title, kind in COLUMNS.items()}
    assert {title: MATRIX[name][title] == "✓" for title in COLUMNS} == accepted


@pytest.mark.parametrize("name", list(MATRIX))
def test_frame_defenses_that_an_attack_accepts(name: str) -> None:
    # online attacks refuse frame defenses: a frame's perturbation depends on the tracker's state at that frame
    assert (MATRIX[name]["frame defenses"] == "✓") == (not issubclass(getattr(attacks, name), OnlineAttack))
