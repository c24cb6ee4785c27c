"""`skelevision track`: anybody's video, with files to look at."""

import json
import sys
from itertools import islice

import cv2
import numpy as np
import pytest
from doubles import cleaner
from moving_camera import film
from sequence_data import NAMES, write_layout

from armory_skelevision.datasets.frame_source import open_frames
from armory_skelevision.evaluation import own_video
from armory_skelevision.evaluation.own_video import draw_box
from armory_skelevision.io.images import read_image
from armory_skelevision.io.video_files import read_video, write_video
from armory_skelevision.results.labels import flatten
from armory_skelevision.validation import InvalidValueError

TRACKER = '''
import numpy as np

class Follower:
    """Moves right by two pixels a frame; loses itself in the fifth frame."""
    def init(self, image, box):
        self.box, self.frame = np.array(box, float), 0

    def update(self, image):
        self.frame += 1
        self.box[0] += 2
        return self.box.tolist(), .1 if self.frame == 4 else .9
'''


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a tracker and a video in it."""
    (tmp_path / "followers.py").write_text(TRACKER)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the module is another one in each test
    monkeypatch.delitem(sys.modules, "followers", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_video("street.mp4", np.stack(film(frames=6)[0]), 12.5, preset="ultrafast")
    return tmp_path


def read_rows(path):
    return [[float(value) for value in line.split(",")] for line in path.read_text().splitlines()]


def test_a_video_file_is_tracked(run, here):
    code, out, err = run("track", "street.mp4", "--box", "60,40,20,50", "--model", "followers:Follower", "--out", "o")
    assert (code, err) == (0, "")
    assert "6 frames" in out and "perhaps lost in 1" in out
    assert sorted(path.name for path in (here / "o").iterdir()) == [
        "boxes.txt",
        "result.json",
        "scores.txt",
        "video.mp4",
    ]
    assert read_rows(here / "o/boxes.txt") == [[60 + 2 * frame, 40, 20, 50] for frame in range(6)]
    assert read_rows(here / "o/scores.txt") == [[0.9], [0.9], [0.9], [0.9], [0.1], [0.9]]
    assert len(read_video(here / "o/video.mp4")) == 6
    record = json.loads((here / "o/result.json").read_text())
    assert record["results"]["benign_frame_boxes"][0][0][5] == [70, 40, 90, 90]
    assert record["results"]["video_names"] == ["street"] and "benign_video_tracking_mean_iou" not in record["results"]


def test_a_sequence_has_true_boxes(run, here):
    folder = here / "otb" / "Street"
    (folder / "img").mkdir(parents=True)
    for number, frame in enumerate(film(frames=4)[0], 1):
        cv2.imwrite(str(folder / f"img/{number:04d}.jpg"), frame)
    (folder / "groundtruth_rect.txt").write_text("61,41,20,50\n63,41,20,50\n65,41,20,50\n67,41,20,50\n")
    model = ("--model", "followers:Follower")
    code, out, _ = run("track", folder, *model, "--layout", "otb", "--frames", 3, "--out", "o")
    assert code == 0 and "mean IoU with true boxes 1.000" in out
    record = json.loads((here / "o/result.json").read_text())
    assert record["results"]["benign_video_tracking_mean_iou"] == [[1]]
    assert run("report", "o", "--out", "page")[0] == 0
    code, _, err = run("track", folder, *model, "--layout", "otb", "--box", "1,2,3,4", "--out", "p")
    assert code == 1 and err.startswith("error: box: expected none")
    assert not (here / "p").exists()


def test_frames_without_the_target_are_left_out_of_the_printed_mean(run, here):
    write_layout(here / "got", "got10k")
    folder = here / "got" / NAMES["got10k"]
    (folder / "groundtruth.txt").write_text("10,8,20,30\n12,8,20,30\n0,0,0,0\n16,8,20,30\n")
    (folder / "cover.label").write_text("8\n8\n0\n8\n")
    assert "true boxes 1.000" in run("track", folder, "--model", "followers:Follower", "--out", "o")[1]
    results = json.loads((here / "o/result.json").read_text())["results"]
    assert results["benign_average_overlap"] == [[1]]


@pytest.mark.parametrize("frames", ["4", "2"])
def test_a_sequence_whose_truth_is_withheld_is_a_video_with_a_first_box(run, here, frames):
    write_layout(here / "got", "got10k")
    folder = here / "got" / NAMES["got10k"]
    (folder / "groundtruth.txt").write_text("10,8,20,30\n")
    code, out, _ = run("track", folder, "--model", "followers:Follower", "--frames", frames, "--out", "o")
    assert code == 0 and "true boxes" not in out
    assert len(read_rows(here / "o/boxes.txt")) == int(frames)


def test_an_attack_is_told_the_boxes_of_the_benign_run(run, here):
    (here / "pgd.json").write_text('{"name": "PGD", "kwargs": {"max_iter": 1, "verbose": false}}')
    args = ("track", "street.mp4", "--box", "60,40,20,50", "--frames", "3", "--model", "siamrpn_stl", "--device", "cpu")
    code, out, err = run(*args, "--attack", "pgd.json", "--out", "o")
    assert (code, err) == (0, "")
    assert "attacked: mean IoU with the benign run" in out and "benign: " not in out
    names = {"boxes.txt", "scores.txt", "attacked_boxes.txt", "attacked_scores.txt", "video.mp4", "result.json"}
    assert names | {"boxes.csv", "attacked"} == {path.name for path in (here / "o").iterdir()}
    attacked = [read_image(here / f"o/attacked/{number:08d}.png") for number in (1, 2, 3)]
    change = np.abs(np.stack(attacked).astype(int) - np.stack(list(islice(open_frames("street.mp4"), 3))))
    assert 1 <= change.max() <= 9  # of 255: PGD's bound is 8/255, and frames are rounded
    assert "benign run" in json.loads((here / "o/result.json").read_text())["config"]["dataset"]["truth"]
    code, out, err = run("export-attacked", "o", "--layout", "got10k", "--out", "data")
    assert (code, err) == (0, "") and "1 sequence, 3 frames" in out
    assert "true boxes are the boxes of the benign run" in out
    code, out, _ = run("export", "o", "--format", "otb", "--out", "otb")
    assert code == 0 and out.count("no true boxes") == 2 and "AUC" not in out
    assert "with the tracker's own boxes for true ones" in run("summary", "o")[1]


def test_a_patch_stays_on_its_wall_and_behind_the_target(run, here):
    (here / "patch.json").write_text('{"name": "PatchAttack", "kwargs": {"max_iter": 0, "verbose": false}}')
    corners = ("--screen", "70,50,130,54,128,110,72,106", "--track-screen")
    args = ("track", "street.mp4", "--box", "60,40,20,50", "--model", "siamrpn_stl", "--attack", "patch.json")
    assert run(*args, *corners, "--out", "o")[0] == 0
    first, last = (read_image(here / f"o/attacked/{number:08d}.png").astype(int) for number in (1, 6))
    before = np.stack(list(open_frames("street.mp4"))).astype(int)
    changed = [np.abs(first - before[0]).max(axis=2) > 8, np.abs(last - before[5]).max(axis=2) > 8]
    x, y, width, height = map(round, read_rows(here / "o/boxes.txt")[0])
    assert not changed[0][y + 1 : y + height - 1, x + 1 : x + width - 1].any()  # the target is in front
    assert changed[0][60:100, 90:120].mean() > 0.5
    columns = [np.argwhere(each)[:, 1].max() for each in changed]
    true = film(frames=6)[1]
    assert columns[1] - columns[0] == pytest.approx(true[5, 1, 0] - true[0, 1, 0], abs=3)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--box", "1,2,3"], "--box"),
        (["--box", "1,2,3,x"], "--box"),
        (["--box", "500,2,30,40"], "box"),
        (["--box", "60,40,20,50", "--screen", "1,2"], "--screen"),
        (["--box", "60,40,20,50", "--attack", "Autopach"], "--attack.name"),
        (["--box", "60,40,20,50", "--attack", "PatchAttack"], "screen"),
        (["--box", "60,40,20,50", "--attack", "PGD", "--screen", "70,50,130,54,128,110,72,106"], "screen"),
        (["--box", "60,40,20,50", "--attack", "PatchAttack", "--screen", "900,50,960,50,960,90,900,90"], "screen"),
        (["--box", "60,40,20,50", "--defense", "gone.json"], "gone.json"),
        (["--box", "60,40,20,50", "--model", "siamrpn_stlx"], "name"),
        ([], "box"),
    ],
)
def test_mistakes_are_named_and_leave_no_folder(run, here, monkeypatch, arguments, key):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, out, err = run("track", "street.mp4", "--model", "siamrpn_stl", "--device", "cpu", *arguments, "--out", "o")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {key}") and err.count("\n") == 1
    assert not (here / "o").exists()


def test_results_are_never_overwritten(run, here):
    args = ("track", "street.mp4", "--box", "60,40,20,50", "--model", "followers:Follower", "--out", "o")
    assert run(*args)[0] == 0
    before = (here / "o/boxes.txt").read_bytes()
    code, _, err = run(*args)
    assert code == 1 and err.startswith("error: o: expected a new or empty folder")
    assert (here / "o/boxes.txt").read_bytes() == before


def test_an_interrupted_run_leaves_nothing(run, here, monkeypatch):
    text = TRACKER.replace("self.frame += 1", "self.frame += 1; assert self.frame < 3")
    (here / "followers.py").write_text(text)
    code, _, err = run("track", "street.mp4", "--box", "60,40,20,50", "--model", "followers:Follower", "--out", "o")
    assert code == 1 and "frame 3" in err
    assert {path.name for path in here.iterdir()} <= {"followers.py", "street.mp4", "__pycache__"}


def test_a_defense_stands_in_front_of_the_tracker(run, here, tmp_path):
    defense = cleaner(tmp_path)
    kwargs = {"weights_file": str(defense.weights_file), "width": "small", "device_type": "cpu"}
    section = {"name": "DuaLossDef", "kwargs": kwargs}
    (here / "defense.json").write_text(json.dumps(section))
    args = ("track", "street.mp4", "--box", "60,40,20,50", "--model", "siamrpn_stl", "--frames", "3")
    assert run(*args, "--out", "bare")[::2] == (0, "")
    assert run(*args, "--defense", "defense.json", "--out", "defended")[::2] == (0, "")
    assert (here / "bare/boxes.txt").read_text() != (here / "defended/boxes.txt").read_text()


def test_a_box_is_drawn_where_there_is_a_display(monkeypatch):
    frame = np.zeros((8, 8, 3), np.uint8)
    frame[..., 0] = 200  # red
    monkeypatch.setenv("DISPLAY", ":0")
    seen = []
    monkeypatch.setattr(own_video.cv2, "selectROI", lambda title, image, **_: seen.append(image) or (1, 2, 3, 4))
    monkeypatch.setattr(own_video.cv2, "destroyAllWindows", lambda: None)
    assert draw_box(frame) == (1, 2, 3, 4)
    assert seen[0][0, 0].tolist() == [0, 0, 200]  # OpenCV shows BGR
    monkeypatch.setattr(own_video.cv2, "selectROI", lambda *_, **__: (0, 0, 0, 0))
    with pytest.raises(InvalidValueError):
        draw_box(frame)


def test_a_result_without_true_boxes_is_exported_and_shown_beside_others(run, here):
    model = ("--box", "60.5,40,20,50", "--model", "followers:Follower")
    assert run("track", "street.mp4", *model, "--out", "runs/plain")[0] == 0
    write_layout(here / "got", "got10k")
    folder = here / "got" / NAMES["got10k"]
    assert run("track", folder, "--model", "followers:Follower", "--out", "runs/true")[0] == 0
    for form, path in {"got10k": "street/street_001.txt", "otb": "street.txt", "lasot": "street.txt"}.items():
        code, out, err = run("export", "runs/plain", "--format", form, "--out", form)
        assert (code, err) == (0, "") and out.endswith("1 sequence  no true boxes\n")
        first = 1 if form == "otb" else 0
        rows = [[x + first, 40 + first, 20, 50] for x in (60.5, 62.5, 64.5, 66.5, 68.5, 70.5)]
        assert read_rows(here / form / "followers:Follower" / path) == rows
    assert run("export", "runs/plain", "--format", "vot", "--out", "vot")[0] == 0
    code, out, err = run("summary", "runs")
    assert code == 0 and "6 frames tracked, no true boxes" in out and "note: plain: the video has no true boxes" in err
    code, _, err = run("report", "runs", "--out", "page")
    assert code == 0 and "note: plain" in err
    page = (here / "page/index.html").read_text()
    assert "the video has no true boxes" in page and "nan" not in page.lower()
    recorded = json.loads((here / "runs/plain/result.json").read_text())["config"]
    assert "box_xywh" in recorded["dataset"] and "dataset.box_xywh" not in flatten(recorded)  # no setting of a run
    code, _, err = run("compare", "runs/plain", "runs/true")
    assert code == 1 and "expected at least one finished run" in err and "a video with true boxes" in err


def test_the_box_that_a_tracker_was_given_is_exported_even_if_it_answers_with_another(run, here):
    args = ("track", "street.mp4", "--box", "60,40,20,50", "--frames", "2", "--model", "siamrpn_stl", "--device", "cpu")
    assert run(*args, "--out", "o")[0] == 0
    assert run("export", "o", "--format", "got10k", "--out", "got")[0] == 0
    rows = read_rows(here / "got/siamrpn_stl/street/street_001.txt")
    assert rows[0] == [60, 40, 20, 50] != read_rows(here / "o/boxes.txt")[0]
