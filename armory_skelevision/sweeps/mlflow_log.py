"""A finished run of a sweep as a run of MLflow: what was varied as parameters, the results as metrics."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.sweeps.run import CONFIG, RESULT, Run, read_record

CHECKPOINTS = "adversarial_checkpoints"


def log_run(run: Run, folder: Path, experiment: str) -> None:
    """Log a finished run and its folder to an experiment of MLflow's server, by default that of `MLFLOW_TRACKING_URI`.

    Warns:
        UserWarning: If MLflow refuses it. The run's result is in its folder all the same.
    """
    import mlflow

    results = json.loads((folder / RESULT).read_text(encoding="utf-8"))["results"]
    try:
        mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=run.name):
            mlflow.log_params({**run.labels, **run.values, "hash": run.hash})
            mlflow.log_metrics({**read_means(results), "seconds": (read_record(folder) or {}).get("seconds", 0.0)})
            for steps, mean_iou in read_curve(results).items():
                mlflow.log_metric("adversarial_mean_iou_after_steps", mean_iou, step=steps)
            for name in (CONFIG, RESULT):
                mlflow.log_artifact(str(folder / name))
    except mlflow.exceptions.MlflowException as error:
        warnings.warn(f"{run.name} finished, but was not logged to MLflow: {error}", stacklevel=2)


def read_means(results: Mapping[str, Any]) -> dict[str, float]:
    """The means over videos in ARMORY's results, by their names there."""
    means = {name: values[-1] for name, values in results.items() if "_mean_" in name and isinstance(values, list)}
    # The name of a metric's values may hold "mean", too; those are lists, one per video.
    return {name: float(value) for name, value in means.items() if isinstance(value, int | float)}


def read_curve(results: Mapping[str, Any]) -> dict[int, float]:
    """Mean IoU over videos after each number of steps, where the attack recorded checkpoints."""
    videos = results.get(CHECKPOINTS, [])
    steps = sorted({int(steps) for video in videos for steps in video})
    return {count: sum(video[str(count)] for video in videos) / len(videos) for count in steps}
