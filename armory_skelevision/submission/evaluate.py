"""Evaluating: every submission under every attack of a suite, one process after the other. Resumes."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import __version__
from armory_skelevision.evaluation.process import Limits
from armory_skelevision.io import atomic_write, hash_file, printable, progress, read_object
from armory_skelevision.submission.archive import MAX_TOTAL
from armory_skelevision.submission.manifest import Manifest
from armory_skelevision.submission.run import VideoScores, check_scores, run_evaluation
from armory_skelevision.submission.suite import Suite
from armory_skelevision.submission.verify import Submission, Terms, combine, verify_bundle
from armory_skelevision.validation import InvalidValueError, StructuredError


class Participant(NamedTuple):
    """A bundle and its evaluations."""

    bundle: Path
    sha256: str
    manifest: Manifest | None
    """None where the bundle was refused."""
    scores: dict[str, VideoScores]
    """By attack, as far as it could be evaluated."""
    problem: str | None
    """Why it is not ranked; None if it is."""


def evaluate(bundles: Sequence[Path], suite: Suite, out: Path, terms: Terms) -> list[Participant]:
    """Verify bundles, which are not trusted, and evaluate those that are accepted.

    Each finished evaluation is written to ``out/runs`` at once; called again, only what is missing, failed or changed
    is run. A bundle that is refused or fails does not stop the others. There is a participant for each, in their order.

    Raises:
        MissingFileError: If there is no such bundle.
        OSError: If the folder cannot be written.
    """
    hashes = {bundle: _hash_bundle(bundle) for bundle in dict.fromkeys(bundles)}
    participants = []
    with progress(total=len(hashes) * len(suite.attacks), desc="Submissions", unit="run", leave=True) as bar:
        for bundle, sha256 in hashes.items():
            bar.set_postfix_str(printable(bundle.name))
            participants.append(_evaluate_bundle(bundle, sha256, suite, out / "runs", terms, bar))
    return participants


def _hash_bundle(bundle: Path) -> str:
    """The hash of a bundle; none for what is no file, or too large, and will be refused for it."""
    try:
        return hash_file(bundle, MAX_TOTAL)
    except InvalidValueError:
        return ""


def _evaluate_bundle(bundle: Path, sha256: str, suite: Suite, runs: Path, terms: Terms, bar: Any) -> Participant:
    with tempfile.TemporaryDirectory() as folder:
        try:
            submission = verify_bundle(bundle, Path(folder) / "bundle", terms)
        except ValueError as error:
            bar.update(len(suite.attacks))
            return Participant(bundle, sha256, None, {}, printable(f"refused: {error}"))
        scores: dict[str, VideoScores] = {}
        problems = []
        for name, config in suite.configs().items():
            try:
                path = runs / f"{submission.manifest.team}-{sha256[:12]}" / f"{name}.json"
                scores[name] = _evaluate_once(submission, sha256, combine(submission, config), suite, path)
            except RuntimeError as error:
                problems.append(printable(f"{name}: {error}"))
            bar.update()
        counts = {name: len(found.adversarial) for name, found in scores.items()}
        if len(set(counts.values())) > 1:
            problems.append(f"expected as many videos under each attack, got {counts}")
    return Participant(bundle, sha256, submission.manifest, scores, "; ".join(problems) or None)


def _evaluate_once(
    submission: Submission, sha256: str, config: Mapping[str, Any], suite: Suite, path: Path
) -> VideoScores:
    """The scores of an earlier call with the same bundle, config and version; else those of a run, which are kept."""
    asked = {"bundle": sha256, "config": config, "videos": suite.videos, "version": __version__}
    asked = json.loads(json.dumps(asked))  # as it will be read, with lists for tuples
    known = _read_kept(path, asked)
    if known is not None:
        return known
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        limits = Limits(suite.minutes, suite.memory_gb)
        scores = run_evaluation(config, submission.weights, Path(home), limits, suite.videos)
    kept = {**asked, "seconds": round(time.monotonic() - began, 1), "scores": scores._asdict()}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (json.dumps(kept, indent=4, sort_keys=True) + "\n").encode())
    return scores


def _read_kept(path: Path, asked: Mapping[str, Any]) -> VideoScores | None:
    try:
        kept = read_object(path)
        if {name: kept.get(name) for name in asked} != asked:
            return None
        return check_scores(VideoScores(**kept["scores"]))
    except (StructuredError, KeyError, TypeError, RuntimeError):
        return None
