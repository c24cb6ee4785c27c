"""The scripts that label by teachers and cut people out, with teachers whose answers are known."""

import argparse
import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from handmade_store import make_store

from armory_skelevision.datasets.frame_source import open_frames
from armory_skelevision.datasets.picture_boxes import read_picture_boxes
from armory_skelevision.training.data.loading import describe_pairs
from armory_skelevision.training.data.rendered_pairs.store import RenderedStore, read_sources
from armory_skelevision.training.licence import find_licence
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.validation import InvalidValueError
from scripts import label_keypoints, label_video, split_coco
from scripts.cut_out_people import add_people, read_cutouts
from scripts.label_keypoints import MoveNet, leave_out_others
from scripts.label_video import follow, label, read_chunks
from scripts.person_detector import decode

BOX = np.array([20, 30, 60, 110], np.float32)
FRAMES = [np.full((120, 160, 3), frame, np.uint8) for frame in range(6)]


def make_tracker(there, back):
    """A tracker whose boxes lie to the right of the first box by these pixels, forward and on the way back."""
    turns = []

    def track(frames, box_xyxy):
        turns.append(box_xyxy.tolist())
        offsets = torch.tensor(there if len(turns) % 2 else back[::-1])
        return torch.from_numpy(BOX) + offsets[:, None] * torch.tensor([1.0, 0, 1, 0])

    return SimpleNamespace(track=track, turns=turns)


def test_frames_in_which_both_ways_agree_are_kept():
    tracker = make_tracker([0, 1, 2, 3, 4, 5], [0, 1, 30, 3, 4, 5])
    mean, agrees = follow(tracker, FRAMES, BOX, 0.7)
    assert agrees.tolist() == [True, True, False, True, True, True]
    assert mean[5].tolist() == [25, 30, 65, 110]
    assert tracker.turns == [BOX.tolist(), [25, 30, 65, 110]]  # the way back begins where the other ended


def test_tracks_that_do_not_return_are_left_out():
    assert not follow(make_tracker([0] * 6, [40, 0, 0, 0, 0, 0]), FRAMES, BOX, 0.7)[1].any()


def test_frames_come_in_parts_of_bounded_length():
    parts = list(read_chunks(FRAMES, 2, 2))
    assert [first for first, _ in parts] == [0, 4]
    assert [[int(frame[0, 0, 0]) for frame in frames] for _, frames in parts] == [[0, 2], [4]]


@pytest.fixture
def video(tmp_path):
    for number, frame in enumerate(FRAMES):
        (tmp_path / "video").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f"video/{number:03d}.png"), frame)
    return tmp_path / "video"


def test_labels_of_a_video_are_read_as_people(video, tmp_path):
    options = argparse.Namespace(length=3, every=1, agreement=0.7, min_height=40, out=tmp_path)
    small = np.array([0, 0, 10, 20], np.float32)
    tracker = make_tracker([0, 1, 2], [0, 1, 2])
    (tmp_path / "images").mkdir()
    entries = list(label(lambda frame: np.stack([BOX, small]), tracker, open_frames(video), "a", options))
    assert [entry["frame"] for entry in entries] == list(range(6))
    assert [entry["tracks"] for entry in entries] == [[0]] * 3 + [[1]] * 3
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    people = read_picture_boxes(tmp_path / "boxes.json", tmp_path / "images", "labelled")
    (part,) = people.parts.values()
    assert people.problems == [] and len(part) == 6
    assert {person.teacher for person in part} == {label_video.TEACHER}
    assert part[1].box_xyxy.tolist() == [21, 30, 61, 110]
    assert cv2.imread(str(part[4].picture))[0, 0, 0] == pytest.approx(4, abs=2)


def test_tracks_that_end_without_a_person_are_left_out(video, tmp_path):
    options = argparse.Namespace(length=6, every=1, agreement=0.7, min_height=40, out=tmp_path)
    (tmp_path / "images").mkdir()
    seen = [BOX[None], BOX[None] + 30]  # in the first frame, and in the last
    tracker = make_tracker([0] * 6, [0] * 6)
    assert list(label(lambda frame: seen[int(frame[0, 0, 0] > 2)], tracker, open_frames(video), "a", options)) == []


def test_an_existing_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "boxes.json").write_text("[]")
    options = ["--out", tmp_path, "--detector", "a.onnx", "--tracker", "b.pth"]
    monkeypatch.setattr(sys, "argv", ["label_video", "video.mp4", *map(str, options)])
    with pytest.raises(ValueError, match="boxes.json"):
        label_video.main()
    assert (tmp_path / "boxes.json").read_text() == "[]"


def test_the_detector_takes_cells_with_people():
    output = np.zeros((85, 4, 4), np.float32)
    output[0, 1, 2], output[5, 1, 2] = 0.9, 0.8  # a person whose centre is at the corner of row 1, column 2
    output[0, 3, 3], output[20, 3, 3] = 0.9, 0.9
    boxes_xywh, scores = decode(output)
    best = scores.argmax()
    np.testing.assert_allclose(boxes_xywh[best], [0.5 - 0.25, 0.25 - 0.25, 0.5, 0.5])
    assert scores[best] == pytest.approx(0.9**0.6 * 0.8**0.4)
    assert (scores[np.arange(len(scores)) != best] == 0).all()


class Interpreter:
    """Answers with the brightest pixel of the crop, for each keypoint."""

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"shape": np.array([1, 192, 192, 3]), "index": 0, "dtype": np.uint8}]

    def get_output_details(self):
        return [{"index": 1}]

    def set_tensor(self, index, crop):
        self.crop = cv2.GaussianBlur(crop[0, ..., 0].astype(np.float32), (0, 0), 2)

    def invoke(self):
        pass

    def get_tensor(self, index):
        y, x = np.unravel_index(self.crop.argmax(), self.crop.shape)
        return np.tile(np.array([(y + 0.5) / 192, (x + 0.5) / 192, 0.8]), (1, 1, 17, 1))


@pytest.mark.parametrize("stretch", [1.0, 0.75, 4 / 3])
def test_keypoints_are_found_where_they_are(monkeypatch, stretch):
    monkeypatch.setattr(label_keypoints, "_open", lambda path: Interpreter())
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[98:103, 148:153] = 255
    found = MoveNet("any")(picture, np.array([120, 60, 60, 150]), stretch)
    np.testing.assert_allclose(found[:, :2], [[150, 100]] * 17, atol=2)
    assert (found[:, 2] == 0.8).all()


def test_keypoints_of_others_are_left_out():
    box = np.array([100.0, 100, 50, 100])
    inside = np.tile([120, 150, 0.9], (17, 1))
    size = (400, 400)
    assert (leave_out_others(inside, box, 0.3, size) == inside).all()
    few, many = inside.copy(), inside.copy()
    few[:2, 0], many[:9, 0] = 300, 300
    assert leave_out_others(few, box, 0.3, size)[:, 2].tolist() == [0] * 2 + [0.9] * 15
    assert not leave_out_others(many, box, 0.3, size)[:, 2].any()


def test_keypoints_beyond_the_picture_are_left_out():
    keypoints = np.tile([90.0, 150, 0.9], (17, 1))
    keypoints[0, 0] = 103
    found = leave_out_others(keypoints, np.array([60.0, 100, 42, 100]), 0.3, (102, 200))
    assert found[:, 2].tolist() == [0] + [0.9] * 16


def test_keypoints_are_added_to_the_entries(monkeypatch, tmp_path):
    monkeypatch.setattr(label_keypoints, "_open", lambda path: Interpreter())
    picture = np.zeros((200, 200, 3), np.uint8)
    picture[98:103, 98:103] = 255
    cv2.imwrite(str(tmp_path / "a.jpg"), picture)
    (tmp_path / "boxes.json").write_text(json.dumps([{"file": "a.jpg", "boxes_xywh": [[80, 60, 40, 100]]}]))
    options = [tmp_path / "boxes.json", "--out", tmp_path / "new.json", "--movenet", "any", "--stretched"]
    monkeypatch.setattr(sys, "argv", ["label_keypoints", *map(str, options)])
    label_keypoints.main()
    (part,) = read_picture_boxes(tmp_path / "new.json", tmp_path, "labelled", stretched=True).parts.values()
    assert part[0].teacher == "MoveNet" and part[0].stretch == pytest.approx(4 / 3)
    np.testing.assert_allclose(part[0].keypoints, [[100 * 4 / 3, 100, 2]] * 17, atol=3)


def make_masks(root, name, rows=range(20, 110), truth=None, value=1):
    for number in range(3):
        for kind in ("img", "mask"):
            (root / name / kind).mkdir(parents=True, exist_ok=True)
        mask = np.zeros((120, 160), np.uint8)
        mask[rows.start : rows.stop, 50 + number : 80] = value
        mask[5:10, 5:10] = 9 if truth else 0
        cv2.imwrite(str(root / name / f"img/{number:05d}.png"), np.where(mask[..., None] > 0, 200, 30) * np.ones(3))
        cv2.imwrite(str(root / name / f"mask/{number:05d}.png"), mask)
    if truth:
        (root / name / truth).write_text("")


def test_cutouts_join_the_people_of_a_store(tmp_path):
    store = make_store(tmp_path / "store", people=2, views=1, scenes=1)
    make_masks(tmp_path / "videos", "dance", truth="object2_rect.txt", value=2)
    make_masks(tmp_path / "videos", "cut_off", rows=range(20, 119))
    make_masks(tmp_path / "videos", "far", rows=range(20, 60))
    arguments = {"root": tmp_path / "videos", "store": store, "source": "mine", "only": None, "every": 2}
    options = argparse.Namespace(**arguments, min_height=80)
    assert [add_people(options), add_people(options)] == [2, 0]
    read = RenderedStore(store)
    assert read.problems == () and [len(views) for views in read.people] == [1, 1, 2]
    first, second = read.people[2]
    assert [round(cutout.size[0]) for cutout in (first, second)] == [30, 28]
    assert first.size[1] == 90 and not first.keypoints.any()
    assert first.levels[0][45, 15].tolist() == [200, 200, 200, 255] and first.levels[0][1, 1, 3] == 0
    assert read_sources(store) == ("mine",)
    assert describe_pairs(str(store)) == "composed pairs of rendered people and of real ones (mine)"
    settings = MultitaskSettings(str(store), "b", "c")
    assert find_licence(settings) == "terms of the pictures of mine"


def test_masks_that_do_not_fit_are_refused(tmp_path):
    make_masks(tmp_path, "dance")
    (tmp_path / "dance/mask/00001.png").unlink()
    with pytest.raises(ValueError, match="a mask for each image"):
        list(read_cutouts(tmp_path / "dance", 1, 80))


def test_pictures_are_kept_out_with_all_their_people(monkeypatch, tmp_path, capsys):
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in (3, 4, 6, 8)]
    people = [{"id": 10 * number + each, "image_id": number} for number in (3, 4, 4, 8) for each in (0, 1)]
    whole = {"images": images, "annotations": people, "categories": [{"id": 1}]}
    (tmp_path / "people.json").write_text(json.dumps(whole))
    monkeypatch.setattr(sys, "argv", ["split_coco", str(tmp_path / "people.json"), "--out", str(tmp_path / "out")])
    split_coco.main()
    train, val = (json.loads((tmp_path / f"out/people_{name}.json").read_text()) for name in ("train", "val"))
    assert [[image["id"] for image in part["images"]] for part in (train, val)] == [[3, 6], [4, 8]]
    assert [{person["image_id"] for person in part["annotations"]} for part in (train, val)] == [{3}, {4, 8}]
    assert len(train["annotations"]) + len(val["annotations"]) == len(people)
    assert train["categories"] == val["categories"] == whole["categories"]
    assert capsys.readouterr().out.splitlines()[1].startswith("6 people in 2 pictures")
    with pytest.raises(InvalidValueError):  # nothing is overwritten
        split_coco.main()
