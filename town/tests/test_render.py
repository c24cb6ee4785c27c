"""Rendering a video: a tiny one with Blender where `bpy` is installed, and what needs no Blender."""

from __future__ import annotations

import json

import numpy as np
import pytest
from skelevision_town import render
from skelevision_town.sampling import sample_video

from armory_skelevision.io.video_files import read_video
from armory_skelevision.validation import InvalidValueError


def test_two_frames_and_their_annotations(tmp_path):
    pytest.importorskip("bpy", reason="Blender's bpy is not installed; `make town-env` sets it up")
    mask = pytest.importorskip("pycocotools.mask")
    render.render_video(sample_video(3, 2), tmp_path, "000", samples=1, percent=25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000.json", "000.mp4"]
    annotation, frames = json.loads((tmp_path / "000.json").read_text()), read_video(tmp_path / "000.mp4")
    assert frames.shape == (2, 120, 160, 3) and frames.std() > 5
    for x0, y0, x1, y1 in annotation["boxes_xyxy"]:
        assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 480 and 60 < y1 - y0 < 210
    joints = np.array(annotation["keypoints"])
    assert joints.shape == (2, 17, 3) and (joints[..., 2] == 2).sum() >= 8
    seen = mask.decode({"size": [120, 160], "counts": annotation["masks"][0].encode()})
    corners = np.array(annotation["gs_coords"][0]) / 4
    (x0, y0), (x1, y1) = corners.min(0).astype(int), corners.max(0).astype(int) + 2
    assert seen.sum() > 20
    assert seen[max(y0, 0) : y1, max(x0, 0) : x1].sum() == seen.sum()  # nothing beyond the sheet


def test_a_video_of_another_seed_is_not_overwritten(tmp_path):
    (tmp_path / "000.mp4").write_bytes(b"")
    (tmp_path / "000.json").write_text(json.dumps({"seed": 5}))
    with pytest.raises(InvalidValueError) as caught:
        render.render_video(sample_video(3, 2), tmp_path, "000")
    error = caught.value
    assert (error.key, error.expected, error.got) == (str(tmp_path / "000.mp4"), "seed 3", "5")
    render.render_video(sample_video(5, 2), tmp_path, "000")
