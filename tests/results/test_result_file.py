import json
import math
from pathlib import Path

import pytest
from handmade_results import METRIC, make_config, make_frames, make_results, write_result

from armory_skelevision.results import values
from armory_skelevision.results.result_file import read_run
from armory_skelevision.validation import InvalidValueError, MissingFileError


def test_reads_a_run_of_another_tracker(tmp_path: Path) -> None:
    # as ARMORY's own GOTURN config writes it: no metric of ours, no mean where "means" is off, a list for each batch
    results = {f"benign_{METRIC}": [[0.5], [0.9]], f"adversarial_{METRIC}": [0.1, 0.3], "compute": {}}
    config = {"model": {"name": "get_tracker", "module": "armory.baseline_models.pytorch.carla_goturn"}}
    run = read_run(write_result(tmp_path / "r.json", results, config))
    assert run.benign.video_ious == (0.5, 0.9)
    assert run.benign.mean_iou == pytest.approx(0.7)
    assert run.adversarial.mean_iou == pytest.approx(0.2)
    assert run.config == config
    assert (run.versions, run.timestamp, run.checkpoints) == ({"armory-testbed": "0.19.2"}, 1795270699, {})
    assert str(run) == "benign mIoU 0.70  adversarial mIoU 0.20"
    assert (run.video_name(1), run.state) == ("video 1", "finished")
    assert (run.name, run.folder, run.path) == ("r", tmp_path, tmp_path / "r.json")


def test_reads_our_metrics_by_short_and_by_dotted_name(tmp_path: Path) -> None:
    results = make_results(
        (0.5, 0.5),
        (0.75, 0.125),
        benign_mean_success_auc=[0.6],
        **{"adversarial_mean_armory_skelevision.metrics.success_auc": [0.4]},
        adversarial_success_auc=[[0.3], [0.5]],
        adversarial_frame_iou=[[[1.0, 0.75]], [[1.0, 0.25, 0.0]]],
        adversarial_mean_frame_iou=[0.3],
        adversarial_checkpoints=[{"5": 0.6, "10": 0.2}, {"5": 0.4}],
    )
    run = read_run(write_result(tmp_path / "r.json", results))
    assert run.benign.means == {METRIC: 0.5, "success_auc": 0.6}
    assert run.adversarial.means == pytest.approx({METRIC: 0.4375, "success_auc": 0.4})
    assert run.adversarial.videos["success_auc"] == (0.3, 0.5)
    assert run.adversarial.frame_ious == ((1.0, 0.75), (1.0, 0.25, 0.0))
    assert run.checkpoints == {5: (0.6, 0.4), 10: (0.2, None)}  # 10 steps were not recorded in both videos


@pytest.mark.parametrize("timestamp", [{}, {"timestamp": None}, {"timestamp": math.inf}])
def test_a_result_may_have_no_time(tmp_path: Path, timestamp: dict[str, float | None]) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"results": {f"benign_mean_{METRIC}": [0.7]}, **timestamp}))
    run = read_run(tmp_path / "r.json")
    assert (run.timestamp, run.versions) == (0, {})


def test_reads_keypoints_as_shares(tmp_path: Path) -> None:
    results = make_results(
        (0.5,), (0.5,), relative_pck=[40], adversarial_keypoint_pck=[{"nose": 0.25, "left_eye": None}]
    )
    run = read_run(write_result(tmp_path / "r.json", results))
    assert run.adversarial.means == {METRIC: 0.5, "relative_pck": 0.4, "keypoint_pck.nose": 0.25}
    assert run.adversarial.missing == set()
    run = read_run(write_result(tmp_path / "r.json", {**results, "relative_pck": [None]}))
    assert run.adversarial.missing == {"relative_pck"}
    run = read_run(write_result(tmp_path / "r.json", {**results, "relative_pck": [0]}))
    assert run.adversarial.means["relative_pck"] == 0


def test_a_mean_without_a_value_is_missing(tmp_path: Path) -> None:
    results = {f"benign_mean_{METRIC}": [None], f"adversarial_mean_{METRIC}": [0.5]}
    run = read_run(write_result(tmp_path / "r.json", results))
    assert (run.benign.missing, run.benign.means) == ({METRIC}, {})


def test_links_out_of_the_given_folder_are_not_followed(tmp_path: Path) -> None:
    write_result(tmp_path / "r.json", {IOU: [0.5]})
    (folder := tmp_path / "in").mkdir()
    (folder / "r.json").symlink_to(tmp_path / "r.json")
    assert read_run(folder / "r.json", inside=tmp_path).benign.mean_iou == 0.5
    with pytest.raises(InvalidValueError) as caught:
        read_run(folder / "r.json", inside=folder)
    assert caught.value.key == str(folder / "r.json")


def test_a_skipped_side_is_none(tmp_path: Path) -> None:
    run = read_run(write_result(tmp_path / "r.json", {f"benign_mean_{METRIC}": [0.7]}))
    assert run.adversarial.mean_iou is None
    assert str(run) == "benign mIoU 0.70  adversarial mIoU skipped"


def test_reads_frames_of_each_video(tmp_path: Path) -> None:
    results = make_results((0.5, 0.55), **make_frames((1.0, 0.5), (1.0, 0.6, 0.5)))
    results |= {"benign_mean_frame_iou": [0.5], "benign_tracked_frames": [5], "benign_annotated_frames": [5]}
    run = read_run(write_result(tmp_path / "r.json", results))
    assert run.benign.frame_ious == ((1.0, 0.5), (1.0, 0.6, 0.5))
    assert run.benign.true_boxes_xyxy[1] == ((0, 0, 10, 10),) * 3
    assert run.benign.boxes_xyxy[0][1] == (10 / 3, 0, 40 / 3, 10)
    assert set(run.benign.means) == set(run.benign.videos) == {METRIC}
    assert run.adversarial.boxes_xyxy == ()


def test_videos_have_the_recorded_names_or_numbers(tmp_path: Path) -> None:
    named = make_results((0.5, 0.6), video_names=["Crossing", "Human7"])
    for results, names in ((named, ["Crossing", "Human7"]), (make_results((0.5, 0.6)), ["video 0", "video 1"])):
        run = read_run(write_result(tmp_path / "r.json", results, make_config(dataset__names=["Jogging", "Walking"])))
        assert [run.video_name(number) for number in (0, 1)] == names


IOU = f"benign_{METRIC}"
FRAMES = make_frames((1.0, 0.5), (1.0, 0.6))


@pytest.mark.parametrize(
    ("key", "recorded"),
    [
        (IOU, [[0.5], [0.6]]),
        ("benign_frame_iou", FRAMES["benign_frame_iou"]),
        ("benign_frame_boxes", FRAMES["benign_frame_boxes"]),
        ("adversarial_checkpoints", [{"5": 0.5}, {"5": 0.6}]),
        ("video_names", ["a", "b"]),
    ],
)
def test_the_number_of_videos_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, recorded: list[object]
) -> None:
    path = write_result(tmp_path / "r.json", {f"benign_mean_{METRIC}": [0.55], key: recorded})
    monkeypatch.setattr(values, "MAX_VIDEOS", 2)
    assert read_run(path).benign.mean_iou == 0.55
    monkeypatch.setattr(values, "MAX_VIDEOS", 1)
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert caught.value.key == f"{path}: {key}"
    assert (caught.value.expected, caught.value.got) == ("values of at most 1 videos", "more, 2")


def test_the_largest_values_are_read(tmp_path: Path) -> None:
    box = [0, 0, 1e9, 1e9]
    results = {IOU: [0.5], "benign_frame_boxes": [[[box]]], "benign_foo": [1e100]}
    for share in (1.000001, -0.000001):
        run = read_run(write_result(tmp_path / "r.json", {**results, "adversarial_success_auc": [share]}))
        assert run.benign.boxes_xyxy == ((tuple(box),),)
        assert (run.benign.videos["foo"], run.adversarial.means) == ((1e100,), {"success_auc": share})


@pytest.mark.parametrize("nothing", [None, []])
def test_a_metric_may_have_recorded_nothing(tmp_path: Path, nothing: list[float] | None) -> None:
    names = ("benign_success_auc", "benign_frame_iou", "benign_frame_boxes", "adversarial_checkpoints", "video_names")
    run = read_run(write_result(tmp_path / "r.json", {IOU: [0.5], **dict.fromkeys(names, nothing)}))
    assert run.benign.videos == {METRIC: (0.5,)}
    assert run.benign.frame_ious == run.benign.boxes_xyxy == run.names == ()
    assert run.checkpoints == {}


@pytest.mark.parametrize(
    ("results", "place", "got"),
    [
        ({IOU: [[math.inf]]}, IOU, "inf"),
        ({f"benign_mean_{METRIC}": ["high"]}, f"benign_mean_{METRIC}", "'high'"),
        ({IOU: [0.5], "benign_frame_boxes": [[[[1, 2, 3, 1e10]]]]}, "benign_frame_boxes", "[1, 2, 3, 10000000000.0]"),
        ({IOU: [0.5], "adversarial_checkpoints": [3]}, "adversarial_checkpoints", "[3]"),
    ],
)
def test_a_damaged_value_is_named(tmp_path: Path, results: dict[str, object], place: str, got: str) -> None:
    path = write_result(tmp_path / "r.json", results)
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert (caught.value.key, caught.value.got) == (f"{path}: {place}", got)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("[" * 100_000, "it is nested too deeply"),
        ("{", "Expecting property name"),
        ("\xff", "byte 0xff at position 0"),
        ("[]", "JSON of type list"),
        ('{"results": null}', 'an object without "results"'),
        ('{"results": {}}', "none"),
        ('{"results": {"benign_mean_b": [1], "benign_mean_a": [1]}}', "benign_mean_a, benign_mean_b"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, got: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InvalidValueError) as caught:
        read_run(path)
    assert caught.value.key == str(path)
    assert caught.value.got.startswith(got)


def test_a_result_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as caught:
        read_run(tmp_path / "nowhere.json")
    assert caught.value.key == str(tmp_path / "nowhere.json")
