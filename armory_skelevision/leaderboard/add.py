"""A new entry of the leaderboard: everything is read and checked, then measured, then described."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from armory_skelevision import __version__
from armory_skelevision.io import atomic_write, printable, read_bytes, refuse_existing
from armory_skelevision.io.folders import refuse_filled
from armory_skelevision.leaderboard.entry import (
    ALL_PERSONS,
    AttackPart,
    DefensePart,
    Entry,
    Submitted,
    TrackerPart,
    VideoScore,
    WeightsFile,
    find_patch,
    find_patches,
    read_entry,
)
from armory_skelevision.leaderboard.protocol import (
    attack_videos,
    check_patches,
    describe_weights,
    find_weights,
    load_subject,
    replay_videos,
)
from armory_skelevision.leaderboard.videos import open_videos
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
    split: str
    """Of walkers, or, with ``otb``, of otb_person; see `entry.Data`."""
    frames: int
    budget: int
    patches: Path | None = None
    """A folder of patches that the attack found earlier; None to attack."""
    otb: Path | None = None
    """The folder of OTB's sequences; None for the packaged videos."""


def add_entry(path: Path, wanted: Wanted, by: str, reference: str | None = None, device: Device = "auto") -> Entry:
    """Measure an entry on all its videos, and write its file and its patches.

    Until all is measured, ``path.part`` is the entry as far as it is; where that is there, its videos are not measured
    again.

    Args:
        path: The file to write, .json. The patches go into a folder of the same name without the suffix.
        wanted: What is measured.
        by: Who submits it.
        reference: Address of a page or a paper; None for none.
        device: Where the network is computed.

    Raises:
        InvalidValueError: For a setting out of range, what is no tracker or defense, an entry or patches that are there
            already, or an unfinished entry of another measurement. Nothing is measured then.
        MissingFileError: If a weights file or a sequence is missing.
    """
    _check_name(path)
    submitted = Submitted(by, datetime.datetime.now(datetime.UTC).date().isoformat(), reference)
    weights = find_weights(wanted.tracker, wanted.weights)
    tracker = TrackerPart(wanted.tracker, describe_weights(weights))
    defense, defense_weights = _describe_defense(wanted)
    videos = open_videos("walkers" if wanted.otb is None else "otb_person", wanted.split, wanted.frames, wanted.otb)
    attack = AttackPart("AutoPatch", wanted.budget, "float32", 0, True)
    subject = load_subject(tracker, defense, weights, defense_weights, device)

    def describe(scores: list[VideoScore]) -> Entry:
        """The entry as far as these videos are measured."""
        return Entry(
            format="armory_skelevision leaderboard 1",
            tracker=tracker,
            defense=defense,
            data=videos.data,
            attack=attack,
            videos=tuple(scores),
            seconds=_add_up(scores),
            submitted=submitted,
            version=__version__,
            command=describe_command(wanted, tracker, defense, submitted),
        )

    unfinished, patches = path.with_name(f"{path.name}.part"), find_patches(path)
    known = _resume(unfinished, patches, describe)
    numbers = range(len(known), len(videos.loaders))
    with TemporaryDirectory() as folder:
        found = wanted.patches or Path(folder)
        if wanted.patches is None:
            scores = attack_videos(subject, videos, attack, numbers, found)
        else:
            scores = replay_videos(subject, videos, numbers, found)
        for score in scores:
            patches.mkdir(parents=True, exist_ok=True)
            atomic_write(find_patch(patches, score.number), read_bytes(find_patch(found, score.number)))
            known.append(score)
            atomic_write(unfinished, describe(known).to_json())
    made = describe(known)
    atomic_write(path, made.to_json(), new=True)
    unfinished.unlink()
    return made


def _add_up(videos: Iterable[VideoScore]) -> float | None:
    """How long all attacks took; None if that is not known of each."""
    seconds = [video.seconds for video in videos]
    return None if None in seconds else round(sum(filter(None, seconds)), 1)


def _check_name(path: Path) -> None:
    if path.suffix != ".json":
        raise InvalidValueError("entry", "a file to write, .json", printable(path))
    refuse_existing(path)


def _resume(unfinished: Path, patches: Path, describe: Callable[[list[VideoScore]], Entry]) -> list[VideoScore]:
    """The scores in an unfinished entry, which must differ from the wanted one in the rest of the videos alone."""
    if not unfinished.exists():
        refuse_filled(patches)
        return []
    read = read_entry(unfinished)
    wanted = describe(list(read.videos))
    for name in ("tracker", "defense", "data", "attack", "version"):
        if getattr(read, name) != getattr(wanted, name):
            fix = "delete it to measure anew, or give the entry another name"
            raise InvalidValueError(
                f"{printable(unfinished)}.{name}", str(getattr(wanted, name)), str(getattr(read, name)), fix
            )
    check_patches(read, patches, range(len(read.videos)))
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
    if wanted.otb is None:
        options["--split"] = wanted.split
    else:
        options["--otb"] = "OTB"
        if wanted.split != ALL_PERSONS:
            options["--sequences"] = wanted.split.replace("+", ",")
    options |= {"--frames": str(wanted.frames), "--budget": str(wanted.budget)}
    if wanted.patches is not None:
        options["--patches"] = "PATCHES"
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
