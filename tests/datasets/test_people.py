"""People selected from COCO and LaSOT, and annotations that cannot be used."""

import json
import os

import numpy as np
import pytest
from people_data import annotate, make_coco, make_lasot, save_coco

from armory_skelevision.datasets import coco, coco_tables
from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.lasot import read_lasot
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOX = (10, 20, 50, 100)


def read(root):
    return read_coco(root / "people.json", root / "images")


def persons_of(people):
    return [person for part in people.parts.values() for person in part]


def test_coco_reads_boxes_and_keypoints(tmp_path):
    content = make_coco(tmp_path, 2)
    content["annotations"][0]["keypoints"][2] = 1
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert (people.name, people.problems) == ("coco-people", [])
    first, second = persons_of(people)
    assert first.picture == tmp_path / "images/000000000000.jpg"
    assert (first.size, first.frame) == ((320, 240), 0)
    assert first.track != second.track and first.area == content["annotations"][0]["area"]
    assert first.keypoints.dtype == first.box_xyxy.dtype == np.float32
    assert (first.name, second.name) == ("COCO annotation 100", "COCO annotation 101")
    assert second.box_xyxy.tolist() == [105, 60, 145, 160]
    # COCO names the pixel, whose middle is half a pixel from its edge
    assert first.keypoints[[0, 3]].tolist() == [[100.5, 60.5, 1], [103.5, 60.5, 2]]


def test_coco_chooses_as_the_paper_does(tmp_path):
    content = make_coco(tmp_path, 1)
    content["categories"].append({"id": 2, "name": "dog"})
    content["annotations"] += [
        annotate(0, BOX, id=1, labelled=6),
        annotate(0, BOX, id=2, labelled=5),
        annotate(0, BOX, id=3, iscrowd=1),
        annotate(0, BOX, id=4, area=16),
        annotate(0, BOX, id=5, area=16.5),
        annotate(0, BOX, id=6, category_id=2),
        annotate(0, BOX, id=7, area=1),
        annotate(0, BOX, id=8, area=3361),
    ]
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert [person.track for person in persons_of(people)] == [1, 5, 8, 100]
    assert not persons_of(people)[0].keypoints[6:].any()
    assert people.problems == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image_id": 77}, "image_id: expected an image of the file, got 77"),
        ({"bbox": [1, 2, 0, 5]}, "bbox: expected x y w h of positive area, got [1, 2, 0, 5]"),
        ({"bbox": [1, 2, 1e39, 5]}, "bbox: expected numbers of at most 1,000,000, got 1e+39"),
        ({"bbox": "wide"}, "bbox: expected numbers (4,), got 'wide'"),
        ({"bbox": ["1", "2", "3", "4"]}, "bbox: expected numbers of at most 1,000,000, got '1'"),
        ({"bbox": [True, 2, 3, 4]}, "bbox: expected numbers of at most 1,000,000, got True"),
        ({"bbox": [1, 2, None, 4]}, "bbox: expected numbers of at most 1,000,000, got None"),
        ({"bbox": [1, 2, 3, 4, 5]}, "bbox: expected numbers (4,), got (5,)"),
        ({"bbox": []}, "bbox: expected numbers (4,), got (0,)"),
        ({"keypoints": [1, 2, 2] * 16}, "keypoints: expected numbers (51,), got (48,)"),
        ({"keypoints": [1, 2, 3] * 17}, "keypoints: expected visibilities 0, 1 or 2, got [3.0]"),
        ({"num_keypoints": 9}, "num_keypoints: expected 17 as labelled, got 9"),
        ({"keypoints": None}, "keypoints: expected numbers (51,), got None"),
        ({"num_keypoints": None}, "num_keypoints: expected 17 as labelled, got None"),
        ({"num_keypoints": 0}, "num_keypoints: expected 17 as labelled, got 0"),
        ({"keypoints": [1, 2, 0] * 17}, "num_keypoints: expected 0 as labelled, got 17"),
        ({"area": 0}, "area: expected 1 to 3361 pixels, since the box has 3200, got 0"),
        ({"area": 0.03}, "area: "),
        ({"area": 99_999}, "area: "),
        ({"area": "3200"}, "area: "),
        ({"area": None}, "area: "),
        ({"iscrowd": None}, "iscrowd: "),
        ({"iscrowd": 2}, "iscrowd: "),
        ({"iscrowd": False}, "iscrowd: "),
        ({"category_id": 77}, "category_id: expected a category of the file, got 77"),
        ({"category_id": [1]}, "category_id: expected a category of the file, got [1]"),
        ({"image_id": True}, "image_id: expected an image of the file, got True"),
    ],
)
def test_coco_lists_annotations_that_cannot_be_right(tmp_path, changes, problem):
    content = make_coco(tmp_path, 1)
    content["annotations"].append(annotate(0, BOX) | {"id": 7} | changes)
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert [person.track for person in persons_of(people)] == [100]
    assert len(people.problems) == 1
    on = " on 000000000000.jpg" if "image_id" not in changes else ""
    assert people.problems[0].startswith(f"people.json, annotation 7{on}: {problem}")


def change(section, number, **values):
    return lambda content: content[section][number].update(values)


@pytest.mark.parametrize(
    ("spoil", "key", "got"),
    [
        (change("annotations", 1, id=100), "people.json: annotations", "several with 100"),
        (
            lambda content: [a.update(id=1) for a in content["annotations"]],
            "people.json: annotations",
            "several with 1",
        ),
        (change("images", 1, id=0), "people.json: images", "several with 0"),
        (change("images", 1, file_name="000000000000.jpg"), "people.json: images", "several with 000000000000.jpg"),
        (lambda content: content["categories"].append({"id": 1, "name": "dog"}), "people.json: categories", "several"),
        (lambda content: content["categories"].append({"id": 2, "name": "person"}), "people.json", "2 of them"),
        (lambda content: content["categories"].clear(), "people.json", "0 of them"),
        (change("categories", 0, keypoints=["left_eye", "nose"]), "people.json: categories", "['left_eye', 'nose']"),
        (change("images", 0, id=None), "people.json: images[0].id", "None"),
        (change("images", 0, id=[0]), "people.json: images[0].id", "[0]"),
        (change("images", 0, id=True), "people.json: images[0].id", "True"),
        (lambda content: content["annotations"].append(7), "people.json: annotations[4]", "7"),
        (lambda content: content.update(images={}), "people.json", "no list images"),
        (change("annotations", 0, bbox=[0, 0, float("nan"), 1]), "people.json", "NaN is not a number in JSON"),
    ],
)
def test_coco_refuses_files_whose_entries_cannot_be_told_apart(tmp_path, spoil, key, got):
    content = make_coco(tmp_path)
    spoil(content)
    save_coco(tmp_path, content)
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path)
    assert caught.value.key == str(tmp_path / key) and caught.value.got.startswith(got)
    if got.startswith("several"):
        name = "file_name" if ".jpg" in got else "id"
        assert caught.value.expected == f"another {name} for each entry"
        assert ("number them anew" in caught.value.fix) is (name == "id")


def test_coco_files_are_bounded(tmp_path, monkeypatch):
    make_coco(tmp_path, 1)
    size = (tmp_path / "people.json").stat().st_size
    monkeypatch.setattr(coco_tables, "MAX_BYTES", size)
    assert len(persons_of(read(tmp_path))) == 1
    monkeypatch.setattr(coco_tables, "MAX_BYTES", size - 1)
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path)
    assert caught.value.expected == f"at most {size - 1} bytes"


@pytest.mark.parametrize(
    "key", ["id", "image_id", "category_id", "iscrowd", "area", "bbox", "keypoints", "num_keypoints"]
)
def test_coco_lists_annotations_that_lack_something(tmp_path, key):
    content = make_coco(tmp_path, 2)
    del content["annotations"][0][key]
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert [person.track for person in persons_of(people)] == [101]
    name = "annotations[0]" if key == "id" else "annotation 100"
    on = "" if key == "image_id" else " on 000000000000.jpg"
    assert len(people.problems) == 1 and people.problems[0].startswith(f"people.json, {name}{on}: {key}: ")


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside.jpg", "a/../../outside.jpg", "", 3, None, "a\0b"])
def test_coco_reads_only_pictures_in_their_folder(tmp_path, name):
    content = make_coco(tmp_path, 2)
    content["images"][0]["file_name"] = name
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert [person.track for person in persons_of(people)] == [101]
    assert len(people.problems) == 1 and "file_name: " in people.problems[0]


@pytest.mark.parametrize("key", ["width", "height"])
def test_coco_lists_people_on_pictures_without_a_size(tmp_path, key):
    content = make_coco(tmp_path, 2)
    content["images"][0][key] = 0
    save_coco(tmp_path, content)
    (problem,) = read(tmp_path).problems
    assert problem.startswith(f"people.json, annotation 100 on 000000000000.jpg: {key}: ")


def test_coco_reads_other_kinds_of_ids_and_no_keypoints_of_dogs(tmp_path):
    content = make_coco(tmp_path, 2)
    content["images"][0]["id"] = content["annotations"][0]["image_id"] = "first"
    content["categories"].append({"id": 2, "name": "dog"})
    content["annotations"] += [{"id": 1, "category_id": 2}, annotate(1, BOX, id=2, iscrowd=1, keypoints=[])]
    save_coco(tmp_path, content)
    people = read(tmp_path)
    assert [person.track for person in persons_of(people)] == [100, 101] and people.problems == []


def test_coco_is_read_in_parts(tmp_path, monkeypatch):
    content = make_coco(tmp_path, 3)
    content["annotations"].append(annotate(0, BOX, id=7))
    save_coco(tmp_path, content)
    monkeypatch.setattr(coco, "IMAGES_PER_PART", 2)
    parts = {name: [person.track for person in part] for name, part in read(tmp_path).parts.items()}
    assert parts == {"00000": [7, 100, 101], "00001": [102]}


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"images": [], "annotations": [{"id": 1}]}'])
def test_other_files_are_refused(tmp_path, text):
    make_coco(tmp_path, 1)
    (tmp_path / "people.json").write_text(text)
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path)
    assert caught.value.key == str(tmp_path / "people.json")


def test_coco_without_people_or_pictures(tmp_path):
    content = make_coco(tmp_path, 1)
    save_coco(tmp_path, content | {"annotations": []})
    with pytest.raises(InvalidValueError) as invalid:
        read(tmp_path)
    assert invalid.value.expected == "persons with more than 5 keypoints"
    # annotations of objects, not of keypoints
    save_coco(tmp_path, content | {"annotations": [annotate(0, BOX) | {"num_keypoints": None}]})
    with pytest.raises(InvalidValueError) as invalid:
        read(tmp_path)
    assert invalid.value.got.startswith("none; 1 cannot be read, the first: people.json, annotation 100 on ")
    for annotations, images in (("people.json", "nowhere"), ("nowhere.json", "images")):
        with pytest.raises(MissingFileError) as missing:
            read_coco(tmp_path / annotations, tmp_path / images)
        assert "nowhere" in missing.value.key


def test_real_coco_annotations(shared_data):
    folder = shared_data / "keypoints/coco_val_mini"
    people = read_coco(folder / "test_coco.json", folder)
    chosen = {a["id"] for a in json.loads((folder / "test_coco.json").read_text())["annotations"]} - {1202706, 508900}
    assert {person.track for person in persons_of(people)} == chosen
    assert len(chosen) == 12
    inside = []
    for person in persons_of(people):
        labelled = person.keypoints[person.keypoints[:, 2] > 0, :2]
        assert len(labelled) > 5
        inside += ((labelled > person.box_xyxy[:2]) & (labelled < person.box_xyxy[2:])).all(axis=1).tolist()
    # COCO's boxes are those of what is seen, and most keypoints lie in them
    assert np.mean(inside) > 0.95


def test_lasot_divides_and_leaves_out_frames_without_the_person(tmp_path):
    make_lasot(tmp_path, frames=2)
    folder = tmp_path / "person-3"
    lines = ["10,20,30,40"] * 905
    lines[4] = "0,0,0,0"
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    flags = np.zeros((2, 905), int)
    flags[0, 801] = flags[1, 7] = 1
    for name, row in zip(("full_occlusion.txt", "out_of_view.txt"), flags, strict=True):
        (folder / name).write_text(",".join(map(str, row)))
    train = read_lasot(tmp_path, "train")
    assert (train.name, len(train.parts), train.problems) == ("lasot-train", 20, [])
    frames = [person.frame for person in train.parts["person-3"]]
    assert frames == [i for i in range(800) if i not in (4, 7)]
    person = train.parts["person-3"][0]
    assert person.box_xyxy.tolist() == [10, 20, 40, 60]
    assert person.picture == folder / "img/00000001.jpg"
    assert (person.name, person.track, person.size) == ("LaSOT person-3, frame 1", 3, None)
    assert person.keypoints.shape == (17, 3) and not person.keypoints.any()
    assert person.keypoints.dtype == person.box_xyxy.dtype == np.float32
    val = read_lasot(tmp_path, "val")
    assert [person.frame for person in val.parts["person-3"]] == [i for i in range(800, 900) if i != 801]
    assert val.parts["person-1"] == []


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("groundtruth.txt", "1,2,3\n", "groundtruth.txt:1: expected four numbers x y w h"),
        ("groundtruth.txt", "1,2,3,4\n1,2,3,four\n", "groundtruth.txt:2: expected four numbers x y w h"),
        ("groundtruth.txt", "205,151,17,50\n203,151,17\n201,150,17,50,99", "groundtruth.txt:2: expected four numbers"),
        (
            "out_of_view.txt",
            "0,2",
            "out_of_view.txt:1: expected flags 0 or 1, in one line or in a line each, got '2' as flag 2",
        ),
        ("out_of_view.txt", "0\n0.5", "out_of_view.txt:2: expected flags 0 or 1"),
        ("out_of_view.txt", "0,0\n0", "out_of_view.txt:1: expected flags 0 or 1"),
        ("out_of_view.txt", "0,X1X", "out_of_view.txt:1: expected flags 0 or 1"),
        ("out_of_view.txt", "0,\x0b1", "out_of_view.txt:1: expected flags 0 or 1"),
        ("out_of_view.txt", "0,,0", "out_of_view.txt:1: expected flags 0 or 1"),
        ("out_of_view.txt", "0,0,", "out_of_view.txt:1: expected flags 0 or 1"),
        ("out_of_view.txt", "0 0", "out_of_view.txt:1: expected flags 0 or 1"),
        (
            "groundtruth.txt",
            "1,2,3,4\n",
            "full_occlusion.txt: expected 1 flags, as many as boxes",
        ),
        ("out_of_view.txt", "0,0,0", "out_of_view.txt: expected 2 flags, as many as boxes"),
        ("out_of_view.txt", None, "out_of_view.txt: expected a file, got none"),
        ("img/00000003.jpg", "", "img: expected images 00000001.jpg to 00000002.jpg, one per box, got 00000003.jpg"),
    ],
)
def test_lasot_lists_inconsistent_sequences(tmp_path, file, content, problem):
    make_lasot(tmp_path, frames=2)
    path = tmp_path / "person-7" / file
    path.write_text(content) if content is not None else path.unlink()
    people = read_lasot(tmp_path, "train")
    assert "person-7" not in people.parts and len(people.parts) == 19
    assert len(people.problems) == 1
    assert people.problems[0].startswith("LaSOT person-7 is left out: ") and problem in people.problems[0]


def test_lasot_elsewhere(tmp_path):
    with pytest.raises(MissingFileError) as missing:
        read_lasot(tmp_path, "train")
    assert missing.value.key == str(tmp_path)
    with pytest.raises(InvalidValueError) as invalid:
        read_lasot(tmp_path, "test")
    assert (invalid.value.key, invalid.value.expected) == ("split", "'train' or 'val'")


def test_lasot_lists_boxes_without_area_in_visible_frames(tmp_path):
    make_lasot(tmp_path, frames=6)
    folder = tmp_path / "person-7"
    lines = ["10,20,30,40", "10,20,30,-40", "0,0,0,0", "10,20,0,40", "10,20,30,40", "10,20,-3,-4"]
    (folder / "groundtruth.txt").write_text("\n".join(lines))
    (folder / "out_of_view.txt").write_text("0,0,0,0,0,1")
    people = read_lasot(tmp_path, "train")
    assert [person.frame for person in people.parts["person-7"]] == [0, 4]
    assert [problem.split(": ")[0] for problem in people.problems] == [
        "LaSOT person-7, frame 2 on img/00000002.jpg",
        "LaSOT person-7, frame 4 on img/00000004.jpg",
    ]
    assert f"{folder / 'groundtruth.txt'}:2" in people.problems[0]


@pytest.mark.parametrize("separator", [",", "\t", " "])
@pytest.mark.parametrize("flags", ["0,1", "0\n1\n", "0, 1", "0\r\n1\r\n"])
def test_lasot_reads_what_exporters_write(tmp_path, separator, flags):
    make_lasot(tmp_path, frames=2, sequences=1)
    folder = tmp_path / "person-1"
    (folder / "groundtruth.txt").write_bytes("1,2,3,4\r\n5.5,6,7,8".replace(",", separator).encode("utf-16"))
    (folder / "out_of_view.txt").write_bytes(flags.encode())
    (person,) = read_lasot(tmp_path, "train").parts["person-1"]
    assert person.box_xyxy.tolist() == [1, 2, 4, 6]


def test_pipes_and_devices_are_refused(tmp_path):
    make_lasot(tmp_path, frames=2, sequences=2)
    (tmp_path / "person-1" / "groundtruth.txt").unlink()
    os.mkfifo(tmp_path / "person-1" / "groundtruth.txt")
    (tmp_path / "person-2" / "out_of_view.txt").unlink()
    (tmp_path / "person-2" / "out_of_view.txt").symlink_to("/dev/zero")
    with pytest.raises(MissingFileError):
        read_lasot(tmp_path, "train")
    make_coco(tmp_path)
    (tmp_path / "people.json").unlink()
    os.mkfifo(tmp_path / "people.json")
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path)
    assert (caught.value.key, caught.value.expected) == (str(tmp_path / "people.json"), "a regular file")


@pytest.mark.parametrize("name", ["00000000.jpg", "1.jpg", "00000001.png", "00000001.JPG", "2.jpeg"])
def test_lasot_refuses_images_that_have_no_box(tmp_path, name):
    make_lasot(tmp_path, sequences=1)
    images = tmp_path / "person-1/img"
    (images / "00000003.jpg").rename(images / name)
    with pytest.raises(MissingFileError) as caught:
        read_lasot(tmp_path, "train")
    assert f"{images}: expected images 00000001.jpg to 00000003.jpg" in caught.value.got


def test_lasot_passes_over_what_are_no_images(tmp_path):
    make_lasot(tmp_path, frames=1, sequences=1)
    for name in (".00000002.jpg", "Thumbs.db"):
        (tmp_path / "person-1/img" / name).touch()
    assert len(read_lasot(tmp_path, "train").parts["person-1"]) == 1


def test_lasot_without_anybody_is_refused(tmp_path):
    make_lasot(tmp_path, sequences=20)
    with pytest.raises(InvalidValueError) as caught:
        read_lasot(tmp_path, "val")  # of sequences of three frames
    assert (caught.value.key, caught.value.expected) == (str(tmp_path), "a visible person in frames 801 to 900")


def test_coco_refuses_one_image_under_two_names(tmp_path):
    content = make_coco(tmp_path)
    content["images"][1]["file_name"] = "./" + content["images"][0]["file_name"]
    save_coco(tmp_path, content)
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path)
    assert caught.value.key.endswith("images")
