import numpy as np
import pytest
from doubles import overlaps, screen_scene

from armory_skelevision.attacks import AutoPatch
from armory_skelevision.attacks.patch.race import MIN_STEPS, Round, plan_rounds


def attack(estimator, scene=None, **kwargs):
    x, y, metadata = scene or screen_scene()
    return AutoPatch(estimator, verbose=False, **kwargs).generate(x=x, y=y, y_patch_metadata=metadata)


def mean_iou(estimator, x, y):
    boxes = estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]
    return float(overlaps(np.asarray(boxes, np.float64), y[0]["boxes"].astype(np.float64))[1:].mean())


@pytest.mark.parametrize(("members", "budget"), [(1, 1), (4, 1), (4, 7), (4, 100), (6, 100), (7, 33), (8, 1000)])
def test_rounds_spend_the_budget_to_the_last_evaluation(members, budget):
    rounds = plan_rounds(members, budget)
    assert sum(count * steps for count, steps in rounds) == budget
    assert rounds[-1].contenders == 1 and rounds[0].contenders <= members
    counts = [count for count, _ in rounds]
    assert counts == [counts[0]] if len(counts) == 1 else counts[1:] == [(count + 1) // 2 for count in counts[:-1]]
    assert len(rounds) == 1 or min(steps for _, steps in rounds) >= MIN_STEPS


def test_four_members_share_a_hundred_evaluations():
    assert plan_rounds(4, 100) == [Round(4, 8), Round(2, 16), Round(1, 36)]
