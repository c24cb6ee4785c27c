"""The one protocol by which all entries are measured: `AutoPatch` on the first frames of all videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from armory_skelevision import defenses
from armory_skelevision.attacks import AutoPatch, PatchAttack
from armory_skelevision.datasets import Video
from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.check.names import find_object
from armory_skelevision.evaluation.evaluate import evaluate
from armory_skelevision.io import atomic_write, hash_file, leads_out, printable, progress, read_bytes
from armory_skelevision.leaderboard.entry import (
    AttackPart,
    DefensePart,
    Entry,
    TrackerPart,
    VideoScore,
    WeightsFile,
    find_patch,
)
from armory_skelevision.leaderboard.videos import Videos
from armory_skelevision.models.loading import MODELS, Device, load_tracker
from armory_skelevision.validation import InvalidValueError, suggest
from armory_skelevision.weights.packaged import packaged_weights
from armory_skelevision.weights.resolve import resolve

PACKAGED = {"siamrpn_stl": "siamrpn_alex_stl.safetensors", "siamrpn_mtl": "siamrpn_alex_mtl.safetensors"}
"""Packaged weights of trackers."""


class Subject(NamedTuple):
    """What is attacked: an estimator, and the defense in front of it."""

    tracker: Any
    defense: Any = None


def find_weights(tracker: str, given: Path | None) -> Path:
    """The weights file of a tracker that is to be measured.

    Raises:
        InvalidValueError: For an unknown tracker, or one without packaged weights if none are given.
        MissingFileError: If there is no such file.
    """
    if tracker not in MODELS:
        raise InvalidValueError("tracker", "one of the package's trackers", repr(tracker), suggest(tracker, [*MODELS]))
    if given is not None:
        return resolve(given)
    if tracker not in PACKAGED:
        raise InvalidValueError("weights", f"a weights file of {tracker}", "none", "give --weights FILE")
    return packaged_weights(PACKAGED[tracker])


def describe_weights(path: Path) -> WeightsFile:
    """A weights file as an entry names it."""
    return WeightsFile(path.name, hash_file(path))


def load_subject(
    tracker: TrackerPart,
    defense: DefensePart | None,
    weights: Path,
    defense_weights: Path | None = None,
    device: Device = "auto",
) -> Subject:
    """Load what is to be attacked, from weights files that were found.

    Raises:
        InvalidValueError: For a tracker or a defense that does not exist, or has no such settings.
        ValueError: For weights that are damaged or belong to another network.
    """
    if tracker.name not in MODELS:
        raise InvalidValueError("tracker.name", "a tracker of the package", repr(tracker.name), ", ".join(MODELS))
    loaded = load_tracker(tracker.name, weights, device=device)
    return Subject(loaded, None if defense is None else _load_defense(defense, defense_weights))


def attack_videos(
    subject: Subject, videos: Videos, attack: AttackPart, numbers: Sequence[int], patches: Path
) -> Iterator[VideoScore]:
    """Attack videos one by one, and keep the patches.

    Args:
        subject: From `load_subject`.
        videos: From `open_videos`.
        attack: The budget and the other settings.
        numbers: Which videos.
        patches: An existing folder for the patches, whose earlier ones of these videos are replaced.

    Yields:
        A score for each video, in the order of ``numbers``, as soon as it is measured: under the patch as its picture
        shows it, with 8 bits for each colour.
    """
    for number in progress(numbers, "videos attacked", unit="video"):
        picture, seconds = _make_patch(subject, videos.loaders[number](), attack)
        atomic_write(find_patch(patches, number), picture)
        yield replace(_show_patch(subject, videos, number, patches), seconds=round(seconds, 1))


def replay_videos(subject: Subject, videos: Videos, numbers: Sequence[int], patches: Path) -> Iterator[VideoScore]:
    """Show videos with patches that are there already; see `attack_videos`.

    Raises:
        MissingFileError: If a patch is missing.
        InvalidValueError: If a patch is no picture.
    """
    for number in progress(numbers, "videos with their patches", unit="video"):
        yield _show_patch(subject, videos, number, patches)


def _make_patch(subject: Subject, video: Video, attack: AttackPart) -> tuple[bytes, float]:
    """The patch that the attack finds, as a PNG file, and how many seconds it took."""
    with TemporaryDirectory() as folder:
        made = AutoPatch(
            subject.tracker,
            budget=attack.budget,
            adaptive=attack.adaptive,
            export=folder,
            precision=attack.precision,
            seed=attack.seed,
        )
        result = evaluate(subject.tracker, video, made, subject.defense)
        return read_bytes(Path(folder, "patch_000.png")), result.attack_seconds or 0.0


def _show_patch(subject: Subject, videos: Videos, number: int, patches: Path) -> VideoScore:
    """The score of a video under a patch; it has no ``seconds``."""
    patch = find_patch(patches, number)
    shown = PatchAttack(subject.tracker, max_iter=0, patch_init=patch, verbose=False)
    result = evaluate(subject.tracker, videos.loaders[number](), shown, subject.defense)
    benign = float(result.benign.mean_iou)
    # a patch that helps the tracker is one that no attacker would show
    attacked = benign if result.adversarial is None else float(result.adversarial.mean_iou)
    return VideoScore(number, benign, min(benign, attacked), None, hash_file(patch))


def _load_defense(part: DefensePart, weights: Path | None) -> Any:
    if part.name not in defenses.__all__:
        fix = suggest(part.name, defenses.__all__)
        raise InvalidValueError("defense.name", "a defense of the package", repr(part.name), fix)
    kwargs = dict(part.kwargs) if weights is None else {**part.kwargs, "weights_file": weights}
    made, findings = find_object("defense", defenses.__name__, part.name, kwargs)
    if findings:
        raise InvalidValueError("defense.kwargs", f"settings of {part.name}", describe(findings[0]))
    return made(**kwargs)


def check_weights(key: str, part: WeightsFile, given: Path | None) -> Path:
    """The file that an entry names, in the usual places or at a given one.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If the file there is another one.
    """
    path = resolve(part.file if given is None else given)
    found = hash_file(path)
    if found != part.sha256:
        raise InvalidValueError(key, f"SHA-256 {part.sha256}, as the entry says", f"{found} of {printable(path)}")
    return path


def check_patches(entry: Entry, patches: Path, numbers: Iterable[int]) -> None:
    """Compare the patches of some videos with the hashes in an entry.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is another one, or a link that leads out of the folder.
    """
    for number in numbers:
        path, said = find_patch(patches, number), entry.videos[number].patch
        if leads_out(path, patches):
            raise InvalidValueError(printable(path), "a file in this folder", "a link that leads out of it")
        if hash_file(path) != said:
            expected = f"SHA-256 {said}, as the entry says"
            raise InvalidValueError(f"videos.{number}.patch", expected, f"{hash_file(path)} of {printable(path)}")
