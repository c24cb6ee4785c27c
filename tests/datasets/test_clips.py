"""People as single images and short clips: batches, and options that are refused."""

import json

import numpy as np
import pytest
from people_data import make_coco, save_coco

from armory_skelevision.datasets import coco_people, walker_people
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.validation import InvalidValueError, MissingFileError

COCO = {"annotations": "people.json", "images": "images"}


def test_coco_gives_one_image_each(tmp_path) -> None:
    content = make_coco(tmp_path, count=3)
    data = coco_people(root=tmp_path, dataset_dir=tmp_path, **COCO)
    assert len(data) == 3 and data.context.frame_rate > 0
    x, (labels, metadata) = next(data)
    assert x.shape == (1, 1, 240, 320, 3) and x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1
    assert metadata == {}
    np.testing.assert_array_equal(labels[0]["boxes"], [[100, 60, 140, 160]])
    assert labels[0]["keypoints"].shape == (17, 3)
    np.testing.assert_array_equal(labels[0]["keypoints"][0], [100.5, 60.5, 2])
    assert labels[0]["areas"] == content["annotations"][0]["area"]
    assert len(list(data)) == 2


def test_slices_index_and_epochs(tmp_path) -> None:
    make_coco(tmp_path, count=4)

    def lefts(**options):
        data = coco_people(root=tmp_path, dataset_dir=tmp_path, **COCO, **options)
        return [int(labels[0]["boxes"][0, 0]) for _, (labels, _) in data]

    assert lefts(split="val[1:3]") == [105, 110]
    assert lefts(split="val[2]") == [110]
    assert lefts(index=[3, 0]) == [100, 115]
    assert lefts(split="val[1:]", index="[0:1]") == [105]
    assert lefts(split="val[0:2]", epochs=2) == [100, 105] * 2
    mixed = lefts(shuffle_files=True)
    assert sorted(mixed) == [100, 105, 110, 115] and mixed == lefts(shuffle_files=True)
    for options in ({"split": "val[9:]"}, {"index": [4]}, {"index": "first"}, {"split": "train"}):
        with pytest.raises(InvalidValueError) as caught:
            lefts(**options)
        assert caught.value.key in options


def test_invalid_annotations_are_refused(tmp_path) -> None:
    content = make_coco(tmp_path)
    content["annotations"][1]["bbox"] = [0, 0, 0, 0]
    save_coco(tmp_path, content)
    with pytest.raises(InvalidValueError) as invalid:
        coco_people(root=tmp_path, dataset_dir=tmp_path, **COCO)
    assert invalid.value.key == "annotations" and "annotation 101" in invalid.value.got
    with pytest.raises(MissingFileError) as missing:
        coco_people(root=tmp_path, dataset_dir=tmp_path)
    assert missing.value.key == str(tmp_path / "val2017")
    with pytest.raises(InvalidValueError) as unknown:
        coco_people(root=tmp_path, dataset_dir=tmp_path, colour="red", **COCO)
    assert unknown.value.key == "colour"


@pytest.mark.parametrize("spoil", ["missing", "outside"])
def test_what_would_end_an_evaluation_is_found_before(tmp_path, spoil) -> None:
    content = make_coco(tmp_path)
    if spoil == "missing":
        (tmp_path / "images/000000000001.jpg").unlink()
    else:
        content["annotations"][1]["bbox"][0] = 310
        save_coco(tmp_path, content)
    with pytest.raises(InvalidValueError) as caught:
        coco_people(root=tmp_path, dataset_dir=tmp_path, **COCO)
    assert caught.value.key == "annotations" and "COCO annotation 101 on " in caught.value.got


def test_walkers_are_cut_into_clips() -> None:
    truth = read_split(SPLITS / "mini")[0]
    data = walker_people("mini", every=15, max_frames=3)
    starts = [len(range(0, len(video.boxes_xyxy) - 2, 15)) for video in read_split(SPLITS / "mini")]
    assert len(data) == sum(starts)
    frames = truth.read_frames()
    for start in (0, 15):
        x, (labels, _) = next(data)
        np.testing.assert_allclose(x[0], frames[start : start + 3] / np.float32(255))
        np.testing.assert_array_equal(labels[0]["boxes"], truth.boxes_xyxy[start : start + 3])
        np.testing.assert_array_equal(labels[0]["keypoints"], truth.keypoints[start])
    with pytest.raises(InvalidValueError) as caught:
        walker_people("mini", every=0)
    assert caught.value.key == "every"
    with pytest.raises(InvalidValueError) as caught:
        walker_people("test")
    assert (caught.value.key, caught.value.expected) == ("split", "'dev' or 'mini'")


def test_real_people_of_coco(shared_data) -> None:
    root = shared_data / "keypoints" / "coco_val_mini"
    data = coco_people(root=root, dataset_dir=root.parent, annotations="test_coco.json", images=".")
    labels = [labels[0] for _, (labels, _) in data]
    assert len(labels) == 12 and all((label["keypoints"][:, 2] > 0).sum() > 5 for label in labels)
    content = json.loads((root / "test_coco.json").read_text())
    areas = [annotation["area"] for annotation in content["annotations"]]
    for label in labels:
        assert np.isclose(label["areas"], areas, rtol=1e-6).any()
