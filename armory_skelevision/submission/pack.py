"""Packing: a config and its weights as one bundle, verified as its receiver will verify it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.io import atomic_write, read_bytes, read_object, refuse_existing
from armory_skelevision.results.result_file import read_run
from armory_skelevision.submission.archive import CONFIG, MANIFEST, MAX_TEXT, MAX_WEIGHTS, WEIGHTS, write_archive
from armory_skelevision.submission.manifest import Claim, Manifest, describe_files
from armory_skelevision.submission.verify import Terms, check_form, verify_bundle
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.checkpoints import read_header


def pack(
    config: Path,
    weights: Path,
    out: Path,
    team: str = "anonymous",
    defense_weights: Path | None = None,
    result: Path | None = None,
    repository: str | None = None,
    terms: Terms | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write a bundle. Equal input gives equal bytes.

    Args:
        config: An ARMORY config with a model and a defense of one's own, otherwise as shipped.
        weights: The model's weights, ``.safetensors``.
        out: The bundle, ``.tar.gz``.
        team: Letters, digits and hyphens.
        defense_weights: Weights of a defense that takes some, likewise.
        result: ARMORY's result file of the config, whose scores the team claims.
        repository: Where the code is published, owner/name@tag, for ``external_github_repo``.
        terms: What is allowed in the config; None for the package's own configs as baselines.
        overwrite: Replace ``out``, which is refused otherwise.

    Returns:
        The bundle's manifest.

    Raises:
        OSError: If a file cannot be read or written.
        InvalidValueError: For an argument that is wrong, or a bundle that would be refused; none is written then.
    """
    _check_out(out, overwrite)
    read = read_object(config, MAX_TEXT)
    check_form(read)
    claimed = _read_claim(result, read) if result is not None else None
    files = _place_weights(read, team, weights, defense_weights)
    if repository is not None:
        read["sysconfig"]["external_github_repo"] = repository
    terms = terms or Terms.usual()
    with tempfile.TemporaryDirectory() as folder:
        files[CONFIG] = Path(folder) / CONFIG
        files[CONFIG].write_text(format_config(read), encoding="utf-8")
        manifest = Manifest(
            format="armory_skelevision submission 1",
            team=team,
            version=__version__,
            docker_image=read["sysconfig"]["docker_image"],
            external_github_repo=read["sysconfig"]["external_github_repo"],
            files=describe_files(files),
            weights={name: read_header(path) for name, path in files.items() if name != CONFIG},
            claimed=claimed,
        )
        contents = {name: read_bytes(path, MAX_WEIGHTS) for name, path in files.items()}
        trial = Path(folder) / out.name
        write_archive(trial, {MANIFEST: manifest.to_json(), **contents})
        verify_bundle(trial, Path(folder) / "unpacked", terms._replace(repositories=(*terms.repositories, repository)))
        out.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(out, trial.read_bytes(), new=not overwrite)
    return manifest


def _check_out(out: Path, overwrite: bool) -> None:
    if not out.name.endswith(".tar.gz"):
        raise InvalidValueError("out", "a name that ends in .tar.gz", out.name)
    if not overwrite:
        refuse_existing(out, fix="replace it with --overwrite, or name another file")


def _place_weights(config: dict[str, Any], team: str, weights: Path, defense_weights: Path | None) -> dict[str, Path]:
    """The weights by their names in the bundle; the config is changed to name them."""
    given = [("model.weights_file", config["model"], weights)]
    kwargs = (config.get("defense") or {}).get("kwargs", {})
    if "weights_file" in kwargs and defense_weights is None:
        raise InvalidValueError("defense_weights", f"the weights of the defense, {kwargs['weights_file']}", "none")
    if defense_weights is not None:
        if "weights_file" not in kwargs:
            expected = 'none: the config has no defense with a "weights_file"'
            raise InvalidValueError("defense_weights", expected, "a file")
        given.append(("defense.weights_file", kwargs, defense_weights))
    files = {}
    for key, section, path in given:
        if path.suffix != ".safetensors":
            fix = f"convert it: skelevision weights convert {path.name} {path.stem}.safetensors"
            raise InvalidValueError(key, "a .safetensors file, which can run no code", path.name, fix)
        name = path.name if path.name.startswith(f"{team}_") else f"{team}_{path.name}"
        if f"{WEIGHTS}/{name}" in files:
            raise InvalidValueError(key, "another name than that of the model's weights", path.name)
        section["weights_file"] = name
        files[f"{WEIGHTS}/{name}"] = path
    return files


def _read_claim(path: Path, config: Mapping[str, Any]) -> Claim:
    """The scores in a result file of this config (`InvalidValueError` if it is of another evaluation)."""
    run = read_run(path)
    sections = ("attack", "dataset", "defense", "metric", "model")
    differing = [name for name in sections if run.config.get(name) != config.get(name)]
    if differing:
        expected = "a result of this config"
        raise InvalidValueError("result", expected, f"one of another evaluation: its {', '.join(differing)} differ")
    videos = max(len(scores.video_ious) for scores in (run.benign, run.adversarial))
    return Claim(run.benign.mean_iou, run.adversarial.mean_iou, videos)
