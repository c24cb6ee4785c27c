"""One evaluation of a submission: in a process with a home of its own, and with limits of time and memory."""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.configs import format_config
from armory_skelevision.evaluation.process import Limits
from armory_skelevision.evaluation.runner import RunFailedError, armory_folder, find_result, run_armory
from armory_skelevision.results.result_file import read_run
from armory_skelevision.validation import Fraction, StructuredError, accepts

COMMAND = ("-m", "armory.scenarios.main")
"""What ARMORY starts in its containers; `armory run` would put a shell in between."""

_FOLDERS = ("local_git_dir", "output_dir", "saved_model_dir", "tmp_dir")
_SECRETS = ("TOKEN", "SECRET")


class VideoScores(NamedTuple):
    """IoU of each video, in [0, 1], in the data set's order."""

    benign: list[float]
    adversarial: list[float]


def run_evaluation(
    config: Mapping[str, Any], weights: Mapping[str, Path], home: Path, limits: Limits, videos: int | None = None
) -> VideoScores:
    """Run ARMORY's scenario as ARMORY itself does in a container, and read the scores.

    The process finds its files in ``home``, and of the caller's folders only ARMORY's data sets. Its output is in
    ``home/log``.

    Args:
        config: ARMORY's config.
        weights: Weights by their names in the config.
        home: An empty folder.
        limits: When the process and all that it started are ended.
        videos: How many to evaluate; None for all.

    Raises:
        RunFailedError: If the evaluation fails or reaches a limit; has the reason.
    """
    _prepare_home(home, config, weights)
    command = [sys.executable, *COMMAND, "config.json", "--no-docker"]
    if videos is not None:
        command += ["--num-eval-batches", str(videos)]
    run_armory(command, _environment(home, config), log=home / "log", folder=home, limits=limits)
    try:
        run = read_run(find_result(home / "output_dir" / "run", "*.json"))
        scores = VideoScores(run.benign.complete_ious(), run.adversarial.complete_ious())
    except StructuredError as error:
        raise RunFailedError(str(error)) from error
    return check_scores(scores)


def check_scores(scores: VideoScores) -> VideoScores:
    """The same scores (`RunFailedError` if they are none, incomplete, or outside of [0, 1])."""
    complete = len(scores.benign) == len(scores.adversarial) > 0
    if not complete or not all(accepts(list[Fraction], values) for values in scores):
        raise RunFailedError(f"expected a mean IoU in [0, 1] for each video, got {scores!r:.200}")
    return scores


def _prepare_home(home: Path, config: Mapping[str, Any], weights: Mapping[str, Path]) -> None:
    """Put the config and the weights where ARMORY will look for them."""
    folders = {name: home / name for name in _FOLDERS} | {"dataset_dir": armory_folder("dataset_dir")}
    settings = {"verify_ssl": True, **{name: str(folder) for name, folder in folders.items()}}
    for folder in (".armory", "saved_model_dir"):
        (home / folder).mkdir()
    (home / ".armory" / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    for name, path in weights.items():
        shutil.copyfile(path, home / "saved_model_dir" / name)
    (home / "config.json").write_text(format_config({**config, "eval_id": "run"}), encoding="utf-8")


def _environment(home: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The variables of this process without its secrets, and with the folders and GPUs of the evaluation."""
    system = config["sysconfig"]
    gpus = system["gpus"] if system["use_gpu"] else "-1"
    changed = {
        "HOME": str(home),
        "PYTHONUSERBASE": site.getuserbase(),  # packages that are installed there stay importable
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TORCH_HOME": str(home / "torch"),
    }
    if gpus != "all":
        changed["CUDA_VISIBLE_DEVICES"] = gpus
    kept = {name: value for name, value in os.environ.items() if not any(secret in name for secret in _SECRETS)}
    return {**kept, **changed}
