"""Frame by frame, trackers find what they find in a whole video."""

import numpy as np
import pytest
import torch
from art.defences.preprocessor import FeatureSqueezing
from doubles import IdentityTracker, cleaner, random_nanotrack_estimator, tiny_estimator

from armory_skelevision import load_tracker
from armory_skelevision.boxes import xywh_to_xyxy
from armory_skelevision.models.following import LatestFrames, follow
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

BOX_XYWH = (20.0, 15, 24, 40)


@pytest.fixture
def frames():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 80, 96, 3), dtype=np.uint8)


def track_whole(tracker, frames):
    box_xyxy = xywh_to_xyxy(torch.tensor(BOX_XYWH)).numpy()
    return tracker.predict(frames[None].astype(np.float32) / 255, y_init=box_xyxy[None])[0]


def check_same(tracker, frames):
    answers = list(follow(tracker, iter(frames), BOX_XYWH))
    whole = track_whole(tracker, frames)
    found = xywh_to_xyxy(torch.from_numpy(np.stack([each.box_xywh for each in answers])))
    np.testing.assert_allclose(found.numpy(), whole["boxes"], atol=1e-5)
    assert np.abs(np.diff(whole["boxes"], axis=0)).max() > 0.1
    return answers, whole


def test_our_trackers_find_the_same_boxes_and_scores(frames):
    for tracker in (tiny_estimator(), random_nanotrack_estimator()):
        answers, whole = check_same(tracker, frames)
        assert [each.score for each in answers] == pytest.approx(whole["scores"].tolist())


def test_defenses_of_crops_and_of_frames_stand_in_between(frames, tmp_path):
    bare = track_whole(tiny_estimator(), frames)["boxes"]
    for defense in (cleaner(tmp_path), FeatureSqueezing((0, 1), bit_depth=1)):
        tracker = tiny_estimator(defense)
        check_same(tracker, frames)
        assert not np.allclose(track_whole(tracker, frames)["boxes"], bare)


class Drifter:
    """A tracker of images that moves by what it saw last."""

    def init(self, image, box):
        self.box = np.array(box)

    def update(self, image):
        self.box = self.box + [image[0, 0, 0] / 64, 0, 0, 0]
        return self.box, image[0, 0, 1] / 255


def test_a_tracker_of_images_is_not_asked_about_the_first_frame(frames, monkeypatch):
    import sys
    import types

    module = types.ModuleType("drifters")
    module.Drifter = Drifter
    monkeypatch.setitem(sys.modules, "drifters", module)
    tracker = load_tracker("drifters:Drifter", device="cpu")
    answers, whole = check_same(tracker, frames)
    assert answers[0].score is None
    assert [each.score for each in answers[1:]] == pytest.approx(whole["scores"][1:].tolist())


def test_only_two_frames_are_kept():
    frames = LatestFrames(torch.zeros(4, 4, 3))
    frames.add(torch.ones(4, 4, 3))
    frames.add(torch.full((4, 4, 3), 0.5))
    assert (float(frames.frame(0).mean()), float(frames.frame(2).mean())) == (0, 0.5)
    with pytest.raises(IndexError):
        frames.frame(1)


@pytest.mark.parametrize(
    "box", [(200, 0, 10, 10), (0, 0, 0, 10), (0, 0, -5, 10), (0, 0, 10), (0, 0, np.nan, 10), "10,20,30,40"]
)
def test_what_is_no_box_in_the_frame_is_refused(frames, box):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        next(follow(tiny_estimator(), iter(frames), box))
    assert caught.value.key == "box"


def test_a_tracker_of_whole_videos_is_refused(frames):
    with pytest.raises(InvalidTypeError) as caught:
        next(follow(IdentityTracker(), iter(frames), BOX_XYWH))
    assert caught.value.key == "tracker"
