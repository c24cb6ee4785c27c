"""The training store is read while it is being rendered, and what is broken in it is named."""

import json

import cv2
import numpy as np
import pytest
from handmade_store import draw_person, make_store

from armory_skelevision.training.data.rendered_pairs.store import RenderedStore, make_cutout
from armory_skelevision.validation import InvalidValueError, MissingFileError


def test_reads_people_by_person_and_scenes(tmp_path):
    store = RenderedStore(make_store(tmp_path / "store", people=3, views=2, scenes=2))
    assert [len(views) for views in store.people] == [2, 2, 2]
    assert [scene[1].shape for scene in store.scenes] == [(240, 320, 3)] * 2
    assert store.problems == ()


def test_figures_are_kept_small_and_keypoints_follow(tmp_path):
    cutout = RenderedStore(make_store(tmp_path / "store")).people[0][0]
    assert cutout.size[1] == pytest.approx(160, abs=1.5)
    picture, keypoints = draw_person([(1, 1, 1)] * 3)
    scale = cutout.levels[0].shape[0] / picture.shape[0]
    np.testing.assert_allclose(cutout.keypoints[:, :2], keypoints[:, :2] * scale, atol=0.6)


def test_broken_entries_are_named_and_half_written_lines_left_out(tmp_path):
    root = make_store(tmp_path / "store")
    (root / "people/00001_00.png").write_bytes(b"no picture")
    (root / "scenes/00001.jpg").unlink()
    with (root / "people.jsonl").open("a") as file:
        file.write('{"file": "people/00009_00.png"}\nnonsense\n{"file": "people/000')
    with pytest.warns(UserWarning, match="4 entries are left out"):
        store = RenderedStore(root)
    assert sum(map(len, store.people)) == 5
    assert len(store.scenes) == 1
    text = "\n".join(store.problems)
    for part in ("00001_00.png", "00001.jpg", "00009_00.png", "line 8"):
        assert part in text
    assert len(store.problems) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../outside.png"},
        {"file": "/etc/hostname"},
        {"file": 3},
        {"file": "people/00000_00.png"},  # as in the first line
        {"person": "7"},
        {"person": 1.5},
        {"keypoints": [[0, 0, 1e39]] * 17},
        {"keypoints": [[0, 0]] * 17},
        {"box_xyxy": [0, 0, True, 9]},
        {"box_xyxy": [9, 9, 0, 0]},
    ],
)
def test_entries_that_are_not_as_they_should_be_are_left_out(tmp_path, changes):
    root = make_store(tmp_path / "store", people=2, views=1)
    (tmp_path / "outside.png").write_bytes((root / "people/00000_00.png").read_bytes())
    lines = [json.loads(line) for line in (root / "people.jsonl").read_text().splitlines()]
    lines[1] |= changes
    (root / "people.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.warns(UserWarning, match=next(iter(changes))):
        store = RenderedStore(root)
    assert len(store.people) == len(store.problems) == 1


def test_16_bit_cutouts_are_read_as_they_look(tmp_path):
    root = make_store(tmp_path / "store", people=1, views=1)
    expected = RenderedStore(root).people[0][0]
    path = str(root / "people/00000_00.png")
    cv2.imwrite(path, cv2.imread(path, cv2.IMREAD_UNCHANGED).astype(np.uint16) * 257)
    np.testing.assert_array_equal(RenderedStore(root).people[0][0].levels[0], expected.levels[0])


def test_empty_and_missing_stores_are_errors(tmp_path):
    with pytest.raises(MissingFileError) as missing:
        RenderedStore(tmp_path)
    (tmp_path / "people.jsonl").write_text("")
    (tmp_path / "scenes.jsonl").write_text("")
    assert missing.value.key == str(tmp_path / "people.jsonl")
    with pytest.raises(InvalidValueError) as empty:
        RenderedStore(tmp_path)
    assert empty.value.key == str(tmp_path)
    with pytest.raises(InvalidValueError):
        make_cutout(np.zeros((40, 40, 4), np.uint8), np.zeros((17, 3), np.float32))
