"""Verifying: what is in a bundle, from whomever it comes, before anything in it is used."""

from __future__ import annotations

import copy
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import __version__
from armory_skelevision.evaluation.check import Finding, check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.run import check_schema
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.submission.archive import CONFIG, WEIGHTS, RefusedError, empty_folder, extract_archive
from armory_skelevision.submission.manifest import Manifest, read_json, read_manifest
from armory_skelevision.submission.process import Limits, Scores, run_evaluation
from armory_skelevision.submission.rules import check_rules, shipped_baselines
from armory_skelevision.weights.checkpoints import read_header

SMOKE_LIMITS = Limits(minutes=10, memory_gb=12)
SMOKE_FRAMES = 5


class Terms(NamedTuple):
    """What an organiser asks of submissions."""

    baselines: tuple[Mapping[str, Any], ...]
    """Configs that a submission may answer to."""
    repositories: tuple[str | None, ...] = ()
    """What its ``external_github_repo`` may be, beside null."""

    @classmethod
    def usual(cls) -> Terms:
        """The package's own configs, and no repository."""
        return cls(tuple(shipped_baselines()))


class Submission(NamedTuple):
    """A bundle that has been verified and unpacked."""

    folder: Path
    manifest: Manifest
    config: dict[str, Any]
    warnings: list[Finding]

    @property
    def weights(self) -> dict[str, Path]:
        """Its weights by the names that its config uses."""
        return {path.name: path for path in sorted((self.folder / WEIGHTS).iterdir())}


def verify_bundle(bundle: Path, folder: Path, terms: Terms) -> Submission:
    """Unpack a bundle into a folder, if it is all that it has to be. No code of others runs, nothing is evaluated.

    The order is that of trust: the archive's form, hashes, the names in the config; only then are weights read, and the
    model made of them.

    Args:
        bundle: The ``.tar.gz``.
        folder: Where to; absent or empty. It is left as it was when the bundle is refused.
        terms: What is asked of it.

    Raises:
        FileExistsError: If the folder holds anything.
        OSError: If there is no readable bundle.
        RefusedError: With the reason, or all reasons that the config gives.
    """
    there = folder.exists()
    extract_archive(bundle, folder)
    try:
        with as_in_a_run():
            return _verify(folder, terms)
    except BaseException:
        empty_folder(folder)
        if not there:
            folder.rmdir()
        raise


def _verify(folder: Path, terms: Terms) -> Submission:
    manifest = read_manifest(folder)
    if manifest.version != __version__:
        raise RefusedError(f"it was packed with armory_skelevision {manifest.version}; here is {__version__}")
    config = read_json(folder / CONFIG)
    names = [name.removeprefix(f"{WEIGHTS}/") for name in manifest.weights]
    for name in names:
        _check_weights(folder / WEIGHTS / name, manifest)
    _refuse(check_schema(config))
    _refuse(check_rules(config, names, terms.baselines, terms.repositories))
    system = config["sysconfig"]
    for key in ("docker_image", "external_github_repo"):
        if system[key] != getattr(manifest, key):
            raise RefusedError(f"{key} is {system[key]!r} in {CONFIG} and {getattr(manifest, key)!r} in the manifest")
    placed = f"{folder.absolute() / WEIGHTS}/"
    findings = [f._replace(problem=f.problem.replace(placed, "")) for f in check_config(_with_paths(config, folder))]
    _refuse(findings)
    return Submission(folder, manifest, config, [finding for finding in findings if finding.level == "warning"])


def check_form(config: Any) -> None:
    """Refuse what does not fit ARMORY's schema.

    Raises:
        RefusedError: With all places where it does not.
    """
    with as_in_a_run():
        _refuse(check_schema(config))


def smoke_run(submission: Submission) -> Scores:
    """Evaluate a submission on a few frames of an embedded video, under one step of an attack.

    Raises:
        RuntimeError: If the evaluation fails, or takes too long or too much memory.
    """
    config = build_config("walkers", "mtl")
    config["attack"]["kwargs"] = {**config["attack"]["kwargs"], "max_iter": 1}
    config["dataset"] = {**config["dataset"], "max_frames": SMOKE_FRAMES}
    with tempfile.TemporaryDirectory() as home:
        config = combine(submission, config)
        return run_evaluation(config, submission.weights, Path(home), SMOKE_LIMITS, videos=1)


def combine(submission: Submission, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """A config with a submission's model and defense, and an organiser's everything else."""
    config = copy.deepcopy(dict(evaluation))
    return {**config, "model": submission.config["model"], "defense": submission.config["defense"]}


def _with_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config as it would be with its weights in place."""
    placed = copy.deepcopy(dict(config))
    weights = folder.absolute() / WEIGHTS
    placed["model"]["weights_file"] = str(weights / placed["model"]["weights_file"])
    kwargs = (placed["defense"] or {}).get("kwargs", {})
    if "weights_file" in kwargs:
        kwargs["weights_file"] = str(weights / kwargs["weights_file"])
    # whether this machine has a GPU is not the submission's affair
    placed["sysconfig"]["use_gpu"] = False
    return placed


def _check_weights(path: Path, manifest: Manifest) -> None:
    if not path.name.startswith(f"{manifest.team}_"):
        raise RefusedError(f"{path.name} does not begin with the team's name, {manifest.team}_")
    # ARMORY unpacks, on loading, whatever weights can be read as a tar archive
    if tarfile.is_tarfile(path):
        raise RefusedError(f"{path.name} is an archive, which ARMORY would unpack; expected weights")
    try:
        header = read_header(path)
    except ValueError as error:
        raise RefusedError(str(error).replace(str(path), path.name)) from error
    if header != manifest.weights[f"{WEIGHTS}/{path.name}"]:
        raise RefusedError(f"{path.name} says other things of itself than the manifest")


def _refuse(findings: list[Finding]) -> None:
    reasons = [f"{f.key}: {f.problem}. {f.mend}" for f in findings if f.level == "fault"]
    if reasons:
        raise RefusedError(f"{CONFIG}: " + "; ".join(reasons))
