"""People in single pictures and in sequences, as training data, and annotations that cannot be used."""

import json

import cv2
import numpy as np
import pytest
from people_data import SIZE, draw_picture, make_lasot

from armory_skelevision.datasets.aspects import estimate_aspect
from armory_skelevision.datasets.open_images import read_open_images
from armory_skelevision.datasets.picture_boxes import read_picture_boxes
from armory_skelevision.datasets.sequence_people import read_sequence_people
from armory_skelevision.io.images import read_size
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOX = [100, 60, 40, 100]


def persons_of(people):
    return [person for part in people.parts.values() for person in part]


def write_boxes(root, entries, **options):
    """The people that are read from a file with these entries; pictures are drawn where there are none."""
    (root / "images").mkdir(exist_ok=True)
    for entry in entries:
        if (
            isinstance(entry, dict)
            and isinstance(entry.get("file"), str)
            and not (root / "images" / entry["file"]).exists()
        ):
            draw_picture(root / "images" / entry["file"], (100, 60, 140, 160))
    (root / "boxes.json").write_text(json.dumps(entries))
    return read_picture_boxes(root / "boxes.json", root / "images", "mine", **options)


def test_boxes_of_pictures_are_read(tmp_path):
    people = write_boxes(
        tmp_path,
        [
            {"file": "b.jpg", "boxes_xywh": [BOX, [1, 2, 3, 40], [1, 2, 30, 19]], "confirmed": [1, 0, 1]},
            {"file": "a.jpg", "boxes_xywh": [BOX], "tracks": [7], "frame": 3, "teacher": "a net"},
        ],
    )
    first, second = persons_of(people)
    assert (people.name, people.problems) == ("mine", [])
    assert [person.picture.name for person in (first, second)] == ["a.jpg", "b.jpg"]
    assert first.box_xyxy.tolist() == [100, 60, 140, 160]
    assert (first.track, first.frame, first.teacher) == (7, 3, "a net")
    assert (second.frame, second.teacher, second.stretch) == (0, "", 1.0)
    assert not second.keypoints.any()


def test_confident_keypoints_are_read(tmp_path):
    keypoints = [[100 + k, 60, 0.3 + 0.1 * (k % 2)] for k in range(17)]
    (person,) = persons_of(write_boxes(tmp_path, [{"file": "a.jpg", "boxes_xywh": [BOX], "keypoints": [keypoints]}]))
    assert person.keypoints[1].tolist() == [101, 60, 2]
    assert not person.keypoints[::2].any() and (person.keypoints[1::2, 2] == 2).all()


GOOD = {"file": "a.jpg", "boxes_xywh": [BOX]}


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ([], "entry"),
        (GOOD | {"bokses": 1}, "bokses"),
        (GOOD | {"file": "../a.jpg"}, "file"),
        (GOOD | {"file": "/a.jpg"}, "file"),
        (GOOD | {"file": 3}, "file"),
        (GOOD | {"boxes_xywh": [1, 2]}, "boxes_xywh"),
        (GOOD | {"boxes_xywh": [[1, 2, 3, 0]]}, "boxes_xywh"),
        (GOOD | {"boxes_xywh": [[1, 2, "3", 4]]}, "boxes_xywh"),
        (GOOD | {"tracks": [1, 2]}, "tracks"),
        (GOOD | {"tracks": [1.5]}, "tracks"),
        (GOOD | {"confirmed": [-1]}, "confirmed"),
        (GOOD | {"frame": "x"}, "frame"),
        (GOOD | {"teacher": 1}, "teacher"),
        (GOOD | {"keypoints": [[[1, 2, 0.5]] * 16]}, "keypoints"),
        (GOOD | {"keypoints": [[[1, 2, 2]] * 17]}, "keypoints"),
    ],
)
def test_entries_that_cannot_be_used_are_listed(tmp_path, entry, key):
    people = write_boxes(tmp_path, [{"file": "good.jpg", "boxes_xywh": [BOX]}, entry])
    assert len(persons_of(people)) == 1
    (problem,) = people.problems
    assert problem.startswith("boxes.json, entry 1") and f" {key}: expected" in problem


@pytest.mark.parametrize("entries", [{}, [], [GOOD, GOOD], [GOOD, {"file": "./a.jpg", "boxes_xywh": [BOX]}]])
def test_files_that_are_no_list_of_pictures(tmp_path, entries):
    with pytest.raises(InvalidValueError) as caught:
        write_boxes(tmp_path, entries)
    assert caught.value.key == str(tmp_path / "boxes.json")


@pytest.mark.parametrize(
    ("aspects", "expected"), [([0.35, 0.4], 4 / 3), ([0.9, 1.1], 3 / 4), ([0.5], 4 / 3), ([0.35, 1.2], 4 / 3)]
)
def test_stretching_is_undone_by_the_people(aspects, expected):
    for scale in (1, 100):
        sizes_wh = np.array([[aspect * scale, scale] for aspect in aspects])
        assert estimate_aspect(sizes_wh) == pytest.approx(expected)


def test_most_squeezed_pictures_are_recognised(shared_data):
    folder = shared_data.parent / "training" / "coco128_persons"
    if not folder.is_dir():
        pytest.skip(f"no pictures at {folder}")
    right, errors = [], []
    for entry in json.loads((folder / "boxes.json").read_text()):
        width, height = read_size(folder / "images" / entry["file"])
        found = estimate_aspect(np.array(entry["boxes_xywh"])[:, 2:] / (width, height))
        right += [(found > 1) == (width > height)] if width != height else []
        errors.append(np.log(found * height / width))
    assert np.mean(right) > 0.8
    assert abs(np.mean(errors)) < 0.05 and np.mean(np.abs(errors)) < 0.2


def test_stretched_pictures_must_be_squares(tmp_path):
    with pytest.raises(InvalidValueError, match="stretched to a square"):
        write_boxes(tmp_path, [GOOD], stretched=True)
    picture = np.zeros((400, 400, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "images/s.jpg"), picture)
    (person,) = persons_of(
        write_boxes(tmp_path, [{"file": "s.jpg", "boxes_xywh": [[100, 60, 40, 100]]}], stretched=True)
    )
    assert person.stretch == pytest.approx(4 / 3)
    np.testing.assert_allclose(person.box_xyxy, [100 * 4 / 3, 60, 140 * 4 / 3, 160], rtol=1e-6)


HEAD = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"


def row(name="a", label="/m/01g317", corners="0.25,0.5,0.25,0.75", group=0, depiction=0):
    return f"{name},xclick,{label},1,{corners},0,0,{group},{depiction},0\n"


def open_images(root, *rows, head=HEAD):
    draw_picture(root / "images/a.jpg", (80, 60, 160, 180))
    (root / "boxes.csv").write_text(head + "".join(rows))
    return read_open_images(root / "boxes.csv", root / "images")


def test_people_of_open_images(tmp_path):
    people = open_images(
        tmp_path,
        row(),
        row(label="/m/04yx4"),  # the same person, called a man
        row(label="/m/03bt1vf", corners="0.5,1,0,1"),
        row(label="/m/01yrx"),
        row(corners="0,1,0,1", group=1),
        row(corners="0,1,0,0.5", depiction=1),
        row(name="elsewhere"),
        row(corners="0,1,0.5,0.51"),
    )
    assert people.problems == [] and people.name == "open-images-boxes"
    found = [person.box_xyxy.tolist() for person in persons_of(people)]
    width, height = SIZE
    assert found == [[width / 4, height / 4, width / 2, 3 * height / 4], [width / 2, 0, width, height]]
    assert len({person.track for person in persons_of(people)}) == 2


@pytest.mark.parametrize("corners", ["0.5,0.25,0,1", "x,1,0,1", "0,1,0,1.5", ",,,", "nan,1,0,1"])
def test_damaged_lines_of_open_images_are_listed(tmp_path, corners):
    people = open_images(tmp_path, row(), row(corners=corners))
    assert len(persons_of(people)) == 1
    assert len(people.problems) == 1 and people.problems[0].startswith("boxes.csv:3: XMin")


def test_other_files_than_those_of_open_images(tmp_path):
    for rows, head in [((row(),), HEAD.replace("XMin", "X1")), ((), HEAD), ((row(name="b"),), HEAD)]:
        with pytest.raises(InvalidValueError) as caught:
            open_images(tmp_path, *rows, head=head)
        assert caught.value.key == str(tmp_path / "boxes.csv")


def make_plain(root, name, rows, truth="groundtruth_rect.txt"):
    for frame in range(len(rows)):
        draw_picture(root / name / f"img/{frame:05d}.jpg", (20, 30, 60, 90), seed=frame)
    (root / name / truth).write_text("".join(f"{line}\n" for line in rows))


def test_sequences_are_people(tmp_path):
    make_plain(tmp_path, "walk", ["20,30,40,60", "nan,nan,nan,nan", "22.5,30,40,60"])
    make_plain(tmp_path, "run", ["1,2,30,40"] * 5, truth="object2_rect.txt")
    make_plain(tmp_path, "kept", ["1,2,30,40"])
    people = read_sequence_people(tmp_path, "plain", "mine", without=["kept"])
    assert people.problems == [] and list(people.parts) == ["run", "walk"]
    assert [person.box_xyxy.tolist() for person in people.parts["walk"]] == [[20, 30, 60, 90], [22.5, 30, 62.5, 90]]
    assert [person.frame for person in people.parts["walk"]] == [0, 2]
    assert len({person.track for person in persons_of(people)}) == 2
    every = read_sequence_people(tmp_path, "plain", "mine", only=["run"], every=2)
    assert [person.frame for person in persons_of(every)] == [0, 2, 4]


def test_benchmarks_are_read_in_their_layout(tmp_path):
    make_plain(tmp_path, "walk", ["21,31,40,60"] * 2)
    (first, _) = persons_of(read_sequence_people(tmp_path, "otb", "otb"))
    assert first.box_xyxy.tolist() == [20, 30, 60, 90]  # OTB's first pixel is 1
    make_lasot(tmp_path / "lasot", frames=2, sequences=2)
    people = read_sequence_people(tmp_path / "lasot", "lasot", "lasot")
    assert list(people.parts) == ["person-1", "person-2"] and people.problems == []


def test_sequences_that_cannot_be_used_are_listed(tmp_path):
    make_plain(tmp_path, "good", ["20,30,40,60"])
    make_plain(tmp_path, "short", ["20,30,40,60"])
    (tmp_path / "short/groundtruth_rect.txt").write_text("20,30,40,60\n" * 2)
    make_plain(tmp_path, "words", ["20,30,forty,60"])
    people = read_sequence_people(tmp_path, "plain", "mine")
    assert list(people.parts) == ["good"]
    assert [problem.split(" is left out")[0] for problem in people.problems] == ["mine short", "mine words"]
    assert "groundtruth_rect.txt:1" in people.problems[1]


def test_unknown_sequences_are_refused(tmp_path):
    make_plain(tmp_path, "walk", ["nan,nan,nan,nan"])
    for options in ({"only": ["wolk"]}, {"without": ["wolk"]}):
        with pytest.raises(MissingFileError, match="walk"):
            read_sequence_people(tmp_path, "plain", "mine", **options)
    with pytest.raises(InvalidValueError):
        read_sequence_people(tmp_path, "plain", "mine")


def test_commands_cut_crops(run, tmp_path):
    make_plain(tmp_path / "videos", "walk", ["20,30,40,60"] * 2)
    write_boxes(tmp_path, [GOOD])
    open_images(tmp_path, row())
    store = tmp_path / "store"
    sequences = ["sequences", "--root", tmp_path / "videos", "--layout", "plain"]
    pictures = ["pictures", "--boxes", tmp_path / "boxes.json", "--images", tmp_path / "images", "--name", "mine"]
    boxes = ["open-images", "--boxes", tmp_path / "boxes.csv", "--images", tmp_path / "images"]
    for arguments in (sequences, pictures, boxes):
        assert run("data", "crops", *arguments, "--out", store)[0] == 0
    names = ["mine-00000", "open-images-boxes-00000", "videos-walk"]
    assert sorted(path.stem for path in store.glob("*.safetensors")) == names
    assert run("data", "crops", *sequences[:-1], "tape", "--out", store)[0] == 2
    assert run("data", "crops", *pictures[:-1], "a/b", "--out", store)[0] == 1
