"""Stores of crops: cut where a tracker would cut, written whole or not at all, and pairs that fit their labels."""

import os
import re
import shutil

import cv2
import numpy as np
import pytest
import torch
from people_data import SIZE, annotate, make_coco, make_lasot, save_coco

from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.lasot import read_lasot
from armory_skelevision.datasets.people import AnnotatedPeople, AnnotatedPerson
from armory_skelevision.tracking.frames import VideoFrames
from armory_skelevision.tracking.windows import centred_window, resize_crop
from armory_skelevision.training.data.affine import move_points
from armory_skelevision.training.data.loading import PairDataset, describe_pairs
from armory_skelevision.training.data.pair import TrainingPair
from armory_skelevision.training.data.real_crops import building
from armory_skelevision.training.data.real_crops.building import build_crops
from armory_skelevision.training.data.real_crops.cropping import cut_crop
from armory_skelevision.training.data.real_crops.sampling import CropPairSampler, draw_crop_map
from armory_skelevision.training.data.real_crops.store import CropStore, is_crop_store
from armory_skelevision.validation import InvalidValueError, MissingFileError


def coco_at(root):
    return read_coco(root / "people.json", root / "images")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four pictures of COCO, LaSOT's twenty sequences of 3 frames, and a store of both."""
    root = tmp_path_factory.mktemp("people")
    make_coco(root / "coco")
    make_lasot(root / "lasot")
    build_crops(coco_at(root / "coco"), root / "store")
    build_crops(read_lasot(root / "lasot", "train"), root / "store")
    return root


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def bright_box(picture):
    """Tight box of the bright rectangle."""
    ys, xs = np.nonzero(picture[..., 2] > 150)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@pytest.mark.parametrize("box_xyxy", [(100.0, 60.0, 140.0, 160.0), (-8.0, 150.0, 60.5, 244.0)])
def test_crops_show_what_a_tracker_sees(box_xyxy):
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (*SIZE[::-1], 3), np.uint8), (0, 0), 3)
    box = np.array(box_xyxy, np.float32)
    person = AnnotatedPerson("he", None, None, box, np.full((17, 3), (50, 155, 2), np.float32), 1, 0)
    crop = cut_crop(picture, person)
    (w, h), (cx, cy) = box[2:] - box[:2], (box[:2] + box[2:]) / 2
    window = centred_window(cx, cy, np.sqrt((w + (w + h) / 2) * (h + (w + h) / 2)) * 511 / 127)
    frames = VideoFrames(torch.from_numpy(picture[None].astype(np.float32)))
    expected = resize_crop(frames.window(0, window), 511).permute(1, 2, 0).numpy()
    difference = abs(cv2.imdecode(crop.jpeg, cv2.IMREAD_COLOR).astype(np.float32) - expected)
    assert difference.mean() < 1.5
    # the box and the keypoints fall where the picture's content does
    ratio, corner = 511 / window.side, np.array([window.x_min, window.y_min])
    inside = box.clip(0, (*SIZE, *SIZE)).reshape(2, 2)
    np.testing.assert_allclose(crop.box_xyxy.reshape(2, 2), (inside - corner) * ratio, atol=1e-3)
    np.testing.assert_allclose(crop.keypoints[0], [*(([50, 155] - corner) * ratio), 2], rtol=1e-5)


def test_store_holds_both_data_sets(folders):
    store = CropStore(folders / "store")
    assert len(store) == 4 + 60
    assert store.sources == ("coco-people", "lasot-train")
    for index in (0, 3, 4, 63):
        assert store.picture(index).shape == (511, 511, 3)
        np.testing.assert_allclose(bright_box(store.picture(index)), store.boxes_xyxy[index], atol=2.5)
    assert (store.keypoints[:4, :, 2] == 2).all()
    assert not store.keypoints[4:].any()
    assert describe_pairs(str(folders / "store")) == ("pairs from 64 crops of real people (coco-people, lasot-train)")


def test_neighbours_are_the_same_person_nearby(tmp_path):
    make_lasot(tmp_path / "lasot", frames=25, sequences=2)
    build_crops(read_lasot(tmp_path / "lasot", "train"), tmp_path / "store", skip_invalid=True)
    make_coco(tmp_path / "coco", 2)
    build_crops(coco_at(tmp_path / "coco"), tmp_path / "store")
    store = CropStore(tmp_path / "store")
    assert store.neighbours(0, 10).tolist() == [0]
    assert store.neighbours(2, 10).tolist() == list(range(2, 13))
    assert store.neighbours(2 + 12, 10).tolist() == list(range(4, 25))
    assert store.neighbours(2 + 25, 10).tolist() == list(range(27, 38))


def test_pairs_repeat_and_fit_their_labels(folders):
    pairs, again = (CropPairSampler(CropStore(folders / "store")) for _ in range(2))
    labelled, offsets, sizes = 0, [], []
    for index in range(60):
        pair = pairs.sample(np.random.default_rng((5, index)))
        for one, other in zip(pair, again.sample(np.random.default_rng((5, index))), strict=True):
            np.testing.assert_array_equal(one, other)
        check_pair(pair)
        labelled += bool(pair.keypoints[:, 2].any())
        x1, y1, x2, y2 = pair.box_xyxy
        offsets.append(((x1 + x2) / 2 - 127.5, (y1 + y2) / 2 - 127.5))
        sizes.append(y2 - y1)
    assert 0 < labelled < 30  # 4 of the 64 crops have keypoints
    assert 40 < abs(np.array(offsets)).max() < 64 * 1.3
    assert max(sizes) / min(sizes) > 1.2


def test_negative_pairs_show_other_people(folders):
    store = CropStore(folders / "store")
    pairs = CropPairSampler(store, negative_pair_ratio=0.5)
    drawn = [pairs.sample(np.random.default_rng((6, index))) for index in range(40)]
    assert 8 < sum(pair.is_positive for pair in drawn) < 32
    for index in (0, 5, 40):
        others = pairs._templates_for(index, False)
        assert not set(others) & set(store.neighbours(index, 10_000))
        assert len(others) + (store.people == store.people[index]).sum() == len(store)


def test_negative_pairs_need_two_people(tmp_path):
    make_lasot(tmp_path / "lasot", frames=25, sequences=1)
    build_crops(read_lasot(tmp_path / "lasot", "train"), tmp_path / "store", skip_invalid=True)
    with pytest.raises(InvalidValueError) as caught:
        CropPairSampler(CropStore(tmp_path / "store"), negative_pair_ratio=0.2)
    assert caught.value.key == "negative_pair_ratio"


def check_pair(pair):
    assert pair.template.shape == (127, 127, 3)
    assert pair.search.shape == (255, 255, 3)
    overlap = np.minimum(bright_box(pair.search)[2:], pair.box_xyxy[2:])
    overlap = overlap - np.maximum(bright_box(pair.search)[:2], pair.box_xyxy[:2])
    assert np.prod(overlap) > 0.75 * np.prod(pair.box_xyxy[2:] - pair.box_xyxy[:2])
    x1, y1, x2, _ = bright_box(pair.template)
    for x, y, _ in pair.keypoints[pair.keypoints[:, 2] > 0]:
        # they were put along the upper edge
        assert x1 - 3 < x < x2 + 3 and abs(y - y1) < 4


def make_person(box_xyxy, picture=None, **changes):
    usual = {"name": "she", "picture": picture, "size": None, "keypoints": np.zeros((17, 3), np.float32)}
    return AnnotatedPerson(**usual | {"box_xyxy": np.array(box_xyxy, np.float32), "track": 1, "frame": 0} | changes)


def test_others_in_the_crop_are_known():
    picture = np.zeros((*SIZE[::-1], 3), np.uint8)
    person = make_person((100, 60, 140, 160))
    beside, far, same = (150, 60, 190, 160), (600, 10, 610, 230), (101, 60, 141, 158)
    crop = cut_crop(picture, person, [make_person(box) for box in (beside, far, same)])
    assert len(crop.others_xyxy) == 1
    ratio = (crop.box_xyxy[3] - crop.box_xyxy[1]) / 100
    np.testing.assert_allclose(crop.others_xyxy[0], crop.box_xyxy + np.array([50, 0, 50, 0]) * ratio, atol=1e-3)
    assert cut_crop(picture, person).others_xyxy.shape == (0, 4)


def test_others_are_distractors_of_pairs(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((*SIZE[::-1], 3), np.uint8))
    people = [make_person((100, 60, 140, 160), path, track=1), make_person((150, 60, 190, 160), path, track=2)]
    build_crops(AnnotatedPeople("two", {"part": people}, []), tmp_path / "store")
    store = CropStore(tmp_path / "store")
    assert [len(store.others_xyxy(index)) for index in (0, 1)] == [1, 1]
    sides = set()
    for index in range(12):
        pair = CropPairSampler(store).sample(np.random.default_rng(index))
        (other,) = pair.distractors_xyxy
        np.testing.assert_allclose(other[[1, 3]], pair.box_xyxy[[1, 3]], atol=0.1)
        sides.add(bool(other[0] > pair.box_xyxy[0]))
    assert sides == {True, False}


def test_stretched_pictures_are_cut_as_they_were(tmp_path):
    """A picture that was squeezed and is stretched again gives the same crop as the picture itself."""
    picture = cv2.resize(np.random.default_rng(0).integers(0, 255, (18, 24, 3), np.uint8), (320, 240))
    person = make_person((100, 60, 140, 160))
    expected = cut_crop(picture, person)
    squeezed = np.asarray(cv2.resize(picture, (240, 240), interpolation=cv2.INTER_AREA), np.uint8)
    found = cut_crop(squeezed, person._replace(stretch=4 / 3))
    np.testing.assert_allclose(found.box_xyxy, expected.box_xyxy)
    one, other = (cv2.imdecode(crop.jpeg, cv2.IMREAD_COLOR).astype(int) for crop in (found, expected))
    assert abs(one - other).mean() < 2
    with pytest.raises(InvalidValueError):  # it lies in the wide picture alone
        cut_crop(squeezed, make_person((250, 60, 290, 160)))
    cut_crop(squeezed, make_person((250, 60, 290, 160), stretch=4 / 3))


def test_templates_come_from_within_the_range_of_frames(tmp_path):
    make_lasot(tmp_path / "lasot", frames=25, sequences=1)
    build_crops(read_lasot(tmp_path / "lasot", "train"), tmp_path / "store", skip_invalid=True)
    store = CropStore(tmp_path / "store")
    for reach in (0, 3, 100):
        found = CropPairSampler(store, frame_range=reach)._templates_for(12, True)
        assert found.tolist() == list(range(max(0, 12 - reach), min(25, 13 + reach)))


def test_labels_of_teachers_are_marked(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((*SIZE[::-1], 3), np.uint8))
    people = [make_person((100, 60, 140, 160), path, teacher="a net")]
    build_crops(AnnotatedPeople("taught", {"part": people}, []), tmp_path / "store")
    assert CropStore(tmp_path / "store").teachers == ("a net",)
    assert describe_pairs(str(tmp_path / "store")).endswith("(taught; labels by a net)")


def test_mirrored_views_mirror_what_they_show():
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    plain, mirrored = draw_crop_map(255, 64, 0.18, rng), draw_crop_map(255, 64, 0.18, same, mirror=True)
    points = np.random.default_rng(0).uniform(0, 511, (5, 2))
    np.testing.assert_allclose(move_points(mirrored, points) * (-1, 1) + (255, 0), move_points(plain, points))


def test_left_and_right_change_places_in_mirrored_pairs(tmp_path):
    make_coco(tmp_path, 2)
    build_crops(coco_at(tmp_path), tmp_path / "store")
    sampler = CropPairSampler(CropStore(tmp_path / "store"))
    for index in range(12):
        keypoints = sampler.sample(np.random.default_rng((5, index))).keypoints
        # they were put from left to right
        assert keypoints[1, 0] < keypoints[2, 0] and keypoints[3, 0] < keypoints[4, 0]


def test_stretched_views_are_wider():
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    plain, wide = (draw_crop_map(127, 4, 0.05, each, stretch) for each, stretch in ((rng, 1.0), (same, 1.3)))
    ratios = wide[:, :2].diagonal() / plain[:, :2].diagonal()
    assert ratios[0] / ratios[1] == pytest.approx(1.3) and ratios.prod() == pytest.approx(1)


def test_views_stay_inside_the_stored_crop():
    rng = np.random.default_rng(0)
    for side in (127, 255, 431):
        for _ in range(200):
            mirror, stretch = bool(rng.uniform() < 0.5), float(np.exp(rng.normal(0, 0.1)))
            matrix = draw_crop_map(side, (side - 127) / 2, 0.18, rng, stretch, mirror)
            corners = (np.array([[0, 0], [side, side]]) - matrix[:, 2]) / matrix.diagonal()
            assert corners.min() > -1e-6 and corners.max() < 511 + 1e-6
    with pytest.raises(InvalidValueError) as caught:
        CropPairSampler(None, 447)
    assert (caught.value.key, caught.value.got) == ("search_side", "447")


def test_batches_for_training(folders):
    dataset, other = (PairDataset(str(folders / "store"), 7, 191) for _ in range(2))
    one, same = dataset[5], other[5]
    for a, b in zip(one, same, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert one.search.shape == (191, 191, 3)
    assert (dataset[6].search != one.search).any()


def test_finished_parts_are_left_alone(folders, tmp_path, monkeypatch):
    people = read_lasot(folders / "lasot", "train")
    made = build_crops(people, tmp_path / "again")
    assert (made.crops, made.problems) == (60, [])
    before = bytes_of(tmp_path / "again")
    assert {name: data for name, data in bytes_of(folders / "store").items() if name.startswith("lasot")} == before
    (tmp_path / "again/lasot-train-person-4.safetensors").unlink()
    cut = []
    monkeypatch.setattr(building, "cut_crop", lambda *given: cut.append(given[1].name) or cut_crop(*given))
    assert build_crops(people, tmp_path / "again").crops == 60
    assert cut == [f"LaSOT person-4, frame {frame}" for frame in (1, 2, 3)]
    assert bytes_of(tmp_path / "again") == before


def test_an_interrupted_run_leaves_whole_parts_only(folders, tmp_path, monkeypatch):
    def stop_in_the_third(picture, person, others):
        if person.track == 3:
            raise KeyboardInterrupt
        return cut_crop(picture, person, others)

    people = read_lasot(folders / "lasot", "train")
    monkeypatch.setattr(building, "cut_crop", stop_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        build_crops(people, tmp_path / "store")
    assert sorted(bytes_of(tmp_path / "store")) == [f"lasot-train-person-{n}.safetensors" for n in (1, 2)]
    assert len(CropStore(tmp_path / "store")) == 6
    monkeypatch.undo()
    assert build_crops(people, tmp_path / "store").crops == 60


def break_files(root):
    """Two pictures truncated or missing, one of another size, one box and one keypoint of another picture."""
    content = make_coco(root, 6)
    first = root / "images/000000000000.jpg"
    first.write_bytes(first.read_bytes()[:-2000])
    (root / "images/000000000001.jpg").unlink()
    content["images"][2]["width"] = 321
    content["annotations"][3] = annotate(3, (300, 60, 345, 160))
    content["annotations"][4]["keypoints"][0] = 330
    save_coco(root, content)
    return content


PROBLEMS = [
    r"COCO annotation 100 on .*000\.jpg: .* got a damaged one \(image file is truncated",
    r"COCO annotation 101 on .*001\.jpg: expected a file, got none",
    r"COCO annotation 102 on .*002\.jpg: .*321×240.* got 320×240",
    r"COCO annotation 103 on .*003\.jpg: box_xyxy: .* 320 x 240 pixels, got \[300.0, 60.0, 345.0, 160.0\]",
    r"COCO annotation 104 on .*004\.jpg: keypoints: .* 320 x 240 pixels",
]


def test_problems_are_listed_and_refused_or_left_out(tmp_path):
    break_files(tmp_path)
    out = tmp_path / "store"
    with pytest.raises(InvalidValueError) as caught:
        build_crops(coco_at(tmp_path), out)
    assert caught.value.key == "coco-people" and "--skip-invalid" in caught.value.fix
    listed = (out / "coco-people-problems.txt").read_text().splitlines()
    assert str(out / "coco-people-problems.txt") in caught.value.got and listed[0] in caught.value.got
    assert len(listed) == 5
    for pattern, problem in zip(PROBLEMS, listed, strict=True):
        assert re.search(pattern, problem), problem
    assert not is_crop_store(out)
    for _ in range(2):  # what was left out is reported again where nothing is left to do
        made = build_crops(coco_at(tmp_path), out, skip_invalid=True)
        assert (made.crops, made.problems) == (1, listed)
    assert len(CropStore(out)) == 1
    with pytest.raises(InvalidValueError):  # without the option it is still an error
        build_crops(coco_at(tmp_path), out)


def test_repaired_files_are_cut(tmp_path):
    make_coco(tmp_path, 2)
    picture = tmp_path / "images/000000000001.jpg"
    shutil.move(picture, tmp_path / "away.jpg")
    assert build_crops(coco_at(tmp_path), tmp_path / "store", skip_invalid=True).crops == 1
    shutil.move(tmp_path / "away.jpg", picture)
    assert build_crops(coco_at(tmp_path), tmp_path / "store").crops == 2
    assert len(CropStore(tmp_path / "store")) == 2
    assert not (tmp_path / "store/coco-people-problems.txt").exists()


def test_pictures_that_changed_are_cut_again(tmp_path, monkeypatch):
    make_lasot(tmp_path / "lasot")
    people, store = read_lasot(tmp_path / "lasot", "train"), tmp_path / "store"
    build_crops(people, store)
    before = bytes_of(store)
    changed, touched = (tmp_path / f"lasot/person-{number}/img/00000002.jpg" for number in (3, 5))
    moments = changed.stat()
    data = bytearray(changed.read_bytes())
    data[-300] ^= 1  # neither the size nor the time differs
    changed.write_bytes(data)
    os.utime(changed, ns=(moments.st_atime_ns, moments.st_mtime_ns))
    touched.touch()
    cut = []
    monkeypatch.setattr(building, "cut_crop", lambda *given: cut.append(given[1].track) or cut_crop(*given))
    assert build_crops(people, store).crops == 60
    assert cut == [3, 3, 3]
    after = bytes_of(store)
    assert {name for name in after if after[name] != before[name]} == {"lasot-train-person-3.safetensors"}
    shutil.copytree(tmp_path / "lasot", tmp_path / "copy")
    assert build_crops(read_lasot(tmp_path / "copy", "train"), store).crops == 60
    assert cut == [3, 3, 3]


def test_a_store_of_other_people_is_not_mixed_up(tmp_path):
    content = make_coco(tmp_path, 2)
    build_crops(coco_at(tmp_path), tmp_path / "store")
    content["annotations"][0]["bbox"][0] += 1
    save_coco(tmp_path, content)
    with pytest.raises(InvalidValueError) as caught:
        build_crops(coco_at(tmp_path), tmp_path / "store")
    assert caught.value.key == str(tmp_path / "store/coco-people-00000.safetensors")


def test_damaged_stores_are_refused(folders, tmp_path):
    with pytest.raises(MissingFileError) as missing:
        CropStore(tmp_path)
    assert missing.value.key == str(tmp_path)
    path = tmp_path / "coco-people-00000.safetensors"
    whole = (folders / "store" / path.name).read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(InvalidValueError) as damaged:
        CropStore(tmp_path)
    assert damaged.value.key == str(path)
    path.write_bytes(whole.replace(b"\xff\xd8\xff", b"\0\0\0"))
    with pytest.raises(InvalidValueError) as damaged:
        CropStore(tmp_path).picture(2)
    assert damaged.value.key == str(path)


def test_real_people(shared_data, tmp_path):
    folder = shared_data / "keypoints/coco_val_mini"
    made = build_crops(read_coco(folder / "test_coco.json", folder), tmp_path)
    assert (made.crops, made.problems) == (12, [])
    store = CropStore(tmp_path)
    middle = (store.boxes_xyxy[:, :2] + store.boxes_xyxy[:, 2:]) / 2
    assert abs(middle - 255.5).max() < 12  # a box at the frame's edge is cut off there
    pairs = [CropPairSampler(store).sample(np.random.default_rng((1, index))) for index in range(20)]
    assert all(isinstance(pair, TrainingPair) and (pair.keypoints[:, 2] > 0).sum() > 4 for pair in pairs)


def test_eight_more_real_pictures(shared_data, tmp_path):
    """Labels in text form, written anew as COCO writes them."""
    root = shared_data / "keypoints/coco8_pose"
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "images").mkdir()
    for picture in sorted(root.rglob("*.jpg")):
        shutil.copy(picture, tmp_path / "images")
        height, width = cv2.imread(str(picture)).shape[:2]
        number = int(picture.stem)
        content["images"].append({"id": number, "file_name": picture.name, "width": width, "height": height})
        label = root / "labels" / picture.parent.name / f"{picture.stem}.txt"
        for row in np.loadtxt(label, ndmin=2):
            (cx, cy, w, h), keypoints = row[1:5] * ((width, height) * 2), row[5:].reshape(17, 3) * (width, height, 1)
            labelled = int((keypoints[:, 2] > 0).sum())
            numbers = {"bbox": [cx - w / 2, cy - h / 2, w, h], "keypoints": keypoints.reshape(-1).tolist()}
            numbers |= {"id": len(content["annotations"]) + 1, "area": w * h, "num_keypoints": labelled}
            content["annotations"].append(annotate(number, (0, 0, 1, 1)) | numbers)
    save_coco(tmp_path, content)
    people = coco_at(tmp_path)
    made = build_crops(people, tmp_path / "store")
    assert made.crops == sum(annotation["num_keypoints"] > 5 for annotation in content["annotations"]) > 8
    assert made.problems == []
