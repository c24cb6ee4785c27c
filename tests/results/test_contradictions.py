"""Results that contradict themselves are refused by name, and do not keep the others from being reported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from handmade_results import METRIC, make_config, make_frames, make_results, write_plan, write_result, write_run

from armory_skelevision.results.load import load_runs
from armory_skelevision.results.result_file import read_run
from armory_skelevision.validation import InvalidValueError

HUGE = 10**300
BENIGN, MEAN = f"benign_{METRIC}", f"benign_mean_{METRIC}"
BOXES = make_frames((1.0, 0.5), (1.0, 0.25))
GOOD = make_results((0.5, 0.25), (0.5, 0.25), **BOXES)


def test_the_results_that_are_changed_below_are_right(tmp_path: Path) -> None:
    run = read_run(write_result(tmp_path / "r.json", GOOD))
    assert (run.benign.mean_iou, run.benign.video_ious) == (0.375, (0.5, 0.25))


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({MEAN: [0.1]}, MEAN),
        ({MEAN: [0.3751]}, MEAN),
        ({MEAN: [0.375, 0.375]}, MEAN),
        ({MEAN: [7.5]}, MEAN),
        ({MEAN: [-3]}, MEAN),
        ({MEAN: [1e308]}, MEAN),
        ({MEAN: ["0.375"]}, MEAN),
        ({MEAN: [True]}, MEAN),
        ({BENIGN: [[0.5], [1.5]]}, BENIGN),
        ({BENIGN: [[0.5], [-0.25]]}, BENIGN),
        ({BENIGN: [[0.5], []]}, BENIGN),
        ({BENIGN: [[0.5], [{}]]}, BENIGN),
        ({BENIGN: [[0.5], [False]]}, BENIGN),
        ({BENIGN: {"0": 0.5, "1": 0.25}}, BENIGN),
        ({BENIGN: [[0.5], [0.25], [0.375]]}, "benign_frame_iou"),
        ({BENIGN: [[0.25], [0.5]]}, BENIGN),  # not the means of these frames
        ({BENIGN: [[None], [0.5]]}, BENIGN),
        ({"adversarial_success_auc": [0.5]}, "adversarial_success_auc"),
        ({"adversarial_success_auc": [0.5, 2]}, "adversarial_success_auc"),
        (
            {"adversarial_mean_success_auc": [0.5], "adversarial_success_auc": [0.1, 0.1]},
            "adversarial_mean_success_auc",
        ),
        ({"benign_mean_foo": [2.0], "benign_foo": [1.0, 1.0]}, "benign_mean_foo"),
        ({"benign_foo": [1.0, "1.0"]}, "benign_foo"),
        ({"benign_foo": [1.0, True]}, "benign_foo"),
        ({"benign_foo": [1e200, 1.0]}, "benign_foo"),
        ({"benign_frame_iou": [[[1.0, 0.5]]]}, "benign_frame_iou"),
        ({"benign_frame_iou": [[[1.0, 0.5]], [[1.0, 1.5]]]}, "benign_frame_iou"),
        ({"benign_frame_iou": [[[1.0, 0.5]], [[]]]}, "benign_frame_iou"),
        ({"benign_frame_iou": [[[1.0, 0.5]], [[1.0, [0.25]]]]}, "benign_frame_iou"),
        ({"benign_frame_iou": [[[1.0, 0.5]], [[1.0, 0.25, 0.25]]]}, "benign_frame_boxes"),
        ({"benign_frame_boxes": BOXES["benign_frame_boxes"][:1]}, "benign_frame_boxes"),
        ({"benign_frame_boxes": BOXES["benign_frame_boxes"][::-1]}, "benign_frame_iou"),
        ({"benign_frame_boxes": [[[[0, 0, 10, 10], [10, 0, 0, 10]]]] * 2}, "benign_frame_iou"),  # of a negative width
        ({"benign_true_boxes": [[[[500, 500, 510, 510]] * 2]] * 2}, "benign_frame_iou"),
        ({"benign_frame_iou": [[[0.5, 0.5]], [[1.0, 0.25]]]}, "benign_frame_iou"),  # the first box is the true one
        ({"benign_frame_iou": [[[1.0, None]], [[1.0, 0.25]]]}, BENIGN),  # of a frame without an IoU no mean
        ({"benign_frame_boxes": [[[[1, 2, 3]]], [[[1, 2, 3]]]]}, "benign_frame_boxes"),
        ({"benign_true_boxes": [[[[0, 0, 1e300, 1]] * 2]] * 2}, "benign_true_boxes"),
        ({"adversarial_checkpoints": [{"5": 0.5}]}, "adversarial_checkpoints"),
        ({"adversarial_checkpoints": [{"5": 1.5}, {"5": 0.5}]}, "adversarial_checkpoints.5"),
        ({"adversarial_checkpoints": [{"5": "0.5"}, {"5": 0.5}]}, "adversarial_checkpoints.5"),
        ({"adversarial_checkpoints": [{"05": 0.5}, {"5": 0.5}]}, "adversarial_checkpoints"),
        ({"adversarial_checkpoints": [{"²": 0.5}, {"5": 0.5}]}, "adversarial_checkpoints"),
        ({"adversarial_checkpoints": [{"-5": 0.5}, {"5": 0.5}]}, "adversarial_checkpoints"),
        ({"adversarial_checkpoints": [{"9" * 400: 0.5}, {"5": 0.5}]}, "adversarial_checkpoints"),
        ({"adversarial_checkpoints": {"5": 0.5}}, "adversarial_checkpoints"),
        ({"reach": [0.5]}, "reach"),
        ({"reach": [0.5, 1.5]}, "reach"),
        ({"reach": [0.5, -0.1]}, "reach"),
        ({"reach": [0.5, "1"]}, "reach"),
        ({"reach": [0.5, True]}, "reach"),
        ({"reach": [0.5, []]}, "reach"),
        ({"reach": {"0": 0.5, "1": 0.5}}, "reach"),
        ({"benign_iou_in_reach": [0.5, 0.25]}, "benign_iou_in_reach"),
        ({"adversarial_mean_iou_in_reach": [0.375]}, "adversarial_mean_iou_in_reach"),
        ({"benign_x.success_auc": [0.5, 0.5], "benign_success_auc": [0.5, 0.5]}, "benign_x.success_auc"),
        ({"benign_keypoint_pck": [{"nose": 1.5}]}, "benign_keypoint_pck.nose"),
        ({"benign_keypoint_pck": [{"nose": 1}, {"nose": 0}]}, "benign_keypoint_pck"),
        ({"benign_keypoint_pck": {"nose": 1}}, "benign_keypoint_pck"),
        ({"relative_pck": [-5]}, "relative_pck"),
        ({"relative_pck": [50, 60]}, "relative_pck"),
        ({"relative_pck": [1e200]}, "relative_pck"),
        ({"video_names": ["a"]}, "video_names"),
        ({"video_names": ["a", 2]}, "video_names"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, changed: dict[str, Any], key: str) -> None:
    path = write_result(tmp_path / "r.json", {**GOOD, **changed})
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert caught.value.key == f"{path}: {key}"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({"config": [1]}, "config"),
        ({"config": {"model": json.loads("[" * 60 + "]" * 60)}}, "config"),
        ({"timestamp": "now"}, "timestamp"),
        ({"timestamp": True}, "timestamp"),
    ],
)
def test_what_is_beside_the_numbers_is_checked_too(tmp_path: Path, content: dict[str, Any], key: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"results": GOOD, **content}))
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert caught.value.key == f"{path}: {key}"


def test_a_contradiction_may_have_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read_run(write_result(tmp_path / "r.json", {**GOOD, MEAN: [0.1]}))
    assert caught.value.fix == "the file was changed"


def test_rounding_is_no_contradiction(tmp_path: Path) -> None:
    results = {**GOOD, MEAN: [0.37500003], BENIGN: [[0.50000001], [0.24999999]], "benign_success_auc": [1.0000001, 0]}
    results |= {"benign_mean_large": [1000.001], "benign_large": [1000, 1000]}
    results |= {"benign_mean_small": [0.000001], "benign_small": [0, 0]}
    assert read_run(write_result(tmp_path / "r.json", results)).benign.mean_iou == 0.37500003


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("width", "height", "iou", "fits"),
    [
        (10, 10, 0.99, True),
        (10, 10, 0.986, False),
        (0.5, 10, 0.895, True),
        (0.5, 10, 0.85, False),
        (10, 0.5, 0.895, True),
        (10, 0.5, 0.85, False),
        (0, 10, 0.5, True),
    ],
)
def test_ious_are_those_of_the_boxes_as_far_as_these_are_rounded(
    tmp_path: Path, width: float, height: float, iou: float, fits: bool
) -> None:
    boxes = [[[[100, 100, 100 + width, 100 + height]] * 2]]
    results = {"benign_frame_iou": [[[1.0, iou]]], "benign_true_boxes": boxes, "benign_frame_boxes": boxes}
    path = write_result(tmp_path / "r.json", {BENIGN: [iou], **results})
    if fits:
        assert read_run(path).benign.frame_ious == ((1.0, iou),)
        return
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert caught.value.key == f"{path}: benign_frame_iou"


def test_the_mean_of_the_frames_may_be_off_by_a_thousandth(tmp_path: Path) -> None:
    results = {BENIGN: [0.001], "benign_frame_iou": [[[1.0, 0]]]}
    assert read_run(write_result(tmp_path / "r.json", results)).benign.mean_iou == 0.001


def test_boxes_apart_have_no_overlap(tmp_path: Path) -> None:
    boxes = {
        "benign_true_boxes": [[[[0, 0, 10, 10]] * 2]],
        "benign_frame_boxes": [[[[0, 0, 10, 10], [20, 20, 30, 30]]]],
    }
    results = {BENIGN: [0.0], "benign_frame_iou": [[[1.0, 0.0]]], **boxes}
    assert read_run(write_result(tmp_path / "r.json", results)).benign.frame_ious == ((1.0, 0.0),)


def test_of_one_frame_there_is_no_mean_to_compare(tmp_path: Path) -> None:
    assert read_run(write_result(tmp_path / "r.json", {BENIGN: [0.5], "benign_frame_iou": [[[1.0]]]})).benign.videos


Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "changed",
    [
        {"results": {**GOOD, MEAN: [0.1]}},
        {"results": {**GOOD, BENIGN: [[HUGE], [0.5]]}},
        {"results": {**GOOD, "adversarial_checkpoints": [{str(HUGE): 0.5}] * 2}},
        {"config": {"attack": {"name": "PatchAttack", "kwargs": {"max_iter": HUGE}}}},
        {"timestamp": HUGE},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_one_bad_file_does_not_lose_the_report(run: Run, tmp_path: Path, changed: dict[str, Any]) -> None:
    good = write_result(tmp_path / "good.json", make_results((0.5,)), make_config())
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"results": GOOD, "config": {}, "timestamp": 1, **changed}))
    code, told, err = run("report", good, bad, "--out", tmp_path / "out")
    assert (code, told) == (1, f"{tmp_path / 'out' / 'index.html'}\n")
    assert err.startswith(f"left out: {bad}: ")
    assert err.count("\n") == 1
    assert str(bad) in (tmp_path / "out" / "index.html").read_text()
    assert "benign,50" in (tmp_path / "out" / "miou.csv").read_text()


def test_published_numbers_that_are_none_are_named(tmp_path: Path) -> None:
    where = {"where": {}, "benign": 50}
    cells = [7, {**where, "benign": 1e9}, {**where, "adversarial": {"5": True}}, where]
    write_plan(tmp_path, {"axes": {}, "published": {"cells": cells}})
    write_run(tmp_path / "run", make_config(), make_results((0.5,)))
    loaded = load_runs([tmp_path])
    assert [problem.key for problem in loaded.problems] == [f"{tmp_path / 'runs.json'}: grid.published.cells"] * 3
    assert loaded.runs[0].published == (where,)
