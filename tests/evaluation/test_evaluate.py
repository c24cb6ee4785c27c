import dataclasses
import json

import numpy as np
import pytest
import torch
from art.attacks.attack import EvasionAttack
from art.defences.preprocessor import FeatureSqueezing
from doubles import (
    SMALL,
    ColourTracker,
    IdentityTracker,
    cleaner,
    overlaps,
    random_estimator,
    screen_scene,
    tiny_estimator,
)

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import PGD, PatchAttack
from armory_skelevision.boxes import LEFT_OUT_XYXY
from armory_skelevision.evaluation.drawing import Panel, draw_video
from armory_skelevision.io import hash_file
from armory_skelevision.io.video_files import read_video
from armory_skelevision.results.comparison import compare
from armory_skelevision.results.export.trackers import export_trackers
from armory_skelevision.results.labels import label_runs
from armory_skelevision.results.load import load_runs
from armory_skelevision.validation import InvalidTypeError, InvalidValueError


@pytest.fixture
def video():
    x, y, metadata = screen_scene()
    return load_video(x[0], y[0]["boxes"], name="scene", frame_rate=5, **metadata[0])


class Darkness(EvasionAttack):
    """Knows nothing of screens, as most attacks of ART; leaves black frames and remembers the boxes it was given."""

    _estimator_requirements = ()
    attack_params = ["depth"]
    depth = 1

    def generate(self, x, y=None, **kwargs):
        self.given = y, kwargs
        return 0 * x


def test_a_single_frame_is_no_video(video):
    with pytest.raises(InvalidValueError) as refused:
        evaluate(IdentityTracker(), video[:1])
    assert refused.value.key == "video"


def test_the_scores_are_those_of_the_boxes(video):
    result = evaluate(IdentityTracker(), video)
    assert result.benign.boxes_xyxy.tolist() == [video.boxes_xyxy[0].tolist()] * len(video)
    ious = overlaps(result.benign.boxes_xyxy, video.boxes_xyxy)
    assert result.benign.frame_ious == pytest.approx(ious)
    assert result.benign.mean_iou == pytest.approx(ious[1:].mean())
    assert result.benign.precision_20px == 1
    assert result.benign.normalised_precision == np.mean([1, 1, 1, 0, 0])  # 2 pixels a frame, of 20 that it is wide
    thresholds = np.arange(0, 1.05, 0.05)
    assert result.benign.success_auc == pytest.approx((ious[:, None] > thresholds).mean())
    assert (result.adversarial, result.attack, result.attack_seconds) == (None, None, None)


def test_without_true_boxes_those_of_the_benign_run_stand_in_and_the_result_says_so(video, tmp_path):
    x, y, width, height = 16, 20, 24, 40
    blind = load_video(video.frames, box_xywh=(x, y, width, height), name="mine")
    attack = Darkness(estimator=ColourTracker())
    result = evaluate(ColourTracker(), blind, attack)
    given = attack.given[0][0]["boxes"]
    assert given[0].tolist() == [x, y, x + width, y + height]
    assert given[1:].tolist() == result.benign.boxes_xyxy[1:].tolist() == result.video.boxes_xyxy[1:].tolist()
    assert result.truth_by_tracker and result.benign.mean_iou == 1
    assert json.loads((result.save(tmp_path / "run") / "result.json").read_text())["config"]["dataset"]["truth"]
    assert not evaluate(ColourTracker(), video).truth_by_tracker


def test_boxes_of_absent_targets_are_not_drawn(video):
    tracked = evaluate(IdentityTracker(), video).benign
    outside, absent = np.tile([-50.0, -50, -40, -40], (len(video), 1)), np.tile(LEFT_OUT_XYXY, (len(video), 1))
    drawn = [draw_video([Panel("", tracked, {"true": boxes_xyxy})]) for boxes_xyxy in (outside, absent)]
    np.testing.assert_array_equal(*drawn)


def test_an_attack_that_knows_no_screen_gets_videos_and_labels(video):
    attack = Darkness(estimator=ColourTracker())
    result = evaluate(ColourTracker(), video, attack)
    assert result.benign.scores is None
    (label,), others = attack.given
    assert np.array_equal(label["boxes"], video.boxes_xyxy)
    assert others == {}
    assert np.array_equal(result.adversarial.frames, 0 * video.frames)
    assert result.adversarial.boxes_xyxy.tolist() == [video.boxes_xyxy[0].tolist()] * len(video)
    assert result.attack_seconds >= 0
    assert np.array_equal(result.benign.frames, video.frames)


def test_a_patch_attack_gets_the_screen(video):
    tracker = ColourTracker()
    result = evaluate(tracker, video, PatchAttack(tracker, max_iter=3, step_size=0.5, verbose=False))
    changed = (result.adversarial.frames != video.frames).any(axis=-1)
    assert changed.any()
    assert not changed[video.masks == 0].any()
    assert result.adversarial.mean_iou < result.benign.mean_iou


def test_the_same_boxes_as_tracker_and_attack_by_hand(video):
    tracker = tiny_estimator()
    result = evaluate(tracker, video, PGD(tracker, max_iter=1, verbose=False))
    x, y = video.frames[None], [{"boxes": video.boxes_xyxy}]
    x_adv = PGD(tracker, max_iter=1, verbose=False).generate(x, y)
    for tracked, frames in ((result.benign, x), (result.adversarial, x_adv)):
        expected = tracker.predict(frames, y_init=video.boxes_xyxy[:1])[0]
        assert np.array_equal(tracked.boxes_xyxy, expected["boxes"])
        assert np.array_equal(tracked.scores, expected["scores"])


def test_several_videos_each_on_its_own(video):
    tracker = ColourTracker()
    results = evaluate(tracker, [video, video[:3]], Darkness(estimator=tracker))
    assert [len(result.adversarial.frames) for result in results] == [5, 3]


def test_a_defense_stands_before_the_tracker_for_this_call_alone(video, tmp_path):
    first, second = FeatureSqueezing(clip_values=(0, 1), bit_depth=4), cleaner(tmp_path)
    tracker = tiny_estimator(first)
    defended = tiny_estimator(first, second)
    expected = defended.predict(video.frames[None], y_init=video.boxes_xyxy[:1])[0]["boxes"]
    assert np.array_equal(evaluate(tracker, video, defense=second).benign.boxes_xyxy, expected)
    assert tracker.preprocessing_defences == [first]
    with pytest.raises(ValueError):  # noqa: PT011
        evaluate(tracker, load_video(video.frames, video.boxes_xyxy - 1000), defense=second)
    assert tracker.preprocessing_defences == [first]


def test_an_attack_that_works_in_place_leaves_the_video_alone(video):
    class InPlace(Darkness):
        def generate(self, x, y=None, **kwargs):
            x *= 0
            return x

    before = video.frames.copy()
    with pytest.raises(ValueError, match="read-only"):
        evaluate(ColourTracker(), video, InPlace(estimator=ColourTracker()))
    assert np.array_equal(video.frames, before)


def test_results_can_be_printed(video):
    text = repr(evaluate(IdentityTracker(), video))
    assert "mean_iou=0.6" in text
    assert "'scene', 5 frames of 160x120" in text
    assert len(text) < 500


def test_what_is_no_video_is_refused():
    for wrong in (np.zeros((4, 40, 40, 3)), "walkers/mini/0", [None]):
        with pytest.raises(InvalidTypeError) as error:
            evaluate(IdentityTracker(), wrong)
        assert error.value.key == "video"


def test_saved_files(video, tmp_path):
    tracker = ColourTracker()
    result = evaluate(tracker, video, Darkness(estimator=tracker))
    folder = result.save(tmp_path / "new" / "out")
    config = json.loads((folder / "result.json").read_text())["config"]
    assert config["dataset"] == {"name": "scene", "names": ["scene"], "frames": 5}
    assert config["model"]["name"] == "ColourTracker"
    assert (config["attack"]["name"], config["attack"]["kwargs"]) == ("Darkness", {"depth": 1})
    assert config["defense"] is None
    (saved,) = load_runs([folder]).runs
    for name in ("benign", "adversarial"):
        side, tracked = getattr(saved, name), getattr(result, name)
        assert side.mean_iou == tracked.mean_iou and side.means["success_auc"] == tracked.success_auc
        assert list(side.frame_ious[0]) == tracked.frame_ious
        assert np.array_equal(side.boxes_xyxy[0], tracked.boxes_xyxy)
        assert (side.scores, tracked.lost_but_sure, tracked.mean_attack_success_rate) == ((), None, None)
    assert saved.sizes == (video.frames.shape[2:0:-1],)
    table = np.genfromtxt(folder / "boxes.csv", delimiter=",", names=True)
    boxes = np.stack([table[f"adversarial_{corner}"] for corner in ("x1", "y1", "x2", "y2")], axis=1)
    assert np.array_equal(boxes.astype(np.float32), result.adversarial.boxes_xyxy)
    assert table["benign_iou"].tolist() == result.benign.frame_ious
    assert "benign_score" not in table.dtype.names
    shown = read_video(folder / "video.mp4")
    assert len(shown) == len(video)
    assert shown.shape[2] > 2 * video.frames.shape[2]


def test_the_reach_of_a_patch_is_saved(video, tmp_path):
    tracker = random_estimator(settings=SMALL)
    attack = PatchAttack(tracker, max_iter=0, verbose=False)
    hidden = load_video(video.frames, video.boxes_xyxy, gs_coords=video.gs_coords, masks=0 * video.masks)
    results = evaluate(tracker, [hidden, video], attack)
    assert [result.reach for result in results] == attack.reach
    assert results[0].reach == 0 < results[1].reach <= 1
    (saved,) = load_runs([results[1].save(tmp_path / "out")]).runs
    assert saved.reach == (results[1].reach,)


def test_attacks_that_know_of_no_reach_save_none(video, tmp_path):
    own = Darkness(estimator=ColourTracker())
    own.reach = "far"
    third_party = PatchAttack(ColourTracker(), max_iter=0, verbose=False)
    for number, attack in enumerate((own, third_party, None)):
        result = evaluate(ColourTracker(), video, attack)
        assert result.reach is None
        saved = json.loads((result.save(tmp_path / str(number)) / "result.json").read_text())
        assert "reach" not in saved["results"]


def test_scores_of_the_network_are_saved(video, tmp_path):
    result = evaluate(tiny_estimator(), video)
    folder = result.save(tmp_path / "out")
    table = np.genfromtxt(folder / "boxes.csv", delimiter=",", names=True)
    assert np.array_equal(table["benign_score"].astype(np.float32), result.benign.scores)
    (saved,) = load_runs([folder]).runs
    assert np.array_equal(saved.benign.scores[0], result.benign.scores)


class SureTracker(IdentityTracker):
    """Stays where it was, and is surer of black frames than of others."""

    def predict(self, x, **kwargs):
        black = np.asarray(x).max(axis=(2, 3, 4)) == 0
        (answer,) = super().predict(x, **kwargs)
        return [{**answer, "scores": 0.5 + 0.4 * black[0]}]


def test_an_attacked_tracker_that_is_lost_but_sure(video, tmp_path):
    tracker = SureTracker()
    far = dataclasses.replace(video, boxes_xyxy=video.boxes_xyxy + 30 * (np.arange(len(video)) > 2)[:, None])
    result = evaluate(tracker, far, Darkness(estimator=tracker))
    assert (result.benign.lost_but_sure, result.adversarial.lost_but_sure) == (0, 2 / 4)  # of frames 1 to 4
    assert result.adversarial.mean_attack_success_rate == 0
    (saved,) = load_runs([result.save(tmp_path / "out")]).runs
    assert saved.adversarial.means["lost_but_sure"] == 2 / 4
    assert saved.benign.means["mean_attack_success_rate"] == 0


def test_a_tracker_of_the_users_own_keeps_its_name(video, tmp_path):
    tracker = load_tracker("armory_skelevision.evaluation.check.stand_in:StandingTracker")
    folder = evaluate(tracker, video).save(tmp_path / "result")
    model = json.loads((folder / "result.json").read_text())["config"]["model"]
    factory = "armory_skelevision.evaluation.check.stand_in:StandingTracker"
    assert (model["name"], model["model_kwargs"]) == ("external", {"factory": factory})
    assert [each.folder.name for each in export_trackers(folder, "otb", tmp_path / "out")] == [factory]


def test_results_tell_trackers_of_one_class_apart(video, tmp_path):
    stl = load_tracker("siamrpn_stl", device="cpu")
    same = tmp_path / "other" / "siamrpn_alex_stl.safetensors"  # another file of the same name
    same.parent.mkdir()
    same.write_bytes(stl.weights_path.read_bytes())
    trackers = [stl, load_tracker("siamrpn_mtl", device="cpu"), load_tracker(same, device="cpu")]
    folders = [evaluate(each, video).save(tmp_path / str(number)) for number, each in enumerate(trackers)]
    runs = load_runs(folders).runs
    assert [label.model for label in label_runs(runs)] == ["STL siamrpn_alex_stl.safetensors", "MTL", f"STL {same}"]
    assert runs[0].weights == {"siamrpn_alex_stl.safetensors": hash_file(same)}
    names = [each.folder.name for folder in folders[:2] for each in export_trackers(folder, "otb", tmp_path / "out")]
    assert names == ["siamrpn_stl", "siamrpn_mtl"]
    comparison = compare(folders[0], folders[1], ["model"])
    assert comparison.is_fair


def test_the_drawing_shows_boxes_where_they_are(video, tmp_path):
    result = evaluate(IdentityTracker(), load_video(0 * video.frames, video.boxes_xyxy))
    shown = read_video(result.save(tmp_path / "out") / "video.mp4").astype(int)
    scale = 3  # 160 pixels wide frames are enlarged to 480
    x1, y1, x2, y2 = (video.boxes_xyxy[4] * scale).astype(int)
    top = (shown.shape[1] - 120 * scale) // 2
    middle = top + (y1 + y2) // 2
    assert shown[4, middle, x1 + 1].min() > 120  # the true box is white …
    blue = shown[4, middle, round(60 * scale) + 1]  # … and the tracked one, still where it was in frame 0, blue
    assert blue[2] > blue[0] + 50
    assert shown[4, middle, (x1 + x2) // 2].max() < 40


def test_nothing_is_overwritten(video, tmp_path):
    result = evaluate(IdentityTracker(), video)
    folder = result.save(tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for target in (folder, folder / "result.json"):
        with pytest.raises(InvalidValueError) as error:
            result.save(target)
        assert error.value.key == str(target)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert sorted(path.name for path in folder.iterdir()) == ["boxes.csv", "result.json", "video.mp4"]


class Broken(IdentityTracker):
    """A third-party tracker that answers with anything."""

    answer = None

    def predict(self, x, batch_size=1, *, y_init=None):
        return self.answer


BOXES = np.ones((3, 4)) * [1, 1, 9, 9]


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (None, "tracker"),
        ([], "tracker"),
        ([None], "tracker"),
        ([{"box": BOXES}], "tracker"),
        ([{"boxes": "boxes"}], "tracker"),
        ([{"boxes": BOXES[:2]}], "tracker"),
        ([{"boxes": BOXES, "scores": [1, np.nan, 1]}], "tracker"),
        ([{"boxes": BOXES, "scores": [1]}], "tracker"),
        ([{"boxes": BOXES * np.nan}], "video 0"),
    ],
)
def test_predictions_that_are_none_are_named_and_never_scored(video, answer, key):
    tracker = Broken()
    tracker.answer = answer
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        evaluate(tracker, video[:3])
    assert caught.value.key == key


def test_predictions_need_not_be_arrays(video):
    tracker = Broken()
    tracker.answer = [{"boxes": BOXES.tolist(), "scores": (1.0, 0.5, 0.2)}]
    result = evaluate(tracker, video[:3])
    assert result.benign.boxes_xyxy.tolist() == BOXES.tolist()
    assert result.benign.scores.tolist() == [1.0, 0.5, 0.2]


class Shortened(EvasionAttack):
    """An attack that loses a frame."""

    _estimator_requirements = ()

    def generate(self, x, y=None):
        return x[:, :-1]


def test_an_attack_that_changes_the_number_of_frames_is_named(video):
    tracker = tiny_estimator()
    with pytest.raises(InvalidValueError) as caught:
        evaluate(tracker, video[:3], attack=Shortened(estimator=tracker))
    assert caught.value.key == "attack"


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"tracker": "siamrpn_stl"}, "tracker"),
        ({"tracker": None}, "tracker"),
        ({"attack": PGD}, "attack"),
        ({"attack": "pgd"}, "attack"),
        ({"attack": FeatureSqueezing(clip_values=(0, 1))}, "attack"),
    ],
)
def test_what_is_no_tracker_or_attack_is_refused(video, arguments, key):
    with pytest.raises(InvalidTypeError) as caught:
        evaluate(**{"tracker": IdentityTracker(), "video": video, **arguments})
    assert caught.value.key == key


def test_an_attack_may_return_tensors_but_not_nothing(video):
    attack = Darkness(estimator=IdentityTracker())
    attack.generate = lambda x, y: torch.zeros(x.shape, requires_grad=True)
    assert not evaluate(IdentityTracker(), video, attack).adversarial.frames.any()
    attack.generate = lambda x, y: None
    with pytest.raises(InvalidTypeError) as caught:
        evaluate(IdentityTracker(), video, attack)
    assert caught.value.key == "attack"


@pytest.mark.parametrize("folder", ["link", None])
def test_a_result_is_saved_into_no_link_and_not_nowhere(video, tmp_path, folder):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidValueError) as caught:
        evaluate(IdentityTracker(), video).save(tmp_path / folder if folder else folder)
    assert caught.value.key == (str(tmp_path / folder) if folder else "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
