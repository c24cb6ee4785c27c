"""Single videos on the page: frames with recorded boxes, patches, videos, curves and metrics."""

import base64
import re
import shutil
from pathlib import Path

import numpy as np
from handmade_results import make_config, make_frames, make_results, write_plan, write_result, write_run
from html_page import Page
from PIL import Image

from armory_skelevision.attacks.patch.files import write_patch
from armory_skelevision.results.report.writing import write_report


def export(folder: Path, side: str, frames: int = 4) -> None:
    """What ARMORY's exporter leaves of a video."""
    name = f"batch_0_ex_0_scenario.{side}"
    (folder / name).mkdir(parents=True)
    for number in range(frames):
        frame = Image.fromarray(np.full((48, 64, 3), 90, np.uint8))
        frame.save(folder / name / f"{name}_frame_{number:04d}.png")
        frame.save(folder / name / f"{name}_frame_{number:04d}_with_boxes.png")
    (folder / name / f"video_{name}_with_boxes.mp4").write_bytes(b"a video")


def test_filmstrips_patches_and_videos(tmp_path: Path) -> None:
    write_plan(tmp_path)
    frames = [make_frames((1.0, 0.5, 0.25, 0.0), side=side) for side in ("benign", "adversarial")]
    results = make_results((0.25,), (0.25,), **frames[0], **frames[1])
    for model in ("stl", "mtl"):
        kwargs = {"step_size": 0.1, "max_iter": 10, "export": "patches"}
        config = {**make_config(model), "attack": {"name": "PatchAttack", "kwargs": kwargs}}
        run = write_run(tmp_path / model, config, results)
        export(run / "saved_samples", "x_adv")
        write_patch(run / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {**kwargs, "value": 1.0})
    # a patch that another run has put there since
    shutil.rmtree(tmp_path / "mtl" / "patches")
    write_patch(tmp_path / "mtl" / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {"step_size": 0.2})
    page = Page(write_report([tmp_path], tmp_path / "out").page)
    assert page.tags.count("image") == 6  # frames 1, 2 and 3 of each model: the first is given
    assert page.tags.count("img") == 1
    assert page.tags.count("video") == 0
    assert '<rect class="true" x="0.0" y="0.0" width="10.0" height="10.0"/>' in page.source
    predicted = r'<rect class="predicted" x="3.3" y="0.0" width="10.0" height="10.0" style="stroke:#\w+"/>'
    assert re.search(predicted, page.source)
    assert "Patches are shown where the run exported them" in page.source
    config["attack"]["kwargs"]["export"] = "/where/it/was/then/patches"  # and the sweep has been moved since
    (run / "result.json").unlink()
    write_result(run / "result.json", results, config)
    shutil.rmtree(run / "patches")
    write_patch(run / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {**kwargs, "value": 1.0})
    assert Page(write_report([tmp_path], tmp_path / "out").page).tags.count("img") == 2
    page = Page(write_report([tmp_path], tmp_path / "out", videos=True).page)
    assert page.tags.count("video") == 2
    assert f"data:video/mp4;base64,{base64.b64encode(b'a video').decode()}" in page.asked
    assert "Videos are embedded where" not in page.source


def test_boxes_that_were_not_recorded_are_not_drawn(tmp_path: Path) -> None:
    results = make_results((0.5,), (0.25,), adversarial_frame_iou=[[[1.0, 0.5, 0.25, 0.0]]])
    export(tmp_path / "saved_samples", "x_adv")
    page = Page(write_report([write_result(tmp_path / "r.json", results, make_config())], tmp_path / "out").page)
    assert page.tags.count("image") == 3
    assert 'class="halo"' not in page.source
    assert "frame_boxes" in page.source


def test_scores_are_in_filmstrip_chart_and_table(tmp_path: Path) -> None:
    frames = make_frames((1.0, 0.9, 0.9, 0.9)) | make_frames((1.0, 0.1, 0.1, 0.9), side="adversarial")
    scores = {"benign_frame_scores": [[[0.9, 0.5, 0.6, 0.7]]], "adversarial_frame_scores": [[[0.9, 0.876, 0.2, 0.6]]]}
    results = make_results((0.9,), (1.1 / 3,), **frames, **scores)
    export(tmp_path / "saved_samples", "x_adv")
    page = Page(write_report([write_result(tmp_path / "r.json", results, make_config())], tmp_path / "out").page)
    captions = re.findall("<figcaption>(frame .*?)</figcaption>", page.source)
    assert captions == ["frame 1 · score 0.88", "frame 2 · score 0.20", "frame 3 · score 0.60"]
    assert page.source.count("Score over the frames of a video") == 1
    head, benign, attacked = page.tables["video-0-metrics"]
    shown = dict(zip(head, attacked, strict=True))
    assert (shown["lost but sure"], shown["mASR (FlyTrap)"]) == ("33.3", "0.0")
    assert dict(zip(head, benign, strict=True))["lost but sure"] == "0.0"


def test_without_scores_nothing_is_said_in_their_place(tmp_path: Path) -> None:
    scores = {"adversarial_frame_scores": [[[None] * 4]]}
    results = make_results((0.5,), (0.5,), **make_frames((1.0, 0.5, 0.5, 0.5), side="adversarial"), **scores)
    export(tmp_path / "saved_samples", "x_adv")
    page = Page(write_report([write_result(tmp_path / "r.json", results, make_config())], tmp_path / "out").page)
    assert "<figcaption>frame 1</figcaption>" in page.source
    assert "Score over the frames of a video" not in page.source
    assert "lost but sure" not in page.source
    assert "frame_scores" in page.source  # how scores would be shown


def test_every_video_has_its_curve_and_its_metrics(tmp_path: Path) -> None:
    frames = make_frames((1.0, 0.5, 0.5), (1.0, 0.25, 0.75), side="adversarial")
    results = make_results((0.5, 0.6), (0.5, 0.5), adversarial_success_auc=[[0.25], [0.75]], **frames)
    results["video_names"] = ["Crossing", "Human7"]
    path = write_result(tmp_path / "r.json", results, make_config())
    page = Page(write_report([path], tmp_path / "out").page)
    assert page.tables["video-1-metrics"] == [
        ["model", "side", "mean IoU", "success AUC"],
        ["MTL", "benign", "60.0", "–"],
        ["MTL", "attacked", "50.0", "75.0"],
    ]
    assert {"Crossing", "Human7"} <= set(page.words)
    assert page.source.count("IoU over the frames of a video") == 2
