"""What runs leave to look at, on the page: frames with boxes, patches, videos."""

import base64
import re
from pathlib import Path

import numpy as np
from handmade_results import make_config, make_results, write_cell, write_result
from html_page import Page
from PIL import Image

from armory_skelevision.attacks.patch.files import write_patch
from armory_skelevision.results.report.films import boxes_in
from armory_skelevision.results.report.writing import write_report


def export(folder: Path, side: str, frames: int = 4) -> None:
    """What ARMORY's exporter leaves of a video: frames without and with a true and a tracked box."""
    name = f"batch_0_ex_0_scenario.{side}"
    (folder / name).mkdir(parents=True)
    for number in range(frames):
        frame = np.full((48, 64, 3), 90, np.uint8)
        Image.fromarray(frame).save(folder / name / f"{name}_frame_{number:04d}.png")
        Image.fromarray(painted(frame, number)).save(folder / name / f"{name}_frame_{number:04d}_with_boxes.png")
    (folder / name / f"video_{name}_with_boxes.mp4").write_bytes(b"a video")


def painted(frame: np.ndarray, number: int) -> np.ndarray:
    marked = frame.copy()
    for (x1, y1, x2, y2), colour in (((10, 8, 20, 30), (255, 0, 0)), ((15 + number, 8, 30, 30), (255, 255, 255))):
        outline = np.ones(frame.shape[:2], bool)
        outline[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2] = False
        outline[:y1], outline[y2:], outline[:, :x1], outline[:, x2:] = False, False, False, False
        marked[outline] = colour
    return marked


def test_films_patches_and_videos(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text("{}")
    for model in ("stl", "mtl"):
        kwargs = {"step_size": 0.1, "max_iter": 10, "export": "patches"}
        config = {**make_config(model), "attack": {"name": "PatchAttack", "kwargs": kwargs}}
        frame_ious = {f"{side}_frame_iou": [[[1.0, 0.5, 0.25, 0.0]]] for side in ("benign", "adversarial")}
        cell = write_cell(tmp_path / model, config, make_results((0.5,), (0.25,), **frame_ious))
        export(cell / "saved_samples", "x_adv")
        write_patch(cell / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {**kwargs, "value": 1.0})
    # a patch that another run has put there since
    write_patch(tmp_path / "mtl" / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {"step_size": 0.2})
    page = Page(write_report([tmp_path], tmp_path / "out").page)
    assert page.tags.count("image") == 6  # frames 1, 2 and 3 of each model: the first is given
    assert page.tags.count("img") == 1
    assert page.tags.count("video") == 0
    assert '<rect class="true" x="10" y="8" width="10" height="22"/>' in page.source
    assert re.search(r'<rect class="tracked" x="16" y="8" width="14" height="22" style="stroke:#\w+"/>', page.source)
    assert "Patches only where the run kept them" in page.source
    config["attack"]["kwargs"]["export"] = "/where/it/was/then/patches"  # and the sweep has been moved since
    (cell / "result.json").unlink()
    write_result(cell / "result.json", make_results((0.5,), (0.25,), **frame_ious), config)
    write_patch(cell / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {**kwargs, "value": 1.0})
    assert Page(write_report([tmp_path], tmp_path / "out").page).tags.count("img") == 2
    page = Page(write_report([tmp_path], tmp_path / "out", videos=True).page)
    assert page.tags.count("video") == 2
    assert f"data:video/mp4;base64,{base64.b64encode(b'a video').decode()}" in page.asked
    assert "Videos only" not in page.source


def test_boxes_that_hide_each_other() -> None:
    plain = np.zeros((20, 20, 3), np.uint8)
    marked = plain.copy()
    assert boxes_in(plain, marked) == (None, None)
    marked[5:10, 5:10] = 255
    assert boxes_in(plain, marked) == ((5, 5, 10, 10), (5, 5, 10, 10))
