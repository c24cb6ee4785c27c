"""ARMORY's evaluation of keypoints, and the real `armory run` on a backdoor whose weights are not there."""

import copy
import json
from pathlib import Path

import pytest
from armory_runs import evaluate

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import run_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_keypoints_are_attacked_and_measured(tmp_path: Path) -> None:
    config = copy.deepcopy(build_config("walkers", "mtl", "keypoints_igsm"))
    config["attack"]["kwargs"].update(max_iter=2, eps=16 / 255)
    config["dataset"].update(max_frames=2, index=[0, 4])
    results = json.loads(evaluate(config, tmp_path).read_text())["results"]
    for stage in ("benign", "adversarial"):
        assert len(results[f"{stage}_pck"]) == len(results[f"{stage}_oks"]) == 2
        assert all(0 <= share <= 1 for share in results[f"{stage}_keypoint_pck"][0].values() if share is not None)
    assert results["benign_mean_pck"][0] > 0.5
    assert results["adversarial_mean_oks"][0] < results["benign_mean_oks"][0]
    keypoints = [results[f"{stage}_mean_pck"][0] for stage in ("adversarial", "benign")]
    # both people have all their keypoints labelled
    assert results["relative_pck"][0] == pytest.approx(100 * keypoints[0] / keypoints[1])


def test_a_backdoor_without_its_weights_ends_with_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "backdoor.json"
    path.write_text(format_config(build_config("walkers", "backdoor", "oneshot")))
    with pytest.raises(RuntimeError, match="exit code 1"):
        run_config(path)
    said = capfd.readouterr()
    message = "skelevision train backdoor training_configs/backdoors/fsba.json"
    assert message in said.out + said.err
