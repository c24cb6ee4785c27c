import pytest
import torch

from armory_skelevision.attacks.gradients import Outcome
from armory_skelevision.attacks.optimizer import Ascent

TARGET = torch.tensor([0.31, 0.77, 0.5])


def valley(picture, with_gradient):
    """A parabola whose top lies inside the colour range, so that fixed steps overshoot it."""
    leaf = picture.clone().requires_grad_()
    value = -((leaf - TARGET) ** 2).sum()
    return Outcome(float(value.detach()), torch.autograd.grad(value, leaf)[0] if with_gradient else None)


def climb(start=0.0, **kwargs):
    return Ascent(**{"step_size": 0.1, "max_iter": 40, **kwargs}).climb(valley, torch.full((3,), start))


@pytest.mark.parametrize("update", ["sign", "gradient", "accumulated_sign"])
def test_every_update_climbs(update):
    assert climb(update=update).value > -0.02


def test_best_keeps_the_highest_and_last_the_last():
    best, last = climb(keep="best", max_iter=12, start=0.04), climb(keep="last", max_iter=12, start=0.04)
    assert best.value > last.value
    assert best.value == valley(best.picture, False).value
    assert last.value == valley(last.picture, False).value


def test_cosine_steps_end_nearer_to_the_top():
    assert climb(schedule="cosine", keep="last").value > climb(schedule="constant", keep="last").value


def test_cosine_goes_from_the_full_step_to_nearly_none():
    ascent = Ascent(step_size=0.2, max_iter=10, schedule="cosine")
    sizes = [ascent._step_size(index) for index in range(10)]
    assert sizes[0] == 0.2 and sizes == sorted(sizes, reverse=True) and 0 < sizes[-1] < 0.01


def test_momentum_goes_on_where_the_gradient_flips():
    gradients = iter([1.0, -0.5, -0.5])

    def look(picture, with_gradient):
        return Outcome(0.0, torch.tensor([next(gradients)]) if with_gradient else None)

    def end(momentum):
        return Ascent(0.1, 3, momentum=momentum, keep="last").climb(look, torch.tensor([0.5])).picture.item()

    assert end(0.0) == pytest.approx(0.4)
    gradients = iter([1.0, -0.5, 1.0])
    # scaled to 1, -1, 1: with .9 the directions are 1, -.1, .91
    assert end(0.9) == pytest.approx(0.6)


def test_pictures_stay_in_range():
    summit = Ascent(5.0, 3, keep="last").climb(valley, torch.full((3,), 0.5))
    assert summit.picture.min() >= 0 and summit.picture.max() <= 1


def test_no_steps_keep_the_start():
    summit = climb(start=0.25, max_iter=0)
    assert (summit.picture == 0.25).all()


def test_no_gradient_ends_the_climb():
    looks = []

    def look(picture, with_gradient):
        looks.append(with_gradient)
        return Outcome(1.0, None)

    summit = Ascent(0.1, 100).climb(look, torch.full((3,), 0.5))
    assert looks == [True] and (summit.picture == 0.5).all()
