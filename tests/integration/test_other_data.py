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
from sequence_data import NAMES, write_layout

from armory_skelevision.boxes import LEFT_OUT_XYXY
from armory_skelevision.evaluation.check.dataset import check_dataset
from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.results.report.writing import write_report
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


def test_sequences_keep_their_names_and_absent_targets_are_left_out(tmp_path: Path) -> None:
    root = write_layout(tmp_path / "got10k", "got10k")
    (root / NAMES["got10k"] / "cover.label").write_text("8\n8\n0\n8\n")
    config = changed_config("otb", {"name": "sequences", "eval_split": "list.txt", "layout": "got10k"})
    config["dataset"].update({"root": str(root), "dataset_dir": str(tmp_path)})
    assert check_dataset(config) == []
    result = evaluate(config, tmp_path)
    check_scores(result, videos=1)
    run = read_run(result)
    assert run.names == (NAMES["got10k"],)
    ious, truth = run.benign.frame_ious[0], run.benign.true_boxes_xyxy[0]
    assert truth[2] == LEFT_OUT_XYXY
    counted = np.array([1.0, ious[1], ious[3]])
    success = (counted[:, None] > np.arange(0, 1.05, 0.05)).mean()
    assert run.benign.videos["success_auc"] == (pytest.approx(success),)
    assert NAMES["got10k"] in write_report([result], tmp_path / "report").page.read_text()


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
