"""Exported boxes, evaluated by the toolkits' published definitions, restated here in plain loops."""

import math
import random
from pathlib import Path

import numpy as np
import pytest
from handmade_results import make_config, make_results, write_result

from armory_skelevision import metrics
from armory_skelevision.results.export.toolkits import got10k_scores
from armory_skelevision.results.export.trackers import export_trackers
from armory_skelevision.results.result_file import read_run
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError

SIZE = (120, 90)
NAMES = ["Crossing", "person-1"]


def make_video(seed: int, frames: int = 60) -> tuple[list[list[float]], list[list[float]]]:
    """True and predicted boxes xyxy; some of the predictions leave the image on each side, or miss."""
    rng = random.Random(seed)
    truth, found = [], []
    for _ in range(frames):
        x, y, w, h = rng.uniform(0, 100), rng.uniform(0, 60), rng.uniform(8, 20), rng.uniform(8, 30)
        dx, dy, scale = rng.gauss(0, 6), rng.gauss(0, 6), rng.uniform(0.7, 1.4)
        truth.append([x, y, x + w, y + h])
        found.append([x + dx, y + dy, x + dx + w * scale, y + dy + h * scale])
    return truth, found


def write_boxes(path: Path, absent: tuple[int, ...] = (), **changes: object) -> Path:
    """A result file of a benign run of two videos, with metrics as ARMORY records them."""
    videos = [make_video(seed) for seed in range(len(NAMES))]
    for truth, _ in videos:
        for frame in absent:
            truth[frame] = [0.0, 0.0, 0.0, 0.0]
    y = [{"boxes": np.array(truth)} for truth, _ in videos]
    y_pred = [{"boxes": np.array(found)} for _, found in videos]
    recorded = {
        f"benign_{name}": [[value] for value in getattr(metrics, name)(y, y_pred)]
        for name in ("success_auc", "precision_20px", "normalised_precision", "frame_iou", "frame_boxes", "true_boxes")
    }
    ious = [float(np.mean(video[1:])) for video in metrics.frame_iou(y, y_pred)]
    known = {**recorded, "video_names": NAMES, "video_sizes": [SIZE, SIZE], **changes}
    return write_result(path, make_results(ious, **known), make_config())


def read_rows(path: Path) -> list[list[float]]:
    return [[float(word) for word in line.split(",")] for line in path.read_text().splitlines()]


def overlap(a: list[float], b: list[float]) -> float:
    """IoU of two boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def to_xywh(box: list[float], first: int = 0) -> list[float]:
    return [box[0] + first, box[1] + first, box[2] - box[0], box[3] - box[1]]


def cut(box: list[float]) -> list[float]:
    """As GOT-10k's toolkit cuts a box to the image."""
    x, y = min(max(box[0], 0), SIZE[0]), min(max(box[1], 0), SIZE[1])
    return [x, y, min(box[2], SIZE[0] - x), min(box[3], SIZE[1] - y)]


def test_got10k_computes_our_average_overlap_and_success_rates(tmp_path: Path) -> None:
    path = write_boxes(tmp_path / "r.json", absent=(7, 8))
    (exported,) = export_trackers(path, "got10k", tmp_path / "out")
    assert exported.folder == tmp_path / "out" / "siamrpn_mtl"
    overlaps = []
    for seed, name in enumerate(NAMES):
        rows, truth = read_rows(exported.folder / name / f"{name}_001.txt"), make_video(seed)[0]
        assert rows[0] == pytest.approx(to_xywh(truth[0]), abs=1e-12)
        counted = [frame for frame in range(1, 60) if frame not in (7, 8)]
        overlaps += [overlap(cut(rows[frame]), cut(to_xywh(truth[frame]))) for frame in counted]
        assert (exported.folder / name / f"{name}_time.txt").read_text() == "nan\n" * 60
    wanted = {"AO": np.mean(overlaps), "SR 0.5": np.mean([o > 0.5 for o in overlaps])}
    scores = got10k_scores(read_run(path).benign, [SIZE, SIZE])
    assert {name: scores[name] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    assert f"AO {wanted['AO']:.6f}" in exported.scores


@pytest.mark.parametrize(("form", "first"), [("otb", 1), ("lasot", 0)])
@pytest.mark.parametrize("choice", [None, 0, 1])
def test_one_pass_evaluation_computes_our_metrics(tmp_path: Path, form: str, first: int, choice: int | None) -> None:
    path = write_boxes(tmp_path / "r.json")
    export_trackers(path, form, tmp_path / "out", "mine", choice)
    first = first if choice is None else choice
    run = read_run(path)
    for number, name in enumerate(NAMES):
        rows = read_rows(tmp_path / "out" / "mine" / f"{name}.txt")
        truth = [to_xywh(box, first) for box in make_video(number)[0]]
        overlaps = [overlap(*pair) for pair in zip(rows, truth, strict=True)]
        success = [sum(o > step / 20 for o in overlaps) / 60 for step in range(21)]
        assert run.benign.videos["success_auc"][number] == pytest.approx(np.mean(success), abs=1e-9)
        apart = [
            (a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2)
            for a, b in zip(rows, truth, strict=True)
        ]
        near = sum(math.hypot(*each) <= 20 for each in apart) / 60
        assert run.benign.videos["precision_20px"][number] == pytest.approx(near, abs=1e-9)
        shares = [math.hypot(x / box[2], y / box[3]) for (x, y), box in zip(apart, truth, strict=True)]
        normalised = sum(share <= 0.2 for share in shares) / 60
        assert run.benign.videos["normalised_precision"][number] == pytest.approx(normalised, abs=1e-9)


def test_vot_has_a_start_then_boxes_and_confidence_beside_them(tmp_path: Path) -> None:
    scores = [[[math.nan, *[0.5] * 58, None]], [[1.0] * 60]]
    path = write_boxes(tmp_path / "r.json", benign_frame_scores=scores)
    (exported,) = export_trackers(path, "vot", tmp_path / "out")
    folder = exported.folder / "unsupervised" / "Crossing"
    lines = (folder / "Crossing_001.txt").read_text().splitlines()
    assert lines[0] == "1"
    assert [float(word) for word in lines[1].split(",")] == pytest.approx(to_xywh(make_video(0)[1][1]), abs=1e-12)
    assert len(lines) == 60
    assert (folder / "Crossing_001_confidence.value").read_text() == "\n" + "0.5\n" * 58 + "\n"


def test_without_scores_there_is_no_confidence(tmp_path: Path) -> None:
    (exported,) = export_trackers(write_boxes(tmp_path / "r.json"), "vot", tmp_path / "out")
    assert list(exported.folder.rglob("*.value")) == []


def test_the_attacked_side_is_a_tracker_of_its_own(tmp_path: Path) -> None:
    benign = read_run(write_boxes(tmp_path / "a.json")).benign
    attacked = {"adversarial_frame_boxes": [[list(map(list, video))] for video in benign.boxes_xyxy]}
    attacked["adversarial_true_boxes"] = [[list(map(list, video))] for video in benign.true_boxes_xyxy]
    path = write_boxes(tmp_path / "r.json", **attacked)
    both = export_trackers(path, "otb", tmp_path / "out", "My tracker")
    assert [each.folder.name for each in both] == ["My-tracker", "My-tracker-attacked"]
    assert [each.sequences for each in both] == [2, 2]


def test_several_runs_are_trackers_by_their_names(tmp_path: Path) -> None:
    write_boxes(tmp_path / "runs" / "stl_1700000000.json")
    write_boxes(tmp_path / "runs" / "mtl_1700000000.json")
    exported = export_trackers(tmp_path / "runs", "otb", tmp_path / "out")
    assert {each.folder.name for each in exported} == {"runs-stl_1700000000", "runs-mtl_1700000000"}
    with pytest.raises(InvalidValueError):
        export_trackers(tmp_path / "runs", "otb", tmp_path / "other", "one")
    assert not (tmp_path / "other").exists()


def test_runs_of_one_name_are_refused_before_any_is_written(tmp_path: Path) -> None:
    write_boxes(tmp_path / "runs" / "a b_1700000000.json")
    write_boxes(tmp_path / "runs" / "a-b_1700000000.json")
    with pytest.raises(InvalidValueError):
        export_trackers(tmp_path / "runs", "otb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_tracker_is_replaced_and_others_stay(tmp_path: Path) -> None:
    path = write_boxes(tmp_path / "r.json")
    export_trackers(path, "otb", tmp_path / "out", "first")
    export_trackers(path, "otb", tmp_path / "out", "second")
    before = {file: file.read_text() for file in (tmp_path / "out").rglob("*.txt")}
    assert len(before) == 4
    with pytest.raises(InvalidValueError) as caught:
        export_trackers(path, "lasot", tmp_path / "out", "first")
    assert "first" in caught.value.key
    assert {file: file.read_text() for file in (tmp_path / "out").rglob("*.txt")} == before


@pytest.mark.parametrize(
    "names",
    [["../x", "y"], ["a", "A"], ["a/b", "a-b"], ["", "y"], [".hidden", "y"], ["two\nlines", "y"], ["x" * 300, "y"]],
)
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, names: list[str]) -> None:
    results = make_results((1.0, 1.0))
    for key in ("benign_frame_boxes", "benign_true_boxes"):
        results[key] = [[[[0, 0, 10, 10]] * 2]] * 2
    path = write_result(tmp_path / "r.json", {**results, "video_names": names}, make_config())
    with pytest.raises(InvalidValueError):
        export_trackers(path, "otb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_with_folders_and_none_at_all(tmp_path: Path) -> None:
    results = make_results((1.0, 1.0))
    for key in ("benign_frame_boxes", "benign_true_boxes"):
        results[key] = [[[[0, 0, 10, 10]] * 2]] * 2
    for names, wanted in (
        (["walkers/mini/0", "Jogging-2"], ["Jogging-2", "walkers-mini-0"]),
        ([], ["video-0", "video-1"]),
    ):
        path = write_result(tmp_path / "r.json", {**results, "video_names": names}, make_config())
        (exported,) = export_trackers(path, "otb", tmp_path / wanted[0])
        assert sorted(file.stem for file in exported.folder.iterdir()) == wanted


def test_what_a_result_lacks_is_named(tmp_path: Path) -> None:
    without = write_result(tmp_path / "r.json", make_results((0.5,)), make_config())
    gap = make_results((0.5,), benign_frame_boxes=[[[[0, 0, 1, 1], None]]], benign_true_boxes=[[[[0, 0, 1, 1]] * 2]])
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    cases = {
        without: InvalidValueError,
        write_result(tmp_path / "gap.json", gap, make_config()): InvalidValueError,
        broken: StructuredError,
        tmp_path / "nowhere": MissingFileError,
    }
    for path, error in cases.items():
        with pytest.raises(error):
            export_trackers(path, "otb", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_without_sizes_there_is_no_average_overlap(tmp_path: Path) -> None:
    (exported,) = export_trackers(write_boxes(tmp_path / "r.json", video_sizes=[]), "got10k", tmp_path / "out")
    assert "unknown" in exported.scores
