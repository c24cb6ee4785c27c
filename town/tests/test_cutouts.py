"""Cut-outs of one person with Blender, where `bpy` is installed."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("bpy", reason="Blender's bpy is not installed; `make town-env` sets it up")
cv2 = pytest.importorskip("cv2")

from skelevision_town import cutouts  # noqa: E402


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(cutouts, "_SAMPLES", 1)
    monkeypatch.setattr(cutouts, "VIEWS", 2)


def test_cutouts_fit_their_labels_and_rendering_resumes(quick, tmp_path):
    cutouts.render_people(tmp_path, 1)
    listing = tmp_path / "people.jsonl"
    lines = listing.read_text()
    entries = [json.loads(line) for line in lines.splitlines()]
    assert [(entry["person"], entry["view"]) for entry in entries] == [(0, 0), (0, 1)]
    for entry in entries:
        check_cutout(cv2.imread(str(tmp_path / entry["file"]), cv2.IMREAD_UNCHANGED), entry)

    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "people").iterdir()}
    cutouts.render_people(tmp_path, 1)
    assert listing.read_text() == lines
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "people").iterdir()} == made

    listing.write_text(lines.splitlines()[0] + "\n")
    cutouts.render_people(tmp_path, 1)
    again = [json.loads(line) for line in listing.read_text().splitlines()]
    assert again == entries  # the view that was missing comes out as it was


def check_cutout(picture, entry):
    assert picture.ndim == 3 and picture.shape[2] == 4
    rows, columns = np.nonzero(picture[..., 3] > 127)
    box_xyxy = np.array(entry["box_xyxy"])
    tight = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(box_xyxy, tight, atol=1.5)
    assert 160 - 1 <= box_xyxy[3] - box_xyxy[1] <= 256 + 1
    joints = np.array(entry["keypoints"])
    assert joints.shape == (17, 3) and set(joints[:, 2]) <= {1, 2}
    assert (joints[:, :2] >= box_xyxy[:2] - 1).all() and (joints[:, :2] <= box_xyxy[2:] + 1).all()
