"""What of a finished run goes to MLflow."""

import json
import math
from pathlib import Path

import pytest

from armory_skelevision.sweeps.mlflow_log import log_run, read_curve, read_means
from armory_skelevision.sweeps.run import Run

RESULTS = {
    "benign_mean_x": [0.75],
    "benign_video_tracking_mean_iou": [[0.5], [1.0]],
    "adversarial_mean_frame_iou": [0.25],
    "adversarial_checkpoints": [{"2": 0.5, "10": 0.25}, {"2": 0.75, "10": 0.0}],
    "compute": {},
}


def test_means_and_curves_of_a_result() -> None:
    assert read_means(RESULTS) == {"benign_mean_x": 0.75, "adversarial_mean_frame_iou": 0.25}
    assert read_curve(RESULTS) == {2: 0.625, 10: 0.125}
    assert read_curve({}) == {}


def test_what_is_missing_is_no_metric() -> None:
    assert read_means({"benign_mean_x": [math.nan], "benign_mean_y": [None], "benign_mean_z": [True]}) == {}
    assert read_curve({"adversarial_checkpoints": [{"2": 0.5, "3": 0.5}, {"2": None, "3": 0.25, "4": 1}]}) == {3: 0.375}


def test_a_finished_run_becomes_one_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    (tmp_path / "result.json").write_text(json.dumps({"results": RESULTS}))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "run.json").write_text('{"seconds": 12.5}')
    planned = Run(
        "MTL-0.1", {"model": "MTL", "delta": 0.1}, {"model.name": "siamrpn_mtl", "delta": 0.1}, {"attack": {}}
    )
    log_run(planned, tmp_path, "walkers")

    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("walkers").experiment_id])
    assert run.info.run_name == "MTL-0.1" and run.info.status == "FINISHED"
    assert run.data.params == {"model": "MTL", "delta": "0.1", "model.name": "siamrpn_mtl", "hash": planned.hash}
    assert run.data.metrics["benign_mean_x"] == 0.75 and run.data.metrics["seconds"] == 12.5
    history = client.get_metric_history(run.info.run_id, "adversarial_mean_iou_after_steps")
    assert [(point.step, point.value) for point in history] == [(2, 0.625), (10, 0.125)]
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"config.json", "result.json"}
