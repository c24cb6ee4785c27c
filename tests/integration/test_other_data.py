"""ARMORY's evaluation of what is not packaged: CARLA videos in a small drawn edition, and real OTB videos."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from armory_runs import evaluate
from carla_data import write_carla

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.results.result_file import read_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def changed_config(name: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """The MTL patch config of a data set, with changes to the data set and one step."""
    config = copy.deepcopy(build_config(name, "mtl"))
    config["attack"]["kwargs"]["max_iter"] = 1
    config["dataset"].update(dataset)
    return config


def check_scores(result: Path, videos: int) -> None:
    """Every video has a score before and after the attack, and so have their means."""
    assert None not in {read_run(result).side(side).mean_iou for side in ("benign", "adversarial")}
    results = json.loads(result.read_text())["results"]
    for stage in ("benign", "adversarial"):
        scores = results[f"{stage}_video_tracking_mean_iou"]
        assert len(scores) == videos
        assert all(0 <= score <= 1 for score in np.ravel(scores))


def test_carla_config_runs_to_the_end(tmp_path: Path) -> None:
    write_carla(tmp_path / "data", videos=1, frames=4)
    dataset = {"dataset_dir": str(tmp_path / "data")}
    check_scores(evaluate(changed_config("carla", dataset), tmp_path), videos=1)


def test_carla_config_without_data_ends_soon_and_says_what_to_do(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "carla.json"
    path.write_text(format_config(changed_config("carla", {"dataset_dir": str(tmp_path / "empty")})))
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="exit code 1"):
        run_config(path)
    assert time.monotonic() - begin < 30
    said = capfd.readouterr()
    lines = (said.out + said.err).strip().splitlines()
    (number, message) = [pair for pair in enumerate(lines) if "dataset: expected the split's" in pair[1]][-1]
    assert "tar -xzf" in message
    assert str(tmp_path / "empty") in message
    # ARMORY prints a traceback before the message, and after it only that the run failed
    assert not [line for line in lines[number + 1 :] if "Traceback" in line]


def test_otb_config_runs_on_real_video(tmp_path: Path, shared_data: Path) -> None:
    dataset = {"root": str(shared_data / "otb"), "max_frames": 4, "dataset_dir": str(tmp_path / "data")}
    check_scores(evaluate(changed_config("otb", dataset), tmp_path), videos=2)
