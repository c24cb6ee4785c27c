"""A sweep of real evaluations, killed in its second run and resumed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from armory_skelevision.evaluation.configs import build_config, format_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DELTA = "attack.kwargs.step_size"


def test_a_killed_sweep_of_armory_runs_resumes(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text(format_config(build_config("walkers", "mtl")))
    grid, out = tmp_path / "grid.json", tmp_path / "out"
    settings = {"attack.kwargs.checkpoints": [0, 1], "attack.kwargs.max_iter": 1, "dataset.max_frames": 5}
    options = ["--num-eval-batches=1"]
    axes = {DELTA: [0.1, 0.2]}
    grid.write_text(json.dumps({"base": "base.json", "set": settings, "axes": axes, "options": options}))
    command = [sys.executable, "-c", "from armory_skelevision.cli import app; app()", "sweep", grid, "--out", out]

    process = subprocess.Popen(command)
    while not (out / "0.2" / "log.txt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.wait()
    first = (out / "0.1" / "run.json").stat().st_mtime_ns
    assert not (out / "0.2" / "run.json").exists()
    assert subprocess.run(command, check=False).returncode == 0
    assert (out / "0.1" / "run.json").stat().st_mtime_ns == first

    results = {}
    for name in ("0.1", "0.2"):
        assert json.loads((out / name / "run.json").read_text())["state"] == "finished"
        results[name] = json.loads((out / name / "result.json").read_text())["results"]
    for result in results.values():
        ((mean_iou,),) = result["adversarial_video_tracking_mean_iou"]
        (curve,) = result["adversarial_checkpoints"]
        assert curve["1"] == pytest.approx(mean_iou, abs=1e-6)
        (((_, *overlaps),),) = result["adversarial_frame_iou"]
        assert len(overlaps) == 4 and sum(overlaps) / 4 == pytest.approx(mean_iou, abs=1e-6)
        assert result["adversarial_mean_frame_iou"] == [pytest.approx(mean_iou, abs=1e-6)]
        assert 0.4 < result["benign_mean_success_auc"][0] <= 20 / 21
    assert results["0.1"]["adversarial_checkpoints"][0]["0"] == results["0.2"]["adversarial_checkpoints"][0]["0"]
    assert results["0.1"]["adversarial_checkpoints"][0]["1"] != results["0.2"]["adversarial_checkpoints"][0]["1"]
