"""Verifying: all of a bundle is checked before anything in it is used."""

from __future__ import annotations

import copy
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import __version__
from armory_skelevision.evaluation.check import Finding, check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.check.run import check_schema
from armory_skelevision.evaluation.configs import build_config, render_configs
from armory_skelevision.evaluation.process import Limits
from armory_skelevision.io import printable
from armory_skelevision.submission.archive import CONFIG, MANIFEST, WEIGHTS, RefusedError, extract_archive
from armory_skelevision.submission.manifest import Manifest, read_json, read_manifest
from armory_skelevision.submission.rules import check_rules
from armory_skelevision.submission.run import VideoScores, run_evaluation
from armory_skelevision.validation import InvalidValueError, StructuredError
from armory_skelevision.weights.checkpoints import read_header

SMOKE_LIMITS = Limits(minutes=10, memory_gb=12)
SMOKE_FRAMES = 5


class Terms(NamedTuple):
    """What an organiser allows in submissions."""

    baselines: tuple[Mapping[str, Any], ...]
    """Configs of the evaluations that a submission may take part in."""
    repositories: tuple[str | None, ...] = ()
    """Allowed values of its ``external_github_repo``, beside null."""

    @classmethod
    def usual(cls) -> Terms:
        """The package's own configs, and no repository."""
        return cls(tuple(map(json.loads, render_configs().values())))


class Submission(NamedTuple):
    """A verified and unpacked bundle."""

    folder: Path
    manifest: Manifest
    config: dict[str, Any]
    warnings: list[Finding]
    smoke: VideoScores | None = None
    """Scores of a short evaluation, if there was one."""

    @property
    def weights(self) -> dict[str, Path]:
        """Its weights by their names in the config."""
        return {path.name: path for path in sorted((self.folder / WEIGHTS).iterdir())}


def verify_bundle(bundle: Path, folder: Path, terms: Terms, smoke: bool = False) -> Submission:
    """Unpack a bundle into a folder if it can be accepted. None of its code runs.

    The archive's form, the hashes and the names in the config are checked first; only then are weights read, and the
    model made of them.

    Args:
        bundle: The ``.tar.gz``, which is not trusted.
        folder: Where to unpack it; absent or empty. It is left as it was when the bundle is refused.
        terms: What is allowed in it.
        smoke: Whether to evaluate it, too; see `smoke_run`.

    Raises:
        MissingFileError: If there is no bundle.
        InvalidValueError: If the folder is not empty, or the bundle is no file, or larger than any.
        RefusedError: If the bundle is refused; has all findings on its config.
        RunFailedError: If the evaluation fails.
        OSError: If the folder cannot be written.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidValueError(printable(folder), "a new or an empty folder", "another", "name a new folder")
    try:
        near = folder if folder.is_dir() else folder.parent  # on the same disk, so that files can be moved
        near.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=near, prefix=".verifying-") as scratch, as_in_a_run():
            unpacked = Path(scratch) / "bundle"
            extract_archive(bundle, unpacked)
            submission = _verify(unpacked, terms)
            scores = smoke_run(submission) if smoke else None
            folder.mkdir(exist_ok=True)
            for path in unpacked.iterdir():
                path.replace(folder / path.name)
    except OSError as error:
        if isinstance(error, StructuredError) or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(folder)) from error  # the temporary folder tells nobody anything
    return submission._replace(folder=folder, smoke=scores)


def _verify(folder: Path, terms: Terms) -> Submission:
    manifest = read_manifest(folder)
    if manifest.version != __version__:
        raise RefusedError(f"{MANIFEST}.version", __version__, manifest.version)
    config = read_json(folder / CONFIG)
    names = [name.removeprefix(f"{WEIGHTS}/") for name in manifest.weights]
    for name in names:
        _check_weights(folder / WEIGHTS / name, manifest)
    _refuse(check_schema(config))
    _refuse(check_rules(config, names, terms.baselines, terms.repositories))
    system = config["sysconfig"]
    for key in ("docker_image", "external_github_repo"):
        wanted = getattr(manifest, key)
        if system[key] != wanted:
            raise RefusedError(f"{CONFIG}.sysconfig.{key}", f"that of the manifest, {wanted}", system[key])
    placed = f"{folder.absolute() / WEIGHTS}/"
    found = check_config(_with_paths(config, folder))
    findings = [finding._replace(problem=finding.problem.replace(placed, "")) for finding in found]
    _refuse(findings)
    return Submission(folder, manifest, config, [finding for finding in findings if finding.level == "warning"])


def check_form(config: Any) -> None:
    """Refuse a config that does not fit ARMORY's schema (`RefusedError`, with all places)."""
    with as_in_a_run():
        _refuse(check_schema(config))


def smoke_run(submission: Submission) -> VideoScores:
    """Evaluate a submission on a few frames of a packaged video, under one step of an attack.

    Raises:
        RunFailedError: If the evaluation fails, or takes too long or too much memory.
    """
    config = build_config("walkers", "mtl")
    config["attack"]["kwargs"] = {**config["attack"]["kwargs"], "max_iter": 1}
    config["dataset"] = {**config["dataset"], "max_frames": SMOKE_FRAMES}
    with tempfile.TemporaryDirectory() as home:
        config = combine(submission, config)
        return run_evaluation(config, submission.weights, Path(home), SMOKE_LIMITS, videos=1)


def combine(submission: Submission, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """A config with the model and the defense of a submission, and all else of an evaluation."""
    own = {name: submission.config[name] for name in ("model", "defense")}
    return copy.deepcopy({**evaluation, **own})


def _with_paths(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config with the paths of its unpacked weights."""
    placed = copy.deepcopy(dict(config))
    weights = folder.absolute() / WEIGHTS
    placed["model"]["weights_file"] = str(weights / placed["model"]["weights_file"])
    kwargs = (placed["defense"] or {}).get("kwargs", {})
    if "weights_file" in kwargs:
        kwargs["weights_file"] = str(weights / kwargs["weights_file"])
    # a submission is not refused because this machine has no GPU
    placed["sysconfig"]["use_gpu"] = False
    return placed


def _check_weights(path: Path, manifest: Manifest) -> None:
    name = f"{WEIGHTS}/{path.name}"
    if not path.name.startswith(f"{manifest.team}_"):
        raise RefusedError(name, f"a name that begins with that of the team, {manifest.team}_", path.name)
    # ARMORY unpacks, on loading, whatever weights can be read as a tar archive
    if tarfile.is_tarfile(path):
        raise RefusedError(name, "weights", "an archive, which ARMORY would unpack")
    try:
        header = read_header(path)
    except ValueError as error:
        raise RefusedError(name, "readable weights", str(error).replace(str(path), path.name)) from error
    if header != manifest.weights[name]:
        raise RefusedError(name, "the metadata in the manifest", "others")


def _refuse(findings: list[Finding]) -> None:
    """Refuse a bundle if there is an error among the findings on its config."""
    errors = tuple(finding for finding in findings if finding.level != "warning")
    if errors:
        refused = RefusedError(CONFIG, "a config that is allowed and can run", "; ".join(map(describe, errors)))
        refused.findings = errors
        raise refused
