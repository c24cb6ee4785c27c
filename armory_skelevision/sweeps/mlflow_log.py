"""A finished run of a sweep as a run of MLflow: what was varied as parameters, the results as metrics."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armory_skelevision.io import read_object
from armory_skelevision.sweeps.run import CONFIG, RESULT, Run, read_record
from armory_skelevision.validation import accepts

CHECKPOINTS = "adversarial_checkpoints"


def log_run(run: Run, folder: Path, experiment: str) -> None:
    """Log a finished run and its folder to an experiment of MLflow's server, by default that of `MLFLOW_TRACKING_URI`.

    Warns:
        UserWarning: If MLflow refuses it. The run's result is in its folder all the same.
    """
    import mlflow

    results = read_object(folder / RESULT, allow_nan=True)["results"]
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
    """The means over videos in ARMORY's results, by their names there; without those that are missing (NaN)."""
    means = {name: values[-1] for name, values in results.items() if "_mean_" in name and isinstance(values, list)}
    # The name of a metric's values may hold "mean", too; those are lists, one per video.
    return {name: float(value) for name, value in means.items() if accepts(float, value)}


def read_curve(results: Mapping[str, Any]) -> dict[int, float]:
    """Mean IoU over videos after each number of steps for which the attack recorded it for all of them."""
    videos = results.get(CHECKPOINTS, [])
    steps = {int(steps) for video in videos for steps in video}
    curve = {count: [video.get(str(count)) for video in videos] for count in sorted(steps)}
    return {count: sum(ious) / len(ious) for count, ious in curve.items() if all(accepts(float, iou) for iou in ious)}
