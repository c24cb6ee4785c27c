"""PCK, OKS and the keypoints' table: on cases done by hand, and OKS against COCO's own evaluation."""

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.metrics.keypoints import SHARE, keypoint_pck, oks, pck, relative_pck
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

BOX = np.array([[10.0, 20.0, 40.0, 60.0]])  # diagonal 50: 10 pixels are within reach
REACH = 50 * SHARE


def person(visible=17, **changes):
    keypoints = np.stack([np.arange(17) + 12.0, np.arange(17) * 2 + 22.0, np.full(17, 2.0)], axis=1)
    keypoints[visible:, 2] = 0
    return {"boxes": BOX, "keypoints": keypoints, "areas": np.array([600.0])} | changes


def moved(label, offsets_x):
    """A prediction with the keypoints of a label, each moved to the right by so many pixels."""
    found = label["keypoints"].copy()
    found[:, 0] += offsets_x
    found[:, 2] = 0.5
    return {"keypoints": found}


def test_pck_counts_what_lies_within_a_fifth_of_the_diagonal() -> None:
    offsets = np.zeros(17)
    offsets[:3] = REACH - 1e-6, REACH + 1e-6, 1e6
    assert pck([person()], [moved(person(), offsets)]) == [pytest.approx(15 / 17)]


def test_what_is_not_labelled_does_not_count() -> None:
    label = person(visible=4)
    offsets = np.r_[0, 0, 0, 100, np.full(13, 1e4)]
    assert pck([label, person()], [moved(label, offsets), moved(person(), 0)]) == [0.75, 1.0]
    assert oks([label], [moved(label, np.r_[0, 0, 0, 0, np.full(13, 1e4)])]) == [1.0]


def test_keypoints_by_name() -> None:
    labels = [person(visible=16), person(visible=16)]
    offsets = np.zeros(17)
    offsets[5] = 100
    table = keypoint_pck(labels, [moved(labels[0], offsets), moved(labels[1], 0)])
    assert list(table) == list(KEYPOINTS)
    assert table["left_shoulder"] == 0.5 and table["nose"] == 1.0 and table["right_ankle"] is None


def test_relative_pck_is_over_all_keypoints() -> None:
    labels = [person(visible=2), person()]
    benign = [moved(labels[0], np.r_[100, np.zeros(16)]), moved(labels[1], 0)]
    attacked = [moved(labels[0], 100), moved(labels[1], np.r_[np.zeros(9), np.full(8, 100)])]
    assert relative_pck(labels, benign, attacked) == pytest.approx(100 * 9 / 18)
    with pytest.raises(InvalidValueError) as caught:
        relative_pck(labels, attacked[:1] * 2, benign)
    assert caught.value.key == "relative_pck"


@pytest.mark.parametrize("seed", range(5))
def test_oks_is_that_of_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (17, 3))
    truth[:, 2] = rng.integers(0, 3, 17)
    truth[0, 2] = 2
    found = truth + rng.normal(0, 4, truth.shape)
    area = float(rng.uniform(200, 4000))
    theirs = _oks_of_pycocotools(truth, found, area)
    (ours,) = oks([{"boxes": BOX, "keypoints": truth, "areas": np.array([area])}], [{"keypoints": found}])
    assert 0.01 < ours < 1
    assert ours == pytest.approx(theirs, abs=1e-9)


def _oks_of_pycocotools(truth, found, area) -> float:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 100, 100]}
    truths, results = COCO(), COCO()
    for coco, points in ((truths, truth), (results, found)):
        coco.dataset = {
            "images": [{"id": 1}],
            "categories": [{"id": 1}],
            "annotations": [
                annotation
                | {"area": area, "keypoints": points.flatten().tolist(), "num_keypoints": 17, "ignore": 0, "score": 1.0}
            ],
        }
        coco.createIndex()
    evaluation = COCOeval(truths, results, "keypoints")
    evaluation._prepare()
    return float(evaluation.computeOks(1, 1)[0, 0])


WITHOUT_AREA = {"boxes": BOX, "keypoints": person()["keypoints"]}


@pytest.mark.parametrize(
    ("metric", "label", "prediction", "key"),
    [
        (pck, person(), [{"boxes": BOX}], "person 0"),
        (pck, person(keypoints=np.zeros((16, 3))), [moved(person(), 0)], "person 0"),
        (pck, person(visible=0), [moved(person(), 0)], "person 0"),
        (oks, WITHOUT_AREA, [moved(person(), 0)], "person 0.areas"),
        (pck, person(), [], "y_pred"),
    ],
)
def test_what_does_not_fit_is_named(metric, label, prediction, key) -> None:
    with pytest.raises(InvalidValueError) as caught:
        metric([label], prediction)
    assert caught.value.key == key


@pytest.mark.parametrize("metric", [pck, oks, keypoint_pck, lambda y, y_pred: relative_pck(y, y_pred, y_pred)])
@pytest.mark.parametrize(
    ("label", "prediction"),
    [
        ({"boxes": BOX * np.nan}, {}),
        ({"boxes": BOX[:, ::-1]}, {}),
        ({"boxes": None}, {}),
        ({"boxes": "box"}, {}),
        ({"boxes": BOX[:0]}, {}),
        ({"keypoints": person()["keypoints"] * np.nan}, {}),
        ({"keypoints": None}, {}),
        ({"areas": np.array([np.nan])}, {}),
        ({"areas": []}, {}),
        ({"areas": "area"}, {}),
        ({}, {"keypoints": np.full((17, 3), np.nan)}),
        ({}, {"keypoints": np.full((17, 1), 3.0)}),
        ({}, {"keypoints": "a"}),
        ({}, {"keypoints": [[1, 2], [3]]}),
    ],
)
def test_missing_values_are_refused_and_never_averaged_over(metric, label, prediction) -> None:
    def measure():
        return metric([person(), person(**label)], [moved(person(), 0), {**moved(person(), 0), **prediction}])

    if ("areas" in label and metric is not oks) or ("boxes" in label and metric is oks):
        measure()  # which does not look at them
        return
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        measure()
    assert caught.value.key.startswith("person 1")


def test_labels_as_lists_are_taken() -> None:
    label = {key: value.tolist() for key, value in person().items()}
    assert (
        pck([label], [{"keypoints": label["keypoints"]}]) == [1.0] == oks([label], [{"keypoints": label["keypoints"]}])
    )


def test_a_keypoint_exactly_within_reach_is_found() -> None:
    label = person(visible=1, boxes=[[10, 20, 40, 60]])
    assert pck([label], [moved(label, REACH)]) == [1.0]


def test_the_first_of_several_boxes_counts_and_one_box_may_be_flat() -> None:
    flat = [500, 20, 530, 60]  # further to the right than down
    for boxes in (flat, [flat], [flat, [0, 0, 1, 1]]):
        label = person(boxes=boxes)
        assert pck([label], [moved(label, REACH - 1e-6)]) == [1.0]
        assert pck([label], [moved(label, REACH + 1e-6)]) == [0.0]


@pytest.mark.parametrize("boxes", [[[10, 20, 10, 60]], [[10, 20, 40, 20]], [[[]]], [[10, 20, 40]], None])
def test_boxes_without_an_area_are_refused(boxes) -> None:
    label = person(boxes=boxes)
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        pck([label], [moved(label, 0)])
    assert caught.value.key == "person 0.boxes"


def test_occluded_keypoints_count_and_confidences_may_be_left_out() -> None:
    label = person()
    label["keypoints"][:, 2] = 1
    assert pck([label], [{"keypoints": label["keypoints"][:, :2]}]) == [1.0]


@pytest.mark.parametrize(
    ("true_shape", "found_shape"),
    [((17, 2), (17, 3)), ((16, 3), (17, 3)), ((17, 3), (16, 3)), ((17, 3), (17, 1)), ((17, 3), (17,))]
    + [((17, 3), (17, 3, 1)), ((17, 3), (1, 17, 3))],
)
def test_keypoints_of_another_shape_are_refused(true_shape, found_shape) -> None:
    with pytest.raises(InvalidValueError) as caught:
        pck([person(keypoints=np.ones(true_shape))], [{"keypoints": np.ones(found_shape)}])
    assert caught.value.key == "person 0"


@pytest.mark.parametrize(("area", "is_right"), [(0.5, True), (0, False), (np.inf, False), (np.nan, False), (-1, False)])
def test_areas_are_above_zero_and_finite(area, is_right) -> None:
    label = person(areas=area)
    if is_right:
        assert oks([label], [moved(label, 0)]) == [1.0]
    else:
        with pytest.raises(InvalidValueError) as caught:
            oks([label], [moved(label, 0)])
        assert caught.value.key == "person 0.areas"
