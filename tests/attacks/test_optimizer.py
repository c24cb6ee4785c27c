import math

import pytest
import torch

from armory_skelevision.attacks.gradients import ValueAndGrad
from armory_skelevision.attacks.optimizer import GradientAscent
from armory_skelevision.validation import InvalidValueError

TARGET = torch.tensor([0.31, 0.77, 0.5])


def hill(image, with_grad):
    """A parabola whose top lies inside the colour range, so that fixed steps overshoot it."""
    leaf = image.clone().requires_grad_()
    value = -((leaf - TARGET) ** 2).sum()
    return ValueAndGrad(float(value.detach()), torch.autograd.grad(value, leaf)[0] if with_grad else None)


def maximise(start=0.0, **kwargs):
    return GradientAscent(**{"step_size": 0.1, "max_iter": 40, **kwargs}).run(hill, torch.full((3,), start))


@pytest.mark.parametrize("update", ["sign", "gradient", "accumulated_sign"])
def test_every_update_raises_the_objective(update):
    assert maximise(update=update).value > -0.02


GRADIENTS = torch.tensor([[1.0, -2, 0.5], [-3, -1, 0.25], [0.5, 4, 0]])


def iterates(**kwargs):
    """The images of three steps along given gradients, that of the start first."""
    images = []

    def objective(image, with_grad):
        images.append(image)
        return ValueAndGrad(0.0, GRADIENTS[len(images) - 1] if with_grad else None)

    ascent = GradientAscent(**{"step_size": 0.03, "max_iter": 3, **kwargs})
    assert len(list(ascent.iterate(objective, torch.full((3,), 0.5)))) == 4
    return torch.stack(images)


@pytest.mark.parametrize(
    ("settings", "directions"),
    [
        ({}, GRADIENTS.sign()),
        ({"update": "gradient"}, GRADIENTS),
        ({"update": "accumulated_sign"}, GRADIENTS.cumsum(dim=0).sign()),
        ({"schedule": "cosine"}, GRADIENTS.sign() * torch.tensor([[1.0], [0.75], [0.25]])),
    ],
)
def test_steps_are_those_of_their_definitions(settings, directions):
    images = iterates(**settings)
    torch.testing.assert_close(images[1:], 0.5 + 0.03 * directions.cumsum(dim=0))


def test_momentum_adds_gradients_of_mean_size_1():
    scaled = GRADIENTS / GRADIENTS.abs().mean(dim=1, keepdim=True)
    first, second = scaled[0], 0.5 * scaled[0] + scaled[1]
    directions = torch.stack([first, second, 0.5 * second + scaled[2]])
    images = iterates(update="gradient", momentum=0.5)
    torch.testing.assert_close(images[1:], 0.5 + 0.03 * directions.cumsum(dim=0))


def test_momentum_survives_a_gradient_of_0():
    zero = GradientAscent(0.1, 2, momentum=0.9, keep="last").run(
        lambda image, with_grad: ValueAndGrad(0.0, torch.zeros(3) if with_grad else None), torch.full((3,), 0.5)
    )
    assert (zero.image == 0.5).all()


def test_of_equally_good_iterates_the_first_is_kept():
    flags = []

    def objective(image, with_grad):
        flags.append(with_grad)
        return ValueAndGrad(1.0, torch.ones(3))

    assert (GradientAscent(0.1, 3).run(objective, torch.full((3,), 0.5)).image == 0.5).all()
    assert flags == [True, True, True, False]


def test_the_start_is_kept_where_nothing_is_better_than_minus_infinity():
    best = GradientAscent(0.1, 3).run(lambda image, _: ValueAndGrad(-math.inf, torch.ones(3)), torch.full((3,), 0.5))
    assert best.value == -math.inf and (best.image == 0.5).all()


def test_iterates_are_counted_by_the_progress_given():
    counts = []
    ascent = GradientAscent(0.1, 3, keep="last")
    kept = list(ascent.iterate(hill, torch.zeros(3), lambda count: counts.append(count) or range(count)))
    assert counts == [3] and [hill(best.image, False).value for best in kept] == [best.value for best in kept]
    torch.testing.assert_close(kept[0].image, torch.zeros(3))
    torch.testing.assert_close(kept[3].image, torch.tensor([0.3, 0.3, 0.3]))


def test_best_keeps_the_highest_and_last_the_last():
    best, last = maximise(keep="best", max_iter=12, start=0.04), maximise(keep="last", max_iter=12, start=0.04)
    assert best.value > last.value
    assert best.value == hill(best.image, False).value
    assert last.value == hill(last.image, False).value


def test_cosine_steps_end_nearer_to_the_top():
    assert maximise(schedule="cosine", keep="last").value > maximise(schedule="constant", keep="last").value


def test_cosine_goes_from_the_full_step_to_nearly_none():
    ascent = GradientAscent(step_size=0.2, max_iter=10, schedule="cosine")
    sizes = [ascent._step_size(index) for index in range(10)]
    assert sizes[0] == 0.2 and sizes == sorted(sizes, reverse=True) and 0 < sizes[-1] < 0.01


def test_momentum_keeps_the_direction_where_the_gradient_flips():
    gradients = iter([1.0, -0.5, -0.5])

    def objective(image, with_grad):
        return ValueAndGrad(0.0, torch.tensor([next(gradients)]) if with_grad else None)

    def end(momentum):
        return GradientAscent(0.1, 3, momentum=momentum, keep="last").run(objective, torch.tensor([0.5])).image.item()

    assert end(0.0) == pytest.approx(0.4)
    gradients = iter([1.0, -0.5, 1.0])
    # scaled to 1, -1, 1: with .9 the directions are 1, -.1, .91
    assert end(0.9) == pytest.approx(0.6)


def test_images_stay_in_range():
    best = GradientAscent(5.0, 3, keep="last").run(hill, torch.full((3,), 0.5))
    assert best.image.min() >= 0 and best.image.max() <= 1


def test_no_steps_keep_the_start():
    best = maximise(start=0.25, max_iter=0)
    assert (best.image == 0.25).all()


def test_no_gradient_ends_the_run():
    calls = []

    def objective(image, with_grad):
        calls.append(with_grad)
        return ValueAndGrad(1.0, None)

    best = GradientAscent(0.1, 100).run(objective, torch.full((3,), 0.5))
    assert calls == [True] and (best.image == 0.5).all()


@pytest.mark.parametrize("bad", ["value", "gradient"])
def test_nan_is_named_with_its_step_and_never_kept_silently(bad):
    def objective(image, with_grad):
        broken = image.mean() > 0.65
        value = float("nan") if broken and bad == "value" else float(image.sum())
        return ValueAndGrad(value, torch.full_like(image, float("nan") if broken and bad == "gradient" else 1.0))

    with pytest.raises(InvalidValueError) as caught:
        GradientAscent(0.1, 5).run(objective, torch.full((2, 2, 3), 0.5))
    assert (caught.value.key, caught.value.got) == ("estimator", "NaN in step 2")


def test_several_starts_give_what_each_gives_alone_and_those_that_end_are_left_out():
    def objective(image, with_grad):
        value, grad = hill(image, with_grad)
        return ValueAndGrad(value, grad if image.max() < 0.15 else None)

    seen = []

    def together(images, with_grad):
        seen.append((list(images), with_grad))
        return [objective(image, with_grad) for image in images.values()]

    ascent = GradientAscent(0.1, 3, momentum=0.5)
    starts = [torch.full((3,), brightness) for brightness in (0.1, 0.0, 0.2)]
    kept = list(ascent.iterate_all(together, starts))
    assert seen == [([0, 1, 2], True), ([0, 1], True), ([1], True)]
    for number, start in enumerate(starts):
        alone = ascent.run(objective, start)
        assert alone.value == kept[-1][number].value and torch.equal(alone.image, kept[-1][number].image)
