"""A video of any length is tracked in the memory of a few frames."""

import weakref

import numpy as np
from doubles import tiny_estimator

from armory_skelevision.confidence import LostAlarm
from armory_skelevision.datasets.frame_source import FrameSource
from armory_skelevision.evaluation.streaming import track_file


class Noise(FrameSource):
    """Frames of noise, which counts those that are still in memory."""

    most = 0

    def __iter__(self):
        alive = weakref.WeakSet()
        rng = np.random.default_rng(0)
        for _ in range(70):  # more than what itertools.tee keeps in one block
            frame = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            holder = frame.view(_Counted)
            alive.add(holder)
            type(self).most = max(self.most, len(alive))
            yield holder


class _Counted(np.ndarray):
    __hash__ = object.__hash__


def test_frames_do_not_pile_up(tmp_path):
    source = Noise("noise", 10.0, (64, 64), None)
    found = track_file(tiny_estimator(), source, (20, 20, 16, 24), tmp_path / "out")
    assert len(found.boxes_xywh) == 70 and found.fps > 0
    assert 1 <= Noise.most <= 4


def test_the_alarm_hears_falling_scores():
    alarm = LostAlarm()
    assert [alarm.hear(score) for score in (0.9, 0.8, 0.44, 0.3, 0.41, 0.9)] == [
        False,
        False,
        False,
        True,
        False,
        False,
    ]
    assert [alarm.hear(score) for score in (None, 0.1)] == [False, True]
    assert alarm.frames == [3, 7]


def test_the_alarm_is_silent_about_logits():
    alarm = LostAlarm()
    assert not any(alarm.hear(score) for score in (-3.0, -3.1, -2.9, -9.0, 0.5))
