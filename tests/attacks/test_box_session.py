"""The IoU attack on trackers of which only boxes are known: whatever way they are asked, the answers are the same."""

import numpy as np
import own_trackers
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from doubles import ColourTracker, screen_scene
from own_trackers import RedTracker, Uncopied, red_video

from armory_skelevision.attacks import IoUAttack
from armory_skelevision.attacks.digital.box_session import BoxSession
from armory_skelevision.models import ExternalEstimator
from armory_skelevision.models.adapter import TrackerAdapter
from armory_skelevision.validation import InvalidValueError

X, BOXES = red_video(frames=5)
LABELS = [{"boxes": BOXES}]
FEW = {"max_queries": 12, "block_size": 4, "eps": 0.5, "skip_threshold": 2, "verbose": False}


class Remembering(RedTracker):
    """Its box drifts with everything that it has ever been shown, so that a query that left a trace would be found."""

    def track(self, image):
        self.find(image)
        drift = float(np.stack(self.seen).mean()) / 4
        return [self.box[0] + drift, self.box[1], self.box[2], self.box[3]]


class RememberingUncopied(Remembering, Uncopied):
    pass


def estimator(kind):
    return ExternalEstimator(TrackerAdapter(kind(), kind.__name__), device_type="cpu")


@pytest.fixture
def boxes_seen(monkeypatch):
    """The boxes that an attack saw once each frame was final."""
    seen = []
    advance = BoxSession.advance

    def remember(self, index):
        advance(self, index)
        seen.append(self.box_xyxy.numpy())

    monkeypatch.setattr(BoxSession, "advance", remember)
    return seen


@pytest.mark.parametrize("kind", [Remembering, RememberingUncopied])
def test_tracking_the_finished_video_gives_the_boxes_that_the_attack_saw(kind, boxes_seen):
    tracker = estimator(kind)
    x_adv = IoUAttack(tracker, **FEW).generate(x=X, y=LABELS)
    found = tracker.predict(x_adv, y_init=BOXES[:1])[0]["boxes"]
    np.testing.assert_allclose(found[1:], np.stack(boxes_seen), atol=1e-4)
    assert np.abs(found - tracker.predict(X, y_init=BOXES[:1])[0]["boxes"]).max() > 0.05
    np.testing.assert_array_equal(x_adv[0, 0], X[0, 0])


def test_copied_or_shown_again_the_attack_is_the_same():
    attacked = [IoUAttack(estimator(kind), **FEW) for kind in (Remembering, RememberingUncopied)]
    copied, again = (attack.generate(x=X, y=LABELS) for attack in attacked)
    np.testing.assert_array_equal(copied, again)
    assert attacked[0].queries == attacked[1].queries > 8


def test_a_copy_is_asked_for_one_frame_and_no_other_tracker_for_less_than_the_whole_video(monkeypatch):
    calls = []
    find = RedTracker.find
    monkeypatch.setattr(own_trackers.RedTracker, "find", lambda self, image: calls.append(1) or find(self, image))
    counts = {}
    for kind in (Remembering, RememberingUncopied):
        calls.clear()
        attack = IoUAttack(estimator(kind), **FEW)
        attack.generate(x=X, y=LABELS)
        counts[kind] = len(calls), attack.queries
    tracked, queries = counts[Remembering]
    assert tracked == queries + 4  # each frame once more, when it is final
    assert counts[RememberingUncopied][0] > 2 * queries


def test_art_trackers_of_others_are_attacked_too():
    x, y, _ = screen_scene(frames=3)
    tracker = ColourTracker()
    x_adv = IoUAttack(tracker, max_queries=12, block_size=8, eps=0.3, skip_threshold=2, verbose=False).generate(
        x=x, y=y
    )
    before, after = (tracker.predict(video, y_init=y[0]["boxes"][:1])[0]["boxes"] for video in (x, x_adv))
    assert np.abs(after - before)[1:].max() > 0.05


def test_preprocessors_of_whole_frames_are_refused():
    for tracker in (estimator(RedTracker), ColourTracker()):
        tracker.set_params(preprocessing_defences=[SpatialSmoothing(window_size=3)])
        with pytest.raises(InvalidValueError) as caught:
            IoUAttack(tracker, **FEW).generate(x=X, y=LABELS)
        assert caught.value.key == "preprocessing_defences" and caught.value.got == "SpatialSmoothing"


def test_the_box_before_the_first_query_is_the_given_one():
    session = BoxSession(estimator(RedTracker), torch.from_numpy(X[0].copy()), torch.from_numpy(BOXES[0]).double())
    np.testing.assert_array_equal(session.box_xyxy.numpy(), BOXES[0])
    np.testing.assert_allclose(session.query(1).numpy(), BOXES[1])
    np.testing.assert_array_equal(session.box_xyxy.numpy(), BOXES[0])
