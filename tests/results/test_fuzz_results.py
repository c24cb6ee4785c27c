"""Mutated result files and records: read as a second, small reader reads them, or refused by name."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from handmade_results import METRIC, make_config, make_frames, make_results
from hypothesis import HealthCheck, given, settings
from mutated_json import mutated_documents, mutated_files, read_plainly, try_to

from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.result_file import read_run
from armory_skelevision.results.summary import summarize

pytestmark = pytest.mark.fuzz

SIDES = ("benign", "adversarial")
FRAMES = make_frames((1.0, 0.5, 0.25), (1.0, 0.75)), make_frames((1.0, 0.5, 0.0), (1.0, 0.25), side="adversarial")
RESULT: dict[str, Any] = {
    "armory_version": "0.19.2",
    "config": make_config(),
    "timestamp": 1795931115,
    "results": {
        **make_results(
            (0.375, 0.75),
            (0.25, 0.25),
            adversarial_checkpoints=[{"5": 0.5, "10": 0.25}, {"5": 0.5, "10": 0.25}],
            benign_success_auc=[[0.5], [0.75]],
            benign_mean_success_auc=[0.625],
            benign_keypoint_pck=[{"nose": 0.5, "left_eye": None}],
            relative_pck=[50.0],
            reach=[0.5, 0.25],
            video_names=["Crossing", "Human7"],
        ),
        **FRAMES[0],
        **FRAMES[1],
    },
}
RECORD = {
    "labels": {"model": "MTL", "attack.kwargs.seed": 0},
    "values": {},
    "hash": "ab" * 32,
    "versions": {"torch": "2"},
    "weights": {"a.safetensors": "cd" * 32},
    "seconds": 12.5,
    "command": "armory run",
    "state": "finished",
}
PLAN = {
    "grid": {"title": "t", "axes": {}, "published": {"source": "s", "cells": [{"where": {}, "benign": 50.0}]}},
    "runs": [
        {"name": "run", "labels": {"model": "MTL"}, "values": {}, "config": make_config(), "options": ["--check"]}
    ],
}


@pytest.fixture(autouse=True, scope="module")
def no_charts() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr("armory_skelevision.results.report.charts.draw_chart", lambda *_, **__: "")
    yield
    patch.undo()


def leaves(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [] if value is None else [value]


def with_gaps(value: Any) -> list[float | None]:
    """All numbers within lists; None for null and NaN."""
    if isinstance(value, list):
        return [number for item in value for number in with_gaps(item)]
    return [None if value is None or math.isnan(value) else float(value)]


def expected_mean(results: dict[str, Any], side: str) -> float | None:
    """The mean IoU of a side, by the rules that the guide states."""
    videos = with_gaps(results.get(f"{side}_{METRIC}") or [])
    mean = with_gaps(results.get(f"{side}_mean_{METRIC}") or [])
    if None in videos or None in mean:
        return None
    return mean[0] if mean else math.fsum(videos) / len(videos) if videos else None


def expected_mean_in_reach(results: dict[str, Any], side: str) -> float | None:
    """The same of the videos that a patch could win in for at least half of their frames."""
    videos, reach = (with_gaps(results.get(key) or []) for key in (f"{side}_{METRIC}", "reach"))
    near = [video for video, share in zip(videos, reach, strict=False) if share is not None and share >= 0.5]
    return math.fsum(near) / len(near) if near and None not in near else None


@given(data=mutated_files(RESULT))
def test_a_result_is_read_as_it_is_or_refused_by_name(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.json"
        path.write_bytes(data)
        run, error = try_to(read_run, path)
    if run is None:
        assert error.key.startswith(str(path))
        assert error.expected
        return
    results = read_plainly(data)["results"]
    for side in SIDES:
        found = run.side(side)
        assert list(found.video_ious) == with_gaps(results.get(f"{side}_{METRIC}") or [])
        assert found.mean_iou == expected_mean(results, side)
        assert found.means.get("iou_in_reach") == expected_mean_in_reach(results, side)
        assert all(0 <= value <= 1 for value in (*leaves(list(found.video_ious)), found.mean_iou or 0))
        frames = [number for video in found.frame_ious for number in video]
        assert [None if math.isnan(number) else number for number in frames] == with_gaps(
            results.get(f"{side}_frame_iou") or []
        )
        assert len({len(videos) for videos in found.frames().values() if videos}) <= 1
    steps = {int(name) for video in results.get("adversarial_checkpoints") or [] for name in video}
    assert set(run.checkpoints) == steps
    assert list(run.reach) == with_gaps(results.get("reach") or [])
    if run.names:
        assert [run.video_name(number) for number in range(len(run.names))] == leaves(results["video_names"])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    result=mutated_files(RESULT),
    record=mutated_files(RECORD),
    plan=mutated_files(PLAN),
    config=mutated_files(make_config()),
)
def test_a_sweep_is_loaded_whatever_its_files_hold(result: bytes, record: bytes, plan: bytes, config: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        run.mkdir()
        files = {"runs.json": plan, "run/result.json": result, "run/run.json": record, "run/config.json": config}
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        loaded = load_runs([Path(folder)])
        summarize(loaded.runs)
        assert all(problem.key.startswith(folder) for problem in loaded.problems)
        refused = {problem.key.partition(": ")[0] for problem in loaded.problems}
        for name, content in files.items():
            try:
                is_object = isinstance(read_plainly(content), dict)
            except (ValueError, RecursionError):
                is_object = False
            failed = name.endswith("result.json") and any(each.state != "finished" for each in loaded.runs)
            assert is_object or str(Path(folder) / name) in refused or failed


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=25 if settings().max_examples < 1000 else 1000)
@given(first=mutated_documents(RESULT), second=mutated_documents(RESULT))
def test_every_report_has_a_page_and_names_what_it_left_out(first: Any, second: Any) -> None:
    import json

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "a.json", Path(folder) / "b.json"]
        for path, document in zip(paths, (first, second), strict=True):
            path.write_text(json.dumps(document))
        written = write_report(paths, Path(folder) / "out")
        assert written.page.is_file()
        assert {problem.key.partition(": ")[0] for problem in written.problems} <= set(map(str, paths))
        reported = [path.stem for path in paths if not any(each.key.startswith(str(path)) for each in written.problems)]
        with (Path(folder) / "out" / "runs.csv").open() if reported else tempfile.TemporaryFile("r") as file:
            assert len(file.read().splitlines()) == (len(reported) + 1 if reported else 0)
