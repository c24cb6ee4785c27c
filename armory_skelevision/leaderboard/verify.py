"""Whether an entry is true: its files are those that it names, and its patches do what it says.

An attack amplifies rounding, so that another machine finds another patch, which may be weaker or stronger by far; one
patch does nearly the same everywhere. That is why entries come with their patches, which are shown again. What remains
are patches that are too weak on purpose: attacking again finds that out, on the mean of several videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from armory_skelevision.leaderboard.entry import Entry, VideoScore
from armory_skelevision.leaderboard.protocol import (
    attack_videos,
    check_patches,
    check_weights,
    load_subject,
    replay_videos,
)
from armory_skelevision.leaderboard.videos import Videos, open_videos
from armory_skelevision.models.loading import Device
from armory_skelevision.validation import InvalidValueError

TOLERANCE = 0.005
"""How far mean IoUs under the same patch may differ, in [0, 1]: half a point."""

ATTACK_TOLERANCE = 0.1
"""How much less an attack of now may leave, in the mean over the videos that are attacked, in [0, 1]."""


class Verification(NamedTuple):
    """What came out of measuring an entry again."""

    scores: list[VideoScore]
    """Under the entry's patches."""
    attacked: list[VideoScore]
    """Under those of an attack of now; empty without one."""
    differences: list[str]
    """A line for each number of the entry that is not confirmed."""


def verify_entry(
    entry: Entry,
    patches: Path,
    numbers: Sequence[int] | None = None,
    attack: bool = False,
    weights: Path | None = None,
    defense_weights: Path | None = None,
    otb: Path | None = None,
    device: Device = "auto",
) -> Verification:
    """Compare an entry's files with those here, show its patches again, and attack again if wanted.

    Args:
        entry: From `read_entry`.
        patches: The folder of its patches, from `find_patches`.
        numbers: Which videos to measure; None for all.
        attack: Whether to attack these videos again.
        weights: The tracker's weights, where they are not found under the entry's name for them.
        defense_weights: Those of the defense, likewise.
        otb: The folder of OTB's sequences, for an entry on those.
        device: Where the network is computed.

    Raises:
        InvalidValueError: If a file has another hash than the entry says, or the videos are others. Nothing is measured
            then.
        MissingFileError: If a weights file, a sequence or a patch is not here.
    """
    videos = open_videos(entry.data.name, entry.data.split, entry.data.frames, otb)
    chosen = check_data(entry, videos, numbers)
    check_patches(entry, patches, chosen)
    path = check_weights("tracker.weights", entry.tracker.weights, weights)
    defense_path = None
    if entry.defense is not None and entry.defense.weights is not None:
        defense_path = check_weights("defense.weights", entry.defense.weights, defense_weights)
    subject = load_subject(entry.tracker, entry.defense, path, defense_path, device)
    scores, attacked = list(replay_videos(subject, videos, chosen, patches)), []
    if attack:
        with TemporaryDirectory() as folder:
            attacked = list(attack_videos(subject, videos, entry.attack, chosen, Path(folder)))
    lines = [line for score in scores for line in compare(entry.videos[score.number], score)]
    return Verification(scores, attacked, lines + compare_attacks(entry, attacked))


def check_data(entry: Entry, videos: Videos, numbers: Sequence[int] | None = None) -> list[int]:
    """The numbers of the videos to measure, after comparing those here with the entry's (`InvalidValueError`)."""
    found, count = videos.data.sha256, len(videos.loaders)
    if found != entry.data.sha256:
        raise InvalidValueError("data.sha256", f"{found}, of the files here", f"{entry.data.sha256} in the entry")
    if len(entry.videos) != count:
        expected = f"all {count} videos of {entry.data.name}/{entry.data.split}"
        raise InvalidValueError("videos", expected, f"{len(entry.videos)}")
    chosen = list(range(count)) if numbers is None else list(dict.fromkeys(numbers))
    if not chosen or not set(chosen) <= set(range(count)):
        raise InvalidValueError("videos", f"numbers from 0 to {count - 1}", ", ".join(map(str, chosen)) or "none")
    return chosen


def compare(claimed: VideoScore, measured: VideoScore) -> list[str]:
    """A line for each of the two numbers of a video that differs by more than `TOLERANCE`."""
    lines = []
    for name in ("benign", "worst_case"):
        said, found = getattr(claimed, name), getattr(measured, name)
        if abs(said - found) > TOLERANCE:
            shown = name.replace("_", " ")
            lines.append(f"video {claimed.number}: {shown}: the entry says {said:.4f}, measured {found:.4f}")
    return lines


def compare_attacks(entry: Entry, attacked: Sequence[VideoScore]) -> list[str]:
    """A line if an attack of now leaves less in the mean over its videos than the entry says, by `ATTACK_TOLERANCE`."""
    if not attacked:
        return []
    said = sum(entry.videos[score.number].worst_case for score in attacked) / len(attacked)
    found = sum(score.worst_case for score in attacked) / len(attacked)
    if said - found <= ATTACK_TOLERANCE:
        return []
    numbers = ", ".join(str(score.number) for score in attacked)
    return [f"mean of videos {numbers}: the entry's patches leave {said:.4f}, those of now {found:.4f}"]
