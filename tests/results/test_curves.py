"""Success and precision plots, against the metrics that summarise them."""

from pathlib import Path

import numpy as np
import pytest
from handmade_results import make_config, make_frames, make_results, write_result
from html_page import Page

from armory_skelevision import metrics
from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY
from armory_skelevision.results.records import RunResult, SideResult
from armory_skelevision.results.report.curves import precision_curve, success_curve
from armory_skelevision.results.report.writing import write_report


@pytest.mark.parametrize("drift", [1.0, 5.0])
def test_scores_are_those_of_the_metrics(drift: float) -> None:
    rng = np.random.default_rng(0)
    videos = []
    for frames in (30, 50):
        corner = rng.uniform(0, 200, (frames, 2))
        truth = np.concatenate([corner, corner + rng.uniform(20, 60, (frames, 2))], axis=1)
        truth[7, 2] = truth[7, 0]  # a frame with nothing to find
        truth[11], truth[12] = LEFT_OUT_XYXY, LOST_XYXY
        videos.append((truth.round(2), (truth + np.tile(rng.normal(0, drift, (frames, 2)).cumsum(axis=0), 2)).round(2)))
    y, found = ([{"boxes": boxes} for boxes in side] for side in zip(*videos, strict=True))
    side = SideResult(
        frame_ious=tuple(map(tuple, metrics.frame_iou(y, found))),
        boxes_xyxy=tuple(map(tuple, metrics.frame_boxes(y, found))),
        true_boxes_xyxy=tuple(map(tuple, metrics.true_boxes(y, found))),
    )
    run = RunResult("r", Path(), benign=side)
    success, precision = success_curve([run, run], "benign"), precision_curve([run], "benign")
    assert success is not None and precision is not None
    assert success.score == pytest.approx(np.mean(metrics.success_auc(y, found)), abs=1e-12)
    assert precision.score == pytest.approx(np.mean(metrics.precision_20px(y, found)), abs=1e-12)
    assert (np.diff(success.values) <= 0).all() and (np.diff(precision.values) >= 0).all()
    assert success_curve([run], "adversarial") is precision_curve([run], "adversarial") is None


def test_the_page_draws_both_sides_of_every_model(tmp_path: Path) -> None:
    paths = []
    for model, iou in (("stl", 0.25), ("mtl", 0.5)):
        frames = [make_frames((1.0, value), side=side) for side, value in (("benign", 0.9), ("adversarial", iou))]
        results = make_results((0.9,), (iou,), **frames[0], **frames[1])
        paths.append(write_result(tmp_path / f"{model}.json", results, make_config(model)))
    page = Page(write_report(paths, tmp_path / "out").page)
    # Of two frames, the first is right at 20 of 21 thresholds and the second above 5 or 10 of them.
    assert {"STL, attacked [59.5]", "MTL, attacked [71.4]", "MTL, attacked [100.0]"} <= set(map(str.strip, page.words))
    assert {"centre error threshold, px", "IoU threshold"} <= set(map(str.strip, page.words))


def test_without_frames_there_is_no_plot(tmp_path: Path) -> None:
    path = write_result(tmp_path / "r.json", make_results((0.8,), (0.3,)), make_config())
    assert "Success and precision plots" not in Page(write_report([path], tmp_path / "out").page).words
