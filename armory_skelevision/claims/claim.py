"""A claim of a paper, as one JSON file, and whether its measurement still stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from armory_skelevision.io import hash_file, list_folder, printable
from armory_skelevision.io.records import read_record
from armory_skelevision.validation import InvalidValueError, Range, Settings
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

Paper = Literal["SkeleVision", "DuaLossDef", "AUTracker", "FSBA", "HPE"]
Verdict = Literal["holds", "does not hold", "cannot be told"]
Number = Annotated[float, Range()]
HalfWidth = Annotated[float, Range(0)]

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Source(Settings):
    """Where a claim stands.

    Attributes:
        paper: One of `Paper`.
        section: Such as "5.1, Table 1".
    """

    paper: Paper
    section: str


@dataclass(frozen=True)
class Effect(Settings):
    """One measured number.

    Attributes:
        what: What it is of.
        value: As the guide has it.
        unit: Such as "mean IoU", in [0, 1], or "points".
        interval: Half the width of the 95 % interval; None where none was measured.
    """

    what: str
    value: Number
    unit: str
    interval: HalfWidth | None = None


@dataclass(frozen=True)
class Claim(Settings):
    """A claim, the experiment that decides it, and what came out.

    Attributes:
        claim: In our words.
        source: Where it stands.
        experiment: Commands that decide it, in order; none where this repository has no such experiment.
        effects: What was measured; None where nothing was.
        measured_in: The section of the guides with the measurement and its command, as "docs/page.md#section".
        weights: SHA-256 of each packaged weights file that was measured, or that the measured trackers were trained
            from, by the file's name.
        verdict: Whether the claim holds, as far as was measured.
        scope: What the verdict is for: trackers, videos, attacks.
        reason: Why.
    """

    claim: str
    source: Source
    experiment: tuple[str, ...]
    effects: tuple[Effect, ...] | None
    measured_in: str | None
    weights: Mapping[str, str]
    verdict: Verdict
    scope: str
    reason: str

    def check(self) -> None:
        """Refuse verdicts without a measurement, measurements without a place, and what is no hash."""
        for key in ("claim", "scope", "reason"):
            if not getattr(self, key).strip():
                raise InvalidValueError(key, "a sentence", "an empty text")
        names = [effect.what for effect in self.effects or ()]
        if self.effects == () or len(set(names)) < len(names):
            raise InvalidValueError("effects", "null, or at least one, each of something else", f"{names!r:.200}")
        if self.effects is None and self.verdict != "cannot be told":
            raise InvalidValueError("verdict", '"cannot be told" where nothing was measured', repr(self.verdict))
        if (self.effects is None) != (self.measured_in is None):
            raise InvalidValueError(
                "measured_in", "the place of the effects, or null without any", repr(self.measured_in)
            )
        if self.effects is None and self.weights:
            raise InvalidValueError("weights", "none where nothing was measured", ", ".join(self.weights))
        for name, sha256 in self.weights.items():
            if not _SHA256.fullmatch(sha256):
                raise InvalidValueError(f"weights.{name}", "a SHA-256 in hexadecimal", repr(sha256))

    def find_changed(self, packaged: Mapping[str, str]) -> list[str]:
        """The measured weights files that are not the packaged ones of now, whose hashes are ``packaged``."""
        return [name for name, sha256 in self.weights.items() if packaged.get(name) != sha256]

    def find_missing(self, packaged: Mapping[str, str]) -> str | None:
        """What is missing for a verdict on the packaged weights of now; None if nothing is."""
        if self.effects is None:
            return "not measured" if self.experiment else "not measured, and no experiment for it here"
        if changed := self.find_changed(packaged):
            return f"measured with other weights than the packaged ones of now: {', '.join(changed)}"
        return "measured, but not decided" if self.verdict == "cannot be told" else None


def read_claims(folder: Path) -> dict[str, Claim]:
    """All claims of a folder by the names of their files, in the order of the papers, then by name.

    Raises:
        MissingFileError: If there is no such folder.
        InvalidValueError: If it holds no claims, or one that is wrong.
    """
    claims = {path.stem: read_record(Claim, path) for path in list_folder(folder) if path.suffix == ".json"}
    if not claims:
        raise InvalidValueError(printable(folder), "claims as .json", "none")
    papers: Sequence[str] = list(PAPERS)
    return dict(sorted(claims.items(), key=lambda item: (papers.index(item[1].source.paper), item[0])))


def hash_packaged() -> dict[str, str]:
    """SHA-256 of the packaged weights files of now, by name."""
    return {path.name: hash_file(path) for path in sorted(PACKAGED_WEIGHTS.glob("*.safetensors"))}


PAPERS: dict[Paper, str] = {
    "SkeleVision": "SkeleVision: Towards Adversarial Resiliency of Person Tracking with Multi-Task Learning "
    "(Das, Peng and Chau, 2022)",
    "DuaLossDef": "Enhancing Tracking Robustness with Auxiliary Adversarial Defense Networks (arXiv 2402.17976)",
    "AUTracker": "Use Adversarial Template For Model Adaptation For Siamese Networks For Real-Time Visual Object "
    "Tracking (Li et al.)",
    "FSBA": "Few-Shot Backdoor Attacks on Visual Object Tracking (Li et al., 2022; arXiv 2201.13178)",
    "HPE": "On the Robustness of Human Pose Estimation (Jain et al., 2019)",
}
"""Titles of the papers, in the order of the page."""
