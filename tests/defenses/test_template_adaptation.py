"""Template adaptation: its loss, its bounds, and the ways of an attack's gradient through it and around it."""

import numpy as np
import pytest
import torch
from art.estimators.object_tracking import PyTorchGoturn
from doubles import cleaner, random_estimator, random_nanotrack_estimator, screen_scene, tiny_estimator

from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.defenses import TemplateAdaptation, first_frame, template_adaptation
from armory_skelevision.defenses.first_frame import (
    FirstFrameLoss,
    HeldOutScores,
    box_in_window,
    first_frame_loss,
    search_windows,
)
from armory_skelevision.models import RegionDefense
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import Crops, TrackerSettings, VideoFrames, Window, track
from armory_skelevision.tracking.losses import classification_loss, localisation_loss
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.training import targets
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

SCENE = screen_scene(frames=2)
CPU = torch.device("cpu")


def predict(estimator, x=SCENE[0]):
    return estimator.predict(x, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"]


def adaptation(**kwargs):
    """Few steps on few crops: enough to see what they do."""
    return TemplateAdaptation(**{"max_iter": 2, "augment": 1, **kwargs})


def crops_of(estimator, video=None):
    video = torch.from_numpy(SCENE[0][0]) if video is None else video
    return estimator.crops(VideoFrames(video), torch.from_numpy(SCENE[1][0]["boxes"][0]))


def loss_of(crops, template, augment=4):
    bare = Crops(crops.network, crops.frames, crops.box_xyxy, crops.settings)
    return FirstFrameLoss(bare, augment, torch.Generator().manual_seed(0))(template.flip(1) / 255).item()


@pytest.mark.parametrize("augment", [0, 4])
def test_the_loss_of_the_first_frame_falls_and_the_template_stays_near(augment):
    defense = TemplateAdaptation(max_iter=4, eps_step=2 / 255, eps=5 / 255, augment=augment)
    with torch.no_grad():
        before, after = crops_of(tiny_estimator()), crops_of(tiny_estimator(defense))
        moved = (after.template - before.template).abs()
        assert 4.5 < moved.max() <= 5.001 and after.template.min() >= 0 and after.template.max() <= 255
        opposite = 2 * before.template - after.template
        losses = [loss_of(before, template, augment) for template in (after.template, before.template, opposite)]
        assert losses[0] < losses[1] < losses[2]


def test_search_crops_stay_and_boxes_change():
    bare, adapted = tiny_estimator(), tiny_estimator(adaptation())
    window = Window(30, 10, 90)
    assert torch.equal(crops_of(adapted).search(1, window), crops_of(bare).search(1, window))
    assert np.abs(predict(adapted) - predict(bare)).max() > 1e-3


@pytest.mark.parametrize("kwargs", [{"max_iter": 0}, {"eps": 0}, {"apply_predict": False}])
def test_no_steps_no_bound_or_switched_off_give_bit_equal_boxes(kwargs):
    np.testing.assert_array_equal(predict(tiny_estimator(adaptation(**kwargs))), predict(tiny_estimator()))


def test_templates_are_adapted_once_per_video(monkeypatch):
    calls = []
    adapt = TemplateAdaptation.defend_template
    monkeypatch.setattr(TemplateAdaptation, "defend_template", lambda *args: calls.append(1) or adapt(*args))
    estimator = random_estimator(keypoint_head="shallow")
    estimator.set_params(preprocessing_defences=[TemplateAdaptation(max_iter=1, augment=0)])
    videos = np.repeat(SCENE[0], 2, axis=0)
    first, second = estimator.predict(videos, y_init=np.repeat(SCENE[1][0]["boxes"][:1], 2, axis=0))
    assert len(calls) == 2
    np.testing.assert_array_equal(first["boxes"], second["boxes"])


def test_the_loss_is_that_of_training(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    boxes = torch.tensor([[3.0, -5, 50, 90], [-20, 8, 60, 60]])
    output = RPNOutput(*(torch.randn(2, channels, 9, 9, generator=generator) for channels in (10, 20)))
    monkeypatch.setattr(targets, "MAX_POSITIVES", 10**6)
    monkeypatch.setattr(targets, "MAX_NEGATIVES", 10**6)
    made = [
        targets.TargetMaker(191).make(box.numpy() + 191 / 2, np.random.default_rng(0)) for box in cxcywh_to_xyxy(boxes)
    ]
    labels, deltas, weights, _ = (torch.from_numpy(np.stack(parts)) for parts in zip(*made, strict=True))
    assert (labels == 1).sum() > 4
    wanted = classification_loss(output.cls, labels) + 1.2 * localisation_loss(output.loc, deltas, weights)
    assert first_frame_loss(output, boxes).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_boxes_lie_in_windows_where_they_lie_in_the_frame():
    box_xyxy = torch.tensor([60.0, 40, 80, 85])
    found = box_in_window(box_xyxy, Window(20, 10, 95), TrackerSettings(instance_size=190))
    # twice as large, and measured from the middle of the window at (67.5, 57.5)
    assert found.tolist() == [5.0, 10.0, 40.0, 90.0]


def test_windows_are_shifted_and_rescaled_within_bounds_and_equal_for_equal_seeds():
    crops = crops_of(tiny_estimator())
    windows, again = (search_windows(crops, 50, torch.Generator().manual_seed(1)) for _ in range(2))
    assert windows == again and len(set(windows)) > 45
    middle = windows[0]
    sides = np.array([window.side for window in windows[1:]]) / middle.side
    centres = np.array([[window.x_min + window.side / 2, window.y_min + window.side / 2] for window in windows])
    shifts = (centres[1:] - centres[0]) / (middle.side * 127 / 191)
    assert 0.80 < sides.min() < 0.87 and 1.13 < sides.max() < 1.20
    assert 0.40 < np.abs(shifts).max() < 0.53


def test_the_sign_is_followed_by_a_slope():
    gradient = torch.tensor([-3.0, -1.0, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    values = template_adaptation.smoothed_sign(gradient)
    assert values.tolist() == [-1, -1, 0, 1]
    (slope,) = torch.autograd.grad(values.sum(), gradient)
    torch.testing.assert_close(slope, 2 / (gradient.detach().abs() + 2) ** 2)


def box_loss(estimator, video):
    crops = crops_of(estimator, video)
    boxes_xyxy = cxcywh_to_xyxy(torch.stack([step.state.box_cxcywh for step in track(crops)]))
    return (boxes_xyxy - torch.from_numpy(SCENE[1][0]["boxes"])).abs().sum()


def gradient_of(estimator):
    video = torch.from_numpy(SCENE[0][0]).requires_grad_()
    return torch.autograd.grad(box_loss(estimator, video), video)[0]


class Added(RegionDefense):
    """Adds a constant to the template."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def defend_template(self, crop, crops):
        return crop + self.change


def test_around_the_adaptation_it_counts_as_a_constant():
    defense = adaptation(differentiable=False)
    with torch.no_grad():
        bare, adapted = crops_of(tiny_estimator()), crops_of(tiny_estimator(defense))
        change = (adapted.template - bare.template).flip(1) / 255
    around, constant = gradient_of(tiny_estimator(defense)), gradient_of(tiny_estimator(Added(change)))
    size = float(constant.abs().max())
    torch.testing.assert_close(around, constant, rtol=1e-3, atol=1e-3 * size)
    through = gradient_of(tiny_estimator(adaptation()))
    assert (through - around).abs().max() > 0.01 * size


class KnownLoss:
    """A smooth loss of a template that also depends on something else, as the real one does on the search crops."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, template):
        return torch.sin(3 * template * self.weights).sum() + (template**3).sum()


def test_through_the_adaptation_gradients_agree_with_finite_differences(monkeypatch):
    # The sign itself has no slope to compare with: here both ways take a smooth function in its place.
    monkeypatch.setattr(template_adaptation, "smoothed_sign", torch.tanh)
    defense = TemplateAdaptation(max_iter=3, eps_step=0.02, eps=0.05)
    generator = torch.Generator().manual_seed(0)
    crop = (0.2 + 0.6 * torch.rand(1, 3, 2, 2, dtype=torch.float64, generator=generator)).requires_grad_()
    weights = torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=generator).requires_grad_()

    def adapt(crop, weights):
        return defense._adapt(crop, KnownLoss(weights), None, through=True)

    assert torch.autograd.gradcheck(adapt, (crop, weights))
    bounded = (adapt(crop, weights) - crop).abs()
    assert 0 < bounded.min() < 0.05 <= bounded.max() + 1e-9  # some of them at the bound, some not


@pytest.mark.parametrize(
    ("scores", "steps"),
    [
        ([(0.5, 0.2), (0.6, 0.2), (0.7, 0.1), (0.7, 0.1)], 3),
        ([(0.5, 0.2), (0.6, 0.2), (0.7, 0.3)], 1),
        ([(0.5, 0.2), (0.4, 0.1)], 0),
    ],
)
def test_a_step_that_helps_not_the_target_alone_is_taken_back_and_the_last(scores, steps, monkeypatch):
    told = iter(scores)
    monkeypatch.setattr(template_adaptation, "HeldOutScores", lambda *_: lambda _: next(told))
    with torch.no_grad():
        found = crops_of(tiny_estimator(adaptation(max_iter=3, held_out=2))).template
        expected = crops_of(tiny_estimator(adaptation(max_iter=steps))).template
        assert torch.equal(found, expected) and next(told, None) is None
        other = crops_of(tiny_estimator(adaptation(max_iter=steps + 1))).template
        assert not torch.equal(found, other)


def test_steps_are_judged_by_the_best_proposals_on_the_target_and_elsewhere(monkeypatch):
    crops = crops_of(tiny_estimator())
    windows = search_windows(crops, 2, torch.Generator().manual_seed(5))[1:]
    targets = torch.stack([box_in_window(crops.box_xyxy, window, crops.settings) for window in windows]).float()
    across = targets[:, 2:] * torch.tensor([1.0, 0.0])
    near, far = (torch.cat([targets[:, :2] + share * across, targets[:, 2:]], dim=1) for share in (0.5, 1.5))
    proposals = Proposals(
        torch.tensor([[0.9, 0.1, 0.99, 0.4], [0.2, 0.5, 0.99, 0.2]]), torch.stack([targets, targets, near, far], dim=1)
    )
    monkeypatch.setattr(TrackerSettings, "decode", lambda *_: proposals)
    scores = HeldOutScores(crops, 2, torch.Generator().manual_seed(5))
    assert scores(torch.rand(1, 3, 127, 127)) == pytest.approx(((0.9 + 0.5) / 2, (0.4 + 0.2) / 2))


def test_other_search_crops_judge_than_those_that_are_learned(monkeypatch):
    seen = []
    draw = first_frame.search_windows
    monkeypatch.setattr(first_frame, "search_windows", lambda *args: seen.append(draw(*args)) or seen[-1])
    with torch.no_grad():
        assert crops_of(tiny_estimator(adaptation(augment=3, held_out=4))).template is not None
    learned, judging = seen
    assert len(learned) == 4 and len(judging) == 5
    assert not {*learned[1:]} & {*judging[1:]}


def test_it_goes_together_with_dualossdef(tmp_path):
    region = cleaner(tmp_path)
    cleaned, adapted, both = (tiny_estimator(*chain) for chain in ([region], [adaptation()], [region, adaptation()]))
    boxes = [predict(estimator) for estimator in (cleaned, adapted, both)]
    assert np.abs(boxes[2] - boxes[0]).max() > 1e-3 and np.abs(boxes[2] - boxes[1]).max() > 1e-3
    # the cleaned template is what is moved
    change = (crops_of(both).template - crops_of(cleaned).template).abs()
    assert 0.9 < change.max() <= 2.001


def test_a_video_without_gradient_gets_none():
    video = torch.from_numpy(SCENE[0])
    assert not tiny_estimator(adaptation()).predict(video, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"].requires_grad


def test_trackers_whose_loss_or_inside_is_not_known_are_refused():
    other = random_nanotrack_estimator(preprocessing_defences=[TemplateAdaptation()])
    with pytest.raises(InvalidValueError) as refused:
        predict(other)
    assert (refused.value.key, refused.value.got) == ("model", "NanoTrack")
    goturn = PyTorchGoturn(
        torch.nn.Identity(), (3, 64, 64), (0, 1), device_type="cpu", preprocessing_defences=[TemplateAdaptation()]
    )
    with pytest.raises(InvalidTypeError) as refused:
        predict(goturn)
    assert refused.value.key == "model" and "TemplateAdaptation" in refused.value.expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("max_iter", -1), ("eps_step", 0), ("eps", -0.1), ("eps", 4), ("augment", 1.5), ("differentiable", "yes")),
        *(("seed", None), ("apply_predict", "no")),
    ],
)
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(InvalidValueError) as refused:
        TemplateAdaptation(**{key: value})
    assert refused.value.key == key


def test_settings_are_checked_when_they_are_changed():
    defense = TemplateAdaptation()
    with pytest.raises(InvalidValueError):
        defense.set_params(max_iter=-1)
