"""Validation by whole videos, and the choice of constants by it."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from tiny_run import tiny_run

from armory_skelevision.networks import SiamRPN
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.training import constants, videos
from armory_skelevision.training.constants import Trial, choose, write_trials, write_with_constants
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.run_record import record_run
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.training.videos import hash_videos, read_videos, score_videos
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.loading import read_metadata, save_weights
from armory_skelevision.weights.metadata import Metadata


def make_sequence(folder, boxes=("20,30,40,60", "22,30,40,60", "nan,nan,nan,nan", "26,30,40,60")):
    (folder / "img").mkdir(parents=True)
    for frame in range(len(boxes)):
        picture = np.random.default_rng(frame).integers(0, 255, (120, 160, 3), np.uint8)
        cv2.imwrite(str(folder / f"img/{frame + 1:05d}.jpg"), picture)
    (folder / "groundtruth_rect.txt").write_text("".join(f"{box}\n" for box in boxes))
    return str(folder)


def test_frames_are_those_of_the_files(tmp_path):
    folder = make_sequence(tmp_path / "walk")
    (video,) = read_videos({folder: "plain"})
    assert video.group == folder and len(video.files) == 4
    np.testing.assert_array_equal(video.boxes_xyxy, [[20, 30, 60, 90], [22, 30, 62, 90], [0] * 4, [26, 30, 66, 90]])
    frames = video.open()
    assert (len(frames), frames.height, frames.width) == (4, 120, 160)
    for index in (3, 1):
        picture = cv2.imread(str(video.files[index]))[..., ::-1].copy()
        part = frames.pixels(index, (slice(5, 20), slice(7, 30)))
        torch.testing.assert_close(part, torch.from_numpy(picture[5:20, 7:30] / 255).permute(2, 0, 1).float())


def test_few_frames_are_in_memory(tmp_path, monkeypatch):
    (video,) = read_videos({make_sequence(tmp_path / "walk"): "plain"})
    read = []
    monkeypatch.setattr(videos, "read_image", lambda path: read.append(path.name) or np.zeros((120, 160, 3), np.uint8))
    frames = video.open()
    for index in (0, 0, 1, 1, 0):
        frames.frame(index)
    assert read == ["00001.jpg", "00002.jpg", "00001.jpg"]


def test_rendered_videos_are_read(root):
    folder = str(root / "armory_skelevision/datasets/walker_splits/mini")
    found = read_videos({folder: "walkers"})
    assert len(found) == 3 and {video.group for video in found} == {folder}
    assert len(found[0].open()) == len(found[0].boxes_xyxy)


@pytest.mark.parametrize(
    ("boxes", "error"),
    [
        (("nan,nan,nan,nan", "1,1,5,5"), InvalidValueError),
        (("1,1,5,5", "nan,nan,nan,nan"), InvalidValueError),
        (("1,1,5,5", "1,1,0,5"), InvalidValueError),
    ],
)
def test_videos_without_boxes_are_refused(tmp_path, boxes, error):
    folder = make_sequence(tmp_path / "walk", boxes)
    with pytest.raises(error) as caught:
        read_videos({folder: "plain"})
    assert caught.value.key.startswith(f"{folder}/groundtruth_rect.txt")


def test_missing_videos_are_named(tmp_path):
    with pytest.raises(MissingFileError):
        read_videos({str(tmp_path / "none"): "plain"})


def track_truth(monkeypatch, offsets):
    """Let the tracker find the first box of each video, moved to the right by a number per frame."""

    def track(matchers):
        moves = torch.tensor(offsets)[:, None] * torch.tensor([1.0, 0, 1, 0])
        return [(matcher.crops.box_xyxy + moves, torch.ones(len(offsets))) for matcher in matchers]

    monkeypatch.setattr(videos, "track_boxes", track)


def test_scores_leave_out_the_first_frame_and_those_without_a_box(tmp_path, monkeypatch):
    names = [make_sequence(tmp_path / name) for name in "ab"]
    track_truth(monkeypatch, [40, 2, 0, 26])  # wrong, right, not counted, IoU 1/3
    scores = score_videos(SiamRPN().eval(), read_videos(dict.fromkeys(names, "plain")), TrackerSettings())
    assert scores == pytest.approx(dict.fromkeys(names, (1 + 1 / 3) / 2), abs=1e-6)


def test_each_folder_counts_the_same(tmp_path, monkeypatch, root):
    walk = make_sequence(tmp_path / "walk")
    split = str(root / "armory_skelevision/datasets/walker_splits/mini")
    run = tiny_run(MultitaskSettings, tmp_path / "run", validation_videos={walk: "plain", split: "walkers"})
    training = MultitaskTraining(run)
    assert training.monitor == "video_iou"
    monkeypatch.setattr(videos, "video_iou", lambda video, boxes_xyxy: 0.9 if video.group == walk else 0.3)
    logged = {}
    training.log, training.log_dict = lambda name, value, **_: logged.update({name: value}), logged.update
    training.on_validation_epoch_end()
    expected = {"video_iou": 0.6, f"video_iou {walk}": 0.9, f"video_iou {split}": 0.3}
    assert logged == pytest.approx(expected) and set(expected) <= set(training.validated)


def test_the_tracker_of_the_validation_is_that_of_the_weights_file(tmp_path):
    training = MultitaskTraining(tiny_run(MultitaskSettings, tmp_path))
    crops = torch.randint(0, 256, (1, 127, 127, 3), dtype=torch.uint8)
    before = {name: tensor.clone() for name, tensor in training.state_dict().items()}
    features = training._tracker().embed(crops.permute(0, 3, 1, 2).float())
    expected = training.network.eval().embed((crops.permute(0, 3, 1, 2).float() - 118) / 64)
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(before[name], tensor) for name, tensor in training.state_dict().items())


def test_the_record_depends_on_frames_and_boxes(tmp_path):
    folder = make_sequence(tmp_path / "walk")
    run = tiny_run(MultitaskSettings, tmp_path / "run", validation_videos={folder: "plain"})
    first = record_run(run, {})["sha256"]["validation_videos"]
    assert first == hash_videos({folder: "plain"})
    cv2.imwrite(f"{folder}/img/00002.jpg", np.zeros((120, 160, 3), np.uint8))
    second = hash_videos({folder: "plain"})
    (tmp_path / "walk/groundtruth_rect.txt").write_text("20,30,40,60\n" * 4)
    assert len({first, second, hash_videos({folder: "plain"})}) == 3
    assert "validation_videos" not in record_run(dataclasses.replace(run, validation_videos={}), {})["sha256"]


def test_constants_are_tried_in_all_combinations(tmp_path, monkeypatch):
    save_weights(SiamRPN(), tmp_path / "a.safetensors", Metadata(None, 0, "test", "MIT", 0))
    tried = []
    monkeypatch.setattr(constants, "score_videos", lambda network, read, settings: tried.append(settings) or {"a": 0.5})
    trials = constants.try_constants(
        tmp_path / "a.safetensors", {make_sequence(tmp_path / "walk"): "plain"}, (0.1, 0.16), (0.4,), (0.3,)
    )
    assert tried == [trial.settings for trial in trials] == [TrackerSettings(), TrackerSettings(penalty_k=0.1)]


def test_the_usual_constants_are_kept_unless_others_are_clearly_better():
    usual = Trial(TrackerSettings(), {"a": 0.5, "b": 0.6})
    similar = Trial(TrackerSettings(penalty_k=0.1), {"a": 0.5, "b": 0.618})
    better = Trial(TrackerSettings(penalty_k=0.2), {"a": 0.5, "b": 0.63})
    assert choose([usual, similar]) is usual
    assert choose([usual, similar, better]) is better


def test_chosen_constants_are_written(tmp_path):
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    metadata = Metadata(None, 0, "test", "MIT", 0, tracking={"window_influence": 0.65})
    save_weights(SiamRPN(), source, metadata)
    write_with_constants(source, target, TrackerSettings(penalty_k=0.24))
    assert read_metadata(target) == dataclasses.replace(metadata, tracking={"penalty_k": 0.24})
    with pytest.raises(InvalidValueError):
        write_with_constants(source, target, TrackerSettings())
    usual, better = Trial(TrackerSettings(), {"a": 0.5}), Trial(TrackerSettings(penalty_k=0.2), {"a": 0.75})
    write_trials([usual, better], tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines == [
        "penalty_k,window_influence,learning_rate,mean_iou,a",
        "0.2,0.4,0.3,0.7500,0.7500",
        "0.16,0.4,0.3,0.5000,0.5000",
    ]


def test_the_command_tells_wrong_layouts(run, tmp_path):
    code, _, err = run("train", "constants", tmp_path / "a.safetensors", "--video", "walk=tape")
    assert code == 1 and "--video walk" in err
