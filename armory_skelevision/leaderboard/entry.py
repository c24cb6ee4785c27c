"""An entry of the leaderboard: what was measured, on what, by which command, with hashes of all that decides it."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from armory_skelevision.io import list_folder
from armory_skelevision.io.records import read_record
from armory_skelevision.validation import Fraction, InvalidValueError, Iterations, Range, Settings, WholeNumber

DataName = Literal["walkers", "otb_person"]

PACKAGED_SPLITS = ("dev", "mini")
"""Splits of the data set walkers that entries are measured on."""

ALL_PERSONS = "OTB2015-Person"
"""The split of all sequences that the SkeleVision paper calls so."""

Frames = Annotated[int, Range(2, 10_000)]
Seconds = Annotated[float, Range(0, 1e9)]

FIXED = {"weights_file", "sha256", "differentiable", "apply_fit", "apply_predict", "device_type"}
"""Settings of defenses that an entry cannot choose: files, devices, and what would hide a gradient."""

_SHA256 = re.compile("[0-9a-f]{64}")
_SEQUENCES = re.compile(r"[A-Za-z0-9-]{1,40}(\+[A-Za-z0-9-]{1,40}){0,99}")
_MAX_TEXT = 200


@dataclass(frozen=True)
class WeightsFile(Settings):
    """A weights file, which is found by its name and recognised by its hash.

    Attributes:
        file: Name, without a folder.
        sha256: Of its content.
    """

    file: str
    sha256: str

    def check(self) -> None:
        """Refuse paths, which say something of a machine, and what is no hash."""
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", self.file) or self.file.startswith("."):
            raise InvalidValueError("file", "the name of a file: letters, digits and _.-", repr(self.file))
        _check_hash(self.sha256)


@dataclass(frozen=True)
class TrackerPart(Settings):
    """The tracker.

    Attributes:
        name: One of `models.MODELS`.
        weights: Its weights.
    """

    name: str
    weights: WeightsFile


@dataclass(frozen=True)
class DefensePart(Settings):
    """The defense in front of the tracker.

    Attributes:
        name: A class of `armory_skelevision.defenses`.
        kwargs: Its settings, without those of `FIXED`.
        weights: Its weights; None if it has none.
    """

    name: str
    kwargs: Mapping[str, Any]
    weights: WeightsFile | None

    def check(self) -> None:
        """Refuse settings that an entry states elsewhere, or that would hide the defense from the attack."""
        for key in FIXED & self.kwargs.keys():
            raise InvalidValueError(f"kwargs.{key}", "its default", repr(self.kwargs[key]), "leave it out")


@dataclass(frozen=True)
class Data(Settings):
    """The videos.

    Attributes:
        name: The data set.
        split: Of walkers, one of `PACKAGED_SPLITS`, of which all videos are used; of otb_person, `ALL_PERSONS` or names
            of sequences in the order of the alphabet, such as "Crossing+Human7".
        sha256: Of the files; see `videos.open_videos`.
        frames: How many frames of each video, from the first.
    """

    name: DataName
    split: str
    sha256: str
    frames: Frames

    def check(self) -> None:
        """Refuse other splits, and what is no hash."""
        if self.name == "walkers":
            if self.split not in PACKAGED_SPLITS:
                raise InvalidValueError("split", " or ".join(PACKAGED_SPLITS), f"{self.split!r:.80}")
        elif not _SEQUENCES.fullmatch(self.split) or self.split.split("+") != sorted(set(self.split.split("+"))):
            expected = f"{ALL_PERSONS}, or names of sequences in the order of the alphabet, joined by +"
            raise InvalidValueError("split", expected, f"{self.split!r:.80}")
        _check_hash(self.sha256)


@dataclass(frozen=True)
class AttackPart(Settings):
    """The attack.

    Attributes:
        name: The attack.
        budget: Gradient evaluations for each video.
        precision: Of the network.
        seed: Of random first patches.
        adaptive: Whether the attack knows the defense.
    """

    name: Literal["AutoPatch"]
    budget: Iterations
    precision: Literal["float32"]
    seed: Literal[0]
    adaptive: bool


@dataclass(frozen=True)
class VideoScore(Settings):
    """One video.

    Attributes:
        number: Its number in the split, from 0.
        benign: Mean IoU without an attack, in [0, 1].
        worst_case: The lower one of ``benign`` and the mean IoU under the patch.
        seconds: How long the attack took; None if the patch was there already.
        patch: SHA-256 of the attack's patch, a picture in the folder of the entry's name; see `find_patch`.
    """

    number: WholeNumber
    benign: Fraction
    worst_case: Fraction
    seconds: Seconds | None
    patch: str

    def check(self) -> None:
        """Refuse a worst case that is none, and what is no hash."""
        _check_hash(self.patch, "patch")
        if self.worst_case > self.benign:
            raise InvalidValueError("worst_case", f"at most benign, {self.benign:g}", f"{self.worst_case:g}")


@dataclass(frozen=True)
class Submitted(Settings):
    """Who measured the entry, and when.

    Attributes:
        by: A name, at most 200 characters.
        on: Date, as 2026-12-31.
        reference: Address of a page or a paper, https://…; None for none.
    """

    by: str
    on: str
    reference: str | None

    def check(self) -> None:
        """Refuse an empty name, what is no date, and what is no address."""
        if not 0 < len(self.by.strip()) <= _MAX_TEXT:
            raise InvalidValueError("by", f"a name of 1 to {_MAX_TEXT} characters", f"{self.by!r:.80}")
        try:
            exact = datetime.date.fromisoformat(self.on).isoformat() == self.on
        except ValueError:
            exact = False
        if not exact:
            raise InvalidValueError("on", "a date such as 2026-12-31", repr(self.on))
        if self.reference is not None and not re.fullmatch(rf"https://[!-~]{{1,{_MAX_TEXT}}}", self.reference):
            raise InvalidValueError("reference", "an address https://…, or null", f"{self.reference!r:.80}")


@dataclass(frozen=True)
class Entry(Settings):
    """An entry.

    Attributes:
        format: Of the file.
        tracker: What was attacked.
        defense: What stood in front of it; None for nothing.
        data: On what.
        attack: By what.
        videos: The scores of all videos of the split, by number.
        seconds: How long the attacks took together; None if that is not known.
        submitted: Who, and when.
        version: That of this package.
        command: What wrote the entry.
    """

    format: Literal["armory_skelevision leaderboard 1"]
    tracker: TrackerPart
    defense: DefensePart | None
    data: Data
    attack: AttackPart
    videos: tuple[VideoScore, ...]
    seconds: Seconds | None
    submitted: Submitted
    version: str
    command: str

    def check(self) -> None:
        """Refuse gaps in the videos."""
        numbers = [video.number for video in self.videos]
        if not numbers or numbers != list(range(len(numbers))):
            raise InvalidValueError("videos", "all videos of the split, from number 0 on", f"numbers {numbers!r:.80}")

    def to_json(self) -> bytes:
        """The content of its file."""
        return (json.dumps(asdict(self), indent=4, ensure_ascii=False) + "\n").encode()


def read_entry(path: Path) -> Entry:
    """Read an entry strictly.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no entry; the key is ``file.key``.
    """
    return read_record(Entry, path)


def read_entries(folder: Path) -> dict[str, Entry]:
    """All entries of a folder, by the names of their files; see `read_entry` for the errors."""
    return {path.stem: read_entry(path) for path in list_folder(folder) if path.suffix == ".json"}


def find_patches(entry: Path) -> Path:
    """The folder of an entry's patches: beside its file, with the same name."""
    return entry.with_suffix("")


def find_patch(patches: Path, number: int) -> Path:
    """The patch of a video in the folder of an entry's patches."""
    return patches / f"{number:02d}.png"


def _check_hash(sha256: str, key: str = "sha256") -> None:
    if not _SHA256.fullmatch(sha256):
        raise InvalidValueError(key, "a SHA-256 in hexadecimal", f"{sha256!r:.80}")
