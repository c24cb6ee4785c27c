"""A new entry of the leaderboard: everything is read and checked, then measured, then described."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from armory_skelevision import __version__
from armory_skelevision.io import atomic_write, printable
from armory_skelevision.leaderboard.entry import (
    AttackPart,
    Data,
    DefensePart,
    Entry,
    Split,
    Submitted,
    TrackerPart,
    VideoScore,
    WeightsFile,
    read_entry,
)
from armory_skelevision.leaderboard.protocol import (
    count_videos,
    describe_weights,
    find_weights,
    hash_split,
    load_subject,
    measure_videos,
)
from armory_skelevision.models.loading import Device
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.resolve import resolve

DEFENSE_WEIGHTS = {"DuaLossDef": "dualossdef_small.safetensors"}
"""Packaged weights of defenses."""


class Wanted(NamedTuple):
    """What is to be measured, as `skelevision leaderboard add` is told; see its options."""

    tracker: str
    weights: Path | None
    defense: DefensePart | None
    defense_weights: Path | None
    split: Split
    frames: int
    budget: int


def measure_entry(
    wanted: Wanted,
    by: str,
    reference: str | None = None,
    device: Device = "auto",
    unfinished: Path | None = None,
) -> Entry:
    """Measure an entry on all videos of a split.

    Args:
        wanted: What is measured.
        by: Who submits it.
        reference: Address of a page or a paper; None for none.
        device: Where the network is computed.
        unfinished: A file for the entry as far as it is measured, rewritten after each video. Where it is there, its
            videos are not measured again.

    Raises:
        InvalidValueError: For a setting out of range, what is no tracker or defense, or an unfinished entry of another
            measurement. Nothing is measured then.
        MissingFileError: If a weights file is missing.
    """
    submitted = Submitted(by, datetime.datetime.now(datetime.UTC).date().isoformat(), reference)
    path = find_weights(wanted.tracker, wanted.weights)
    tracker = TrackerPart(wanted.tracker, describe_weights(path))
    defense, defense_path = _describe_defense(wanted)
    data = Data("walkers", wanted.split, hash_split(wanted.split), wanted.frames)
    attack = AttackPart("AutoPatch", wanted.budget, "float32", 0, True)
    subject = load_subject(tracker, defense, path, defense_path, device)

    def describe(videos: list[VideoScore]) -> Entry:
        """The entry as far as these videos are measured."""
        return Entry(
            format="armory_skelevision leaderboard 1",
            tracker=tracker,
            defense=defense,
            data=data,
            attack=attack,
            videos=tuple(videos),
            seconds=round(sum(video.seconds for video in videos), 1),
            submitted=submitted,
            version=__version__,
            command=describe_command(wanted, tracker, defense, submitted),
        )

    videos = [] if unfinished is None or not unfinished.exists() else _resume(unfinished, describe)
    for score in measure_videos(subject, data, attack, range(len(videos), count_videos(wanted.split))):
        videos.append(score)
        if unfinished is not None:
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(unfinished, describe(videos).to_json())
    return describe(videos)


def _resume(unfinished: Path, describe: Callable[[list[VideoScore]], Entry]) -> list[VideoScore]:
    """The scores in an unfinished entry, which must differ from the wanted one in the rest of the videos alone."""
    read = read_entry(unfinished)
    wanted = describe(list(read.videos))
    for name in ("tracker", "defense", "data", "attack", "version"):
        if getattr(read, name) != getattr(wanted, name):
            fix = "delete it to measure anew, or give the entry another name"
            raise InvalidValueError(
                f"{printable(unfinished)}.{name}", str(getattr(wanted, name)), str(getattr(read, name)), fix
            )
    return list(read.videos)


def describe_command(wanted: Wanted, tracker: TrackerPart, defense: DefensePart | None, submitted: Submitted) -> str:
    """The command that measures an entry, without folders of the machine."""
    options = {"--by": submitted.by, "--tracker": wanted.tracker, "--weights": tracker.weights.file}
    if defense is not None:
        options["--defense"] = "defense.json" if defense.kwargs else defense.name
        if defense.weights is not None:
            options["--defense-weights"] = defense.weights.file
    if submitted.reference is not None:
        options["--reference"] = submitted.reference
    options |= {"--split": wanted.split, "--frames": str(wanted.frames), "--budget": str(wanted.budget)}
    words = [word for option, value in options.items() for word in (option, value)]
    return shlex.join(["skelevision", "leaderboard", "add", "ENTRY.json", *words])


def _describe_defense(wanted: Wanted) -> tuple[DefensePart | None, Path | None]:
    """The defense with its weights, and where they are."""
    if wanted.defense is None:
        if wanted.defense_weights is not None:
            raise InvalidValueError("defense_weights", "none without a defense", str(wanted.defense_weights))
        return None, None
    file = wanted.defense_weights or DEFENSE_WEIGHTS.get(wanted.defense.name)
    if file is None:
        return wanted.defense, None
    path = resolve(file)
    weights: WeightsFile = describe_weights(path)
    return replace(wanted.defense, weights=weights), path
