"""Metrics against hand-made cases, and against the toolkits' definitions stated once more in plain NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from armory_skelevision import metrics
from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY
from armory_skelevision.datasets.layouts.otb import read_boxes
from armory_skelevision.metrics import (
    frame_boxes,
    frame_iou,
    normalised_precision,
    precision_20px,
    success_auc,
    true_boxes,
)
from armory_skelevision.metrics.boxes import annotated_frames, mean_frame_iou
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

PLAIN = {"success_auc": 0, "precision_20px": 1, "normalised_precision": 2}


def video(*boxes_xyxy):
    return [{"boxes": np.array(boxes_xyxy, dtype=np.float32)}]


def toolkit(truth_xyxy, found_xyxy):
    """Success AUC, precision and normalised precision of boxes (F, 4), frame by frame and threshold by threshold."""
    overlaps, distances, shares = [], [], []
    for index, (truth, found) in enumerate(zip(np.float64(truth_xyxy), np.float64(found_xyxy), strict=True)):
        x, y, w, h = truth[0], truth[1], truth[2] - truth[0], truth[3] - truth[1]
        u, v, p, q = (x, y, w, h) if index == 0 else (found[0], found[1], found[2] - found[0], found[3] - found[1])
        if not (w > 0 and h > 0):
            overlaps.append(-1), distances.append(-1), shares.append(-1)
            continue
        common = max(0, min(x + w, u + p) - max(x, u)) * max(0, min(y + h, v + q) - max(y, v))
        overlaps.append(common / (w * h + p * q - common))
        dx, dy = (x + (w - 1) / 2) - (u + (p - 1) / 2), (y + (h - 1) / 2) - (v + (q - 1) / 2)
        distances.append(np.hypot(dx, dy))
        shares.append(np.hypot(dx / w, dy / h))
    count = len(overlaps)
    success = [sum(overlap > threshold for overlap in overlaps) / count for threshold in np.arange(0, 1.05, 0.05)]
    precision = sum(distance <= 20 for distance in distances) / count
    return np.mean(success), precision, sum(share <= 0.2 for share in shares) / count


def test_success_counts_strictly_above_each_threshold_and_the_first_frame_as_given():
    truth = video([0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10])
    # lost where the box was given, half covered, all covered, lost
    found = video([50, 50, 60, 60], [0, 0, 10, 5], [0, 0, 10, 10], [50, 50, 60, 60])
    (value,) = metrics.success_auc(truth, found)
    assert value == pytest.approx((20 + 10 + 20 + 0) / 21 / 4)  # .5 is above 0, .05, … .45, and not above .5


def test_precision_reaches_up_to_20_pixels():
    truth = video(*[[100, 100, 110, 140]] * 4)
    found = video([0, 0, 9, 9], [112, 116, 122, 156], [112, 116.1, 122, 156.1], [80, 100, 90, 140])
    assert metrics.precision_20px(truth, found) == [0.75]


def test_normalised_precision_measures_in_true_boxes():
    truth = video(*[[0, 0, 100, 50]] * 4)
    found = video([0, 0, 9, 9], [19, 0, 119, 50], [0, 11, 100, 61], [19, 9, 119, 59])
    assert metrics.normalised_precision(truth, found) == [0.5]


def test_frames_with_nothing_to_find():
    truth = video([0, 0, 10, 10], [5, 5, 5, 10], [0, 0, 10, 10])
    found = video([0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10])
    assert metrics.success_auc(truth, found) == [pytest.approx(20 / 21 * 2 / 3)]
    assert metrics.precision_20px(truth, found) == metrics.normalised_precision(truth, found) == [1.0]


@pytest.mark.parametrize("metric", [*PLAIN, "average_overlap"])
def test_frames_that_are_left_out_change_nothing(metric):
    truth, found = [[0, 0, 10, 40], [0, 0, 10, 40], [5, 0, 15, 40]], [[9, 9, 11, 11], [1, 0, 11, 40], [40, 0, 50, 40]]
    value = getattr(metrics, metric)(video(*truth), video(*found))
    with_absent = video(*truth, LEFT_OUT_XYXY, LEFT_OUT_XYXY), video(*found, [0, 0, 9, 9], [50, 50, 60, 60])
    assert getattr(metrics, metric)(*with_absent) == value
    with pytest.raises(InvalidValueError) as caught:
        getattr(metrics, metric)(video(truth[0], LEFT_OUT_XYXY), video(*found[:2]))
    assert caught.value.key == "video 0"


def test_average_overlap_is_the_mean_iou_of_the_frames_that_count():
    from armory.metrics.task import video_tracking_mean_iou

    truth, found = [[0, 0, 10, 40], [0, 0, 10, 40], [5, 0, 15, 40]], [[9, 9, 11, 11], [1, 0, 11, 40], [5, 0, 15, 20]]
    (value,) = metrics.average_overlap(video(*truth), video(*found))
    assert value == pytest.approx(video_tracking_mean_iou(video(*truth), video(*found))[0]) and 0.5 < value < 1
    lost = metrics.average_overlap(video(*truth, LOST_XYXY, LOST_XYXY), video(*found, *found[:2]))
    assert lost == [pytest.approx(value / 2)]


@pytest.mark.parametrize("metric", PLAIN)
def test_frames_marked_as_lost_count_as_lost(metric):
    truth, found = [[0, 0, 10, 40]] * 2, [[0, 0, 10, 40]] * 2
    (whole,) = getattr(metrics, metric)(video(*truth), video(*found))
    absent = video(*truth, LOST_XYXY, LOST_XYXY), video(*found, [-2, -2, 0, 0], [0, 0, 10, 40])
    assert getattr(metrics, metric)(*absent) == [pytest.approx(whole / 2)]


def test_every_frame_is_recorded_whatever_counts():
    truth, found = video([0, 0, 10, 40], LEFT_OUT_XYXY, LOST_XYXY), video(*[[0, 0, 10, 40]] * 3)
    assert frame_iou(truth, found) == [[1, 0, 0]]
    assert true_boxes(truth, found) == [[[0, 0, 10, 40], list(LEFT_OUT_XYXY), list(LOST_XYXY)]]


def test_frame_iou_keeps_every_frame_and_its_mean_is_the_mean_iou():
    from armory.metrics.task import video_tracking_mean_iou

    truth, found = video(*[[0, 0, 10, 10]] * 3), video([50, 0, 60, 10], [0, 0, 10, 5], [0, 0, 10, 10])
    (overlaps,) = metrics.frame_iou(truth, found)
    assert json.dumps(overlaps) == "[0.0, 0.5, 1.0]"
    assert mean_frame_iou([overlaps]) == video_tracking_mean_iou(truth, found)[0] == 0.75
    assert mean_frame_iou([overlaps, overlaps[:2]]) == (0.75 + 0.5) / 2


@pytest.mark.parametrize("name", ["Crossing", "Human7"])
@pytest.mark.parametrize("drift", [0.3, 1.5, 6.0])
def test_equal_to_the_toolkits_on_real_boxes(name: str, drift: float, shared_data: Path):
    truth = read_boxes(shared_data / "otb" / name / "groundtruth_rect.txt")
    rng = np.random.default_rng(0)
    walk = rng.normal(0, drift, (len(truth), 2)).cumsum(axis=0)
    found = truth + np.tile(walk, 2) + np.concatenate([0 * walk, rng.uniform(0, 9, walk.shape)], axis=1)
    wanted = toolkit(truth, found)
    assert 0 < wanted[0] < 20 / 21
    for metric, place in PLAIN.items():
        value = getattr(metrics, metric)([{"boxes": truth}], [{"boxes": found}])
        assert value == [pytest.approx(wanted[place], abs=1e-12)]


def test_boxes_are_recorded_as_predicted_and_as_labelled():
    truth = video([0, 0, 10, 10], [1.005, 2, 30, 40])
    found = video([50, 0, 60, 10], [1.23456, 2.5, 30, 40])
    assert metrics.frame_boxes(truth, found) == [[[50, 0, 60, 10], [float(np.float32(1.23456)), 2.5, 30, 40]]]
    assert metrics.true_boxes(truth, found)[0][0] == [0, 0, 10, 10]
    assert json.loads(json.dumps(metrics.frame_boxes(truth, found))) == metrics.frame_boxes(truth, found)


@pytest.mark.parametrize("metric", [*PLAIN, "frame_iou", "frame_boxes", "true_boxes"])
def test_boxes_that_do_not_fit_are_refused(metric: str):
    measure, good = getattr(metrics, metric), video([0, 0, 9, 9], [0, 0, 9, 9])
    refused = [
        (good, video([0, 0, 9, 9]), ("video 0", "(2, 4) and (1, 4)")),
        (good, video([0, 0, 9, 9], [0, 0, 9, np.nan]), ("video 0", "NaN or infinity")),
        (good, good * 2, ("y_pred", "2")),
    ]
    for truth, found, wanted in refused:
        with pytest.raises(InvalidValueError) as caught:
            measure(truth, found)
        assert (caught.value.key, caught.value.got) == wanted


def test_armory_finds_them_and_writes_their_values():
    """Through ARMORY's own meters and writer, two videos of different lengths, as a scenario drives them."""
    from armory.instrument import MetricsLogger, del_globals, get_hub, get_probe
    from armory.logs import log

    del_globals()
    names = [*PLAIN, "frame_iou", "frame_boxes", "true_boxes"]
    tasks = [f"armory_skelevision.metrics.{name}" for name in names]
    logger = MetricsLogger(task=tasks, record_metric_per_sample=True, include_targeted=False)
    lines: list[str] = []
    sink = log.add(lines.append, level="METRIC", format="{message}")
    box, half = [0, 0, 10, 10], [0, 0, 10, 5]
    try:
        for index, frames in enumerate((2, 3)):
            get_hub().set_context(batch=index, stage="benign")
            boxes = video(*[box] * frames)
            get_probe("scenario").update(y=boxes, y_pred=boxes, y_pred_adv=video(box, *[half] * (frames - 1)))
        results = logger.results()
    finally:
        log.remove(sink)
        del_globals()
    assert results["benign_success_auc"] == [[20 / 21], [20 / 21]]
    assert results["adversarial_frame_iou"] == [[[1.0, 0.5]], [[1.0, 0.5, 0.5]]]
    assert results["adversarial_mean_frame_iou"] == [0.5]
    assert results["adversarial_frame_boxes"] == [[[box, half]], [[box, half, half]]]
    assert results["adversarial_true_boxes"] == [[[box, box]], [[box, box, box]]]
    assert (results["benign_tracked_frames"], results["benign_annotated_frames"]) == ([5], [5])
    assert {name for name in results if "mean" in name and "boxes" in name} == set()
    for name in (*PLAIN, "frame_iou"):
        assert {f"benign_mean_{name}", f"adversarial_{name}"} <= results.keys()
    json.dumps(results)
    logged = [line for line in lines if "boxes" in line]
    assert len(logged) == 8 and all(line.strip().endswith(("2 boxes", "3 boxes")) for line in logged)


ALL = [success_auc, precision_20px, normalised_precision, frame_iou, frame_boxes, true_boxes]
BOXES = [[1, 1, 5, 5], [1, 1, 5, 5], [2, 1, 6, 5]]


@pytest.mark.parametrize(
    "metric", [success_auc, precision_20px, normalised_precision, frame_iou, frame_boxes, true_boxes]
)
@pytest.mark.parametrize(
    ("y", "y_pred"),
    [
        ([], []),
        ([{"boxes": BOXES}], []),
        ([{"boxes": BOXES}], [{}]),
        ([{"boxes": BOXES}], [None]),
        ([{"boxes": BOXES}], [{"boxes": None}]),
        ([{"boxes": BOXES}], [{"boxes": "boxes"}]),
        ([{"boxes": BOXES}], [{"boxes": [[1, 2, 3, 4], [1, 2]]}]),
        ([{"boxes": BOXES}], [{"boxes": np.full((3, 4), np.nan)}]),
        ([{"boxes": BOXES}], [{"boxes": np.full((3, 4), np.inf)}]),
        ([{"boxes": BOXES}], [{"boxes": np.ma.masked_greater(np.array(BOXES), 5)}]),
        ([{"boxes": np.full((3, 4), np.nan)}], [{"boxes": BOXES}]),
        ([{"boxes": BOXES}], [{"boxes": np.array(BOXES) > 2}]),
        ([{"boxes": BOXES}], [{"boxes": np.array(BOXES) * 1j}]),
    ],
)
def test_missing_values_are_refused_and_never_averaged_over(metric, y, y_pred):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        metric(y, y_pred)
    assert caught.value.key in ("y_pred", "video 0")


@pytest.mark.parametrize(
    "metric", [success_auc, precision_20px, normalised_precision, frame_iou, frame_boxes, true_boxes]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda boxes: boxes.tolist(),
        torch.from_numpy,
        lambda boxes: torch.from_numpy(boxes).requires_grad_(),
        lambda boxes: boxes.astype(">f4"),
        lambda boxes: np.ascontiguousarray(boxes[:, ::-1])[:, ::-1],
        lambda boxes: boxes.astype(object),
        lambda boxes: boxes.astype(np.uint8),
    ],
)
def test_the_kind_of_boxes_does_not_matter(metric, change):
    boxes = np.array(BOXES, np.float32)
    expected = metric([{"boxes": boxes}], [{"boxes": boxes[::-1].copy()}])
    assert metric([{"boxes": change(boxes)}], [{"boxes": change(boxes[::-1].copy())}]) == expected


@pytest.mark.parametrize(
    "measure", [success_auc, precision_20px, normalised_precision, frame_iou, frame_boxes, true_boxes]
)
def test_corners_the_other_way_round_are_refused(measure):
    right, wrong = video([10, 10, 50, 90], [10, 10, 50, 90]), video([10, 10, 50, 90], [60, 10, 40, 80])
    for pair in ((wrong, right), (right, wrong)):
        with pytest.raises(InvalidValueError) as caught:
            measure(*pair)
        assert caught.value.key == "video 0" and "frame 1" in caught.value.got


def test_normalised_precision_reaches_up_to_a_fifth_of_the_true_size_anywhere_in_the_frame():
    truth = video(*[[100, 400, 150, 480]] * 4)
    # in halves of what is added, exactly .2 of 50 and of 80 pixels; then a little more than .2 of either
    found = video([100, 400, 150, 480], [110, 400, 160, 480], [100, 416, 150, 496], [110.1, 400, 160.1, 480])
    assert metrics.normalised_precision(truth, found) == [0.75]


def test_a_box_has_an_area_wherever_it_is_and_none_without_a_height():
    truth = video([5, 900, 20, 950], [5, 900, 20, 950], [5, 900, 20, 900])
    assert success_auc(truth, truth) == [pytest.approx(2 / 3 * 20 / 21)]
    assert annotated_frames([truth[0]["boxes"].tolist()]) == 2


def test_recorded_boxes_are_not_rounded():
    boxes = video([1.23456, 2, 3, 4], [1, 2, 3.98765, 4])
    assert true_boxes(boxes, boxes) == frame_boxes(boxes, boxes)
    assert np.array_equal(np.float32(true_boxes(boxes, boxes)[0]), boxes[0]["boxes"])


@pytest.mark.parametrize("boxes", [[[0, 0, 5, 5]], [0, 0, 5, 5], [[0, 0, 5], [0, 0, 5]], [[[0, 0, 5, 5]] * 2] * 2])
def test_boxes_of_another_shape_are_refused(boxes):
    with pytest.raises(InvalidValueError) as caught:
        success_auc([{"boxes": boxes}], [{"boxes": boxes}])
    assert caught.value.key == "video 0"
