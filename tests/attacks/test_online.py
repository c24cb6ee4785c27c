"""RTAA and the IoU attack: what both do as the tracker runs, and each one's own."""

import logging

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from art.exceptions import EstimatorError
from doubles import ColourTracker, TinySiamRPN, overlaps, screen_scene, tiny_estimator

from armory_skelevision.attacks import RTAA, IoUAttack
from armory_skelevision.attacks.digital.noise_search import Candidate
from armory_skelevision.attacks.digital.online import TrackingSession
from armory_skelevision.attacks.digital.rtaa import rtaa_loss
from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.tracking import TrackerSettings, TrackerState
from armory_skelevision.tracking.windows import search_window
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

SCENE = screen_scene(frames=3)
SIDE = 191  # of the search crop: smaller than usual, which makes for faster tests
FEW = {RTAA: {"max_iter": 2}, IoUAttack: {"max_queries": 16, "block_size": 4}}
BOTH = pytest.mark.parametrize("kind", [RTAA, IoUAttack])


def restless_estimator(**kwargs):
    """A random tracker whose boxes jump, as noise makes another anchor's score the highest."""
    network = TinySiamRPN()
    with torch.no_grad():
        network.answer.weight[:10] *= 30
    return SiamRPNEstimator(
        network, TrackerSettings(instance_size=SIDE, window_influence=0.0), device_type="cpu", **kwargs
    )


def attack(kind, estimator=None, scene=SCENE, **kwargs):
    x, y, metadata = scene
    made = kind(estimator or restless_estimator(), verbose=False, **{**FEW[kind], **kwargs})
    return made.generate(x=x, y=y, y_patch_metadata=metadata)


def predict(estimator, x):
    return estimator.predict(x, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"]


@pytest.fixture
def boxes_seen(monkeypatch):
    """The boxes that an attack saw once each frame was final."""
    seen = []
    advance = TrackingSession.advance

    def remember(self, index):
        advance(self, index)
        seen.append(cxcywh_to_xyxy(self.state.box_cxcywh).float().numpy())

    monkeypatch.setattr(TrackingSession, "advance", remember)
    return seen


@BOTH
def test_tracking_the_finished_video_gives_the_boxes_that_the_attack_saw(kind, boxes_seen):
    estimator = restless_estimator()
    x_adv = attack(kind, estimator)
    np.testing.assert_array_equal(predict(estimator, x_adv), np.stack(boxes_seen))
    assert np.abs(predict(estimator, x_adv) - predict(estimator, SCENE[0])).max() > 0.1


@BOTH
def test_video_keeps_its_form_and_first_frame(kind):
    x = SCENE[0].copy()
    x.flags.writeable = False
    x_adv = attack(kind, scene=(x, *SCENE[1:]))
    assert x_adv.shape == x.shape and x_adv.dtype == np.float32
    assert x_adv.min() >= 0 and x_adv.max() <= 1
    np.testing.assert_array_equal(x_adv[0, 0], x[0, 0])
    assert all((x_adv[0, index] != x[0, index]).any() for index in (1, 2))
    np.testing.assert_array_equal(x, SCENE[0])


@BOTH
def test_same_seed_same_video_and_another_seed_another(kind):
    estimator = restless_estimator()
    first = attack(kind, estimator, seed=3)
    np.testing.assert_array_equal(attack(kind, estimator, seed=3), first)
    assert (attack(kind, estimator, seed=4) != first).any()


@BOTH
def test_a_seed_gives_the_same_video_in_any_default_precision(kind):
    estimator = restless_estimator()
    plain = attack(kind, estimator)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(attack(kind, estimator), plain)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("kind", "title"), [(RTAA, "RTAA"), (IoUAttack, "IoU attack")])
def test_progress_counts_the_frames_after_the_first(kind, title, monkeypatch):
    bars, progress = [], kind._progress
    monkeypatch.setattr(kind, "_progress", lambda self, *given: bars.append(given) or progress(self, *given))
    attack(kind)
    assert bars == [(range(1, 3), title, "frame")]


def test_progress_shows_the_queries_of_the_video(monkeypatch):
    shown = []

    class Bar(list):
        def set_postfix(self, queries):
            shown.append(queries)

    monkeypatch.setattr(IoUAttack, "_progress", lambda self, steps, title, unit: Bar(steps))
    made = IoUAttack(restless_estimator(), max_queries=20, block_size=4, verbose=False)
    for count in (1, 2):
        made.generate(x=SCENE[0], y=SCENE[1])
        assert len(shown) == 2 * count and shown[-1] == made.queries / count > shown[-2]


@BOTH
def test_the_first_box_is_label_enough(kind):
    boxes = SCENE[1][0]["boxes"]
    plain = attack(kind)
    later = [{"boxes": np.concatenate([boxes[:1], boxes[1:] + 7])}]
    np.testing.assert_array_equal(attack(kind, scene=(SCENE[0], later, None)), plain)
    made = kind(restless_estimator(), verbose=False, **FEW[kind])
    np.testing.assert_array_equal(made.generate(x=SCENE[0], y_init=boxes[:1]), plain)


@BOTH
def test_a_target_at_the_border_is_attacked_where_there_are_pixels(kind, boxes_seen):
    estimator = restless_estimator()
    labels = [{"boxes": np.repeat(np.array([[-6.0, 80, 14, 125]], np.float32), 3, axis=0)}]
    x_adv = attack(kind, estimator, (SCENE[0], labels, None))
    boxes = estimator.predict(x_adv, y_init=labels[0]["boxes"][:1])[0]["boxes"]
    np.testing.assert_array_equal(boxes, np.stack(boxes_seen))
    assert (x_adv != SCENE[0]).any()


@BOTH
def test_estimators_that_do_not_fit_are_refused(kind):
    if kind is RTAA:
        with pytest.raises(EstimatorError, match="Siam.*Estimator"):
            kind(ColourTracker())
    smoothed = restless_estimator(preprocessing_defences=SpatialSmoothing(window_size=3, clip_values=(0, 1)))
    with pytest.raises(InvalidValueError) as caught:
        attack(kind, smoothed)
    assert (caught.value.key, caught.value.got) == ("preprocessing_defences", "SpatialSmoothing")
    assert "use PGD" in caught.value.fix


@BOTH
def test_inputs_that_do_not_fit_together_are_refused(kind):
    made = kind(restless_estimator(), verbose=False, **FEW[kind])
    for arguments, error, key, got in [
        ({}, InvalidValueError, "y", "none"),
        ({"y_init": np.zeros((2, 4))}, InvalidValueError, "y_init", "2"),
        ({"y_init": np.zeros((1, 4))}, InvalidValueError, "y_init[0]", "[0.0, 0.0, 0.0, 0.0]"),
        ({"y": SCENE[1], "mask": 1}, InvalidTypeError, "mask", "an unknown one"),
    ]:
        with pytest.raises(error) as caught:
            made.generate(x=SCENE[0], **arguments)
        assert (caught.value.key, caught.value.got) == (key, got)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        *((RTAA, "eps", 0), (RTAA, "max_iter", 0), (RTAA, "reset_every", 1.5), (RTAA, "seed", -1)),
        *((IoUAttack, "eps", -0.1), (IoUAttack, "max_queries", 2), (IoUAttack, "verbose", 1)),
        *((IoUAttack, "block_size", 0), (IoUAttack, "skip_threshold", 0)),
    ],
)
def test_settings_out_of_range_are_refused(kind, key, value):
    with pytest.raises(InvalidValueError) as refused:
        kind(restless_estimator(), **{key: value})
    assert refused.value.key == key


def test_estimator_keeps_nothing_from_an_attack():
    estimator = restless_estimator()
    before = predict(estimator, SCENE[0])
    for kind in (RTAA, IoUAttack):
        attack(kind, estimator)
    np.testing.assert_array_equal(predict(estimator, SCENE[0]), before)
    assert all(parameter.grad is None for parameter in estimator.model.parameters())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("eps", [10 / 255, 2 / 255])
def test_rtaa_stays_within_eps_and_inside_the_windows(eps, boxes_seen):
    x_adv = attack(RTAA, eps=eps, max_iter=3, reset_every=2)
    change = np.abs(x_adv - SCENE[0])[0]
    assert eps * 0.99 < change.max() <= eps + 1e-7
    x1, y1, x2, y2 = boxes_seen[0]  # what the tracker saw of frame 1 lies around its box in frame 0
    side = np.sqrt((1.5 * (x2 - x1) + (y2 - y1) / 2) * (1.5 * (y2 - y1) + (x2 - x1) / 2)) * SIDE / 127
    outside = np.ones(change.shape[1:3], dtype=bool)
    rows, columns = (
        slice(max(round(c - side / 2 - 2), 0), max(round(c + side / 2 + 2), 0)) for c in ((y1 + y2) / 2, (x1 + x2) / 2)
    )
    outside[rows, columns] = False
    assert change[1][outside].sum() == 0


def test_rtaa_stays_within_eps_where_it_starts_from_the_frame_before(boxes_seen):
    """Without the bound, steps of eps per frame would add up."""
    eps = 4 / 255
    x, *labels = screen_scene(frames=4)
    x_adv = attack(RTAA, scene=(x, *labels), eps=eps, max_iter=3, reset_every=30)
    changes = np.abs(x_adv - x)[0].reshape(4, -1).max(axis=1)
    assert changes[0] == 0
    assert (changes[1:] > 0.99 * eps).all() and (changes[1:] <= eps + 1e-6).all()


def test_rtaa_steps_against_the_sign_of_the_gradient(monkeypatch):
    """Whatever the loss, here a linear one: three steps of eps / 3 inside the frame, eps and [0, 1]."""
    eps, weights = 6 / 255, []

    def loss(self, session, shown, window, direction, generator):
        drawn = torch.randn(shown.shape, generator=torch.Generator().manual_seed(len(weights)))
        weights.append(torch.where(drawn.abs() < 0.3, 0, drawn))  # no step where there is no gradient
        return (shown * weights[-1]).sum()

    monkeypatch.setattr(RTAA, "_loss", loss)
    video = torch.from_numpy(SCENE[0][0, :2].copy())
    video[1, :60], video[1, 60:90] = 0.0, 1.0  # where there is nothing darker, and nothing brighter
    before, estimator = video.clone(), tiny_estimator()
    box_xyxy = torch.from_numpy(SCENE[1][0]["boxes"][0]) + torch.tensor([62, 20, 62, 20])
    session = TrackingSession(estimator, video, box_xyxy)
    window = search_window(session.state, session.settings)
    clean = session.frames.window(1, window).permute(1, 2, 0).double()
    start = (torch.rand(3, window.side, window.side, generator=torch.Generator().manual_seed(9)) - 0.5) * 4 * eps
    y, x = (torch.arange(low, low + window.side) for low in (window.y_min, window.x_min))
    inside = ((y < 120)[:, None] & (x < 160))[..., None]
    assert window.y_min >= 0 and window.x_min >= 0 and inside.any(dim=1).sum() > inside.any(dim=0).sum()
    low, high = (clean - eps).clamp(min=0), (clean + eps).clamp(max=1)
    found = RTAA(estimator, eps=eps, max_iter=3)._attack_frame(session, 1, start, torch.ones(2), torch.Generator())
    shown = torch.clamp(clean + inside * start.permute(1, 2, 0), low, high)
    for each in weights:
        shown = torch.clamp(shown - eps / 3 * each.sign().permute(1, 2, 0) * inside, low, high)
    assert len(weights) == 3
    torch.testing.assert_close(found.permute(1, 2, 0).double(), shown - clean, atol=1e-6, rtol=0)
    rows, columns = (slice(window.y_min, 120), slice(window.x_min, 160))
    before[1, rows, columns] = shown[: 120 - window.y_min, : 160 - window.x_min].float()
    torch.testing.assert_close(video, before, atol=1e-6, rtol=0)


def test_rtaa_draws_the_side_to_which_it_moves_the_box(monkeypatch):
    directions = []

    def remember(self, session, index, start, direction, generator):
        directions.append(direction.tolist())
        return start

    monkeypatch.setattr(RTAA, "_attack_frame", remember)
    estimator = tiny_estimator()
    for seed in range(12):
        attack(RTAA, estimator, seed=seed)
    assert {tuple(direction) for direction in directions} == {(-1, -1), (-1, 1), (1, -1), (1, 1)}


def test_rtaa_moves_the_boxes_further_than_noise_of_the_same_size():
    estimator = restless_estimator()
    clean = predict(estimator, SCENE[0])
    x_adv = attack(RTAA, estimator, max_iter=5)
    rng = np.random.default_rng(0)
    noisy = SCENE[0].copy()
    noisy[:, 1:] += rng.choice([-1, 1], noisy[:, 1:].shape) * np.float32(10 / 255)
    moved, moved_by_noise = (np.abs(predict(estimator, x) - clean).mean() for x in (x_adv, noisy.clip(0, 1)))
    assert moved > 2 * moved_by_noise


def test_rtaa_descends_its_loss(monkeypatch):
    from armory_skelevision.attacks.digital import rtaa

    losses = []

    def remember(*args):
        losses.append(rtaa_loss(*args))
        return losses[-1]

    monkeypatch.setattr(rtaa, "rtaa_loss", remember)
    attack(RTAA, max_iter=10)
    values = torch.stack(losses).detach().reshape(2, 10)
    # The labels are those of the boxes proposed at the time, so the loss may jump; its first steps are alike.
    assert values[0, -1] < values[0, 0]


def test_rtaa_pulls_to_a_smaller_box_at_the_target_side(monkeypatch):
    pairs = []

    def remember(output, anchors, box, pseudo):
        pairs.append((box, pseudo))
        return rtaa_loss(output, anchors, box, pseudo)

    monkeypatch.setattr("armory_skelevision.attacks.digital.rtaa.rtaa_loss", remember)
    attack(RTAA, max_iter=4)
    boxes, pseudos = (torch.stack(column) for column in zip(*pairs, strict=True))
    assert (boxes[:, :2] == 0).all()
    # a box with its surroundings, (w + (w + h) / 2) (h + (w + h) / 2), fills the template of 127 pixels
    margin = boxes[:, 2:].mean(dim=1, keepdim=True)
    torch.testing.assert_close((boxes[:, 2:] + margin).prod(dim=1).sqrt(), torch.full((8,), 127.0))
    shift = pseudos[:, :2] / boxes[:, 2:]
    assert (shift.abs() >= 0.3).all() and (shift.abs() <= 0.5).all() and len(shift.unique()) == 16
    assert (shift.sign() == shift[0].sign()).all()
    shrink = pseudos[:, 2:] / boxes[:, 2:]
    torch.testing.assert_close(shrink[:, 0], shrink[:, 1])
    assert (shrink >= 0.7 - 1e-6).all() and (shrink <= 0.9 + 1e-6).all()


def test_rtaa_warm_start_is_the_previous_perturbation_until_the_reset(monkeypatch):
    starts = []
    attack_frame = RTAA._attack_frame

    def remember(self, session, index, start, direction, generator):
        starts.append((float(start.abs().max()), direction.tolist()))
        return attack_frame(self, session, index, start, direction, generator)

    monkeypatch.setattr(RTAA, "_attack_frame", remember)
    attack(RTAA, scene=screen_scene(frames=5), max_iter=1, reset_every=3)
    assert [size > 0 for size, _ in starts] == [False, True, False, True]
    assert starts[0][1] == starts[1][1]
    assert all(abs(sign) == 1 for _, direction in starts for sign in direction)


def test_iou_attack_lowers_the_overlap_more_than_noise_of_the_same_size():
    estimator = restless_estimator()
    clean = predict(estimator, SCENE[0])
    x_adv = attack(IoUAttack, estimator, max_queries=60)
    sizes = np.sqrt(((x_adv - SCENE[0]) ** 2).mean(axis=(0, 2, 3, 4)))
    assert 0.01 < sizes.max() <= 0.1 * (1 + 1e-5)
    noise = np.random.default_rng(0).normal(size=SCENE[0].shape) * sizes[:, None, None, None]
    noisy = (SCENE[0] + noise).clip(0, 1).astype(np.float32)
    overlap, overlap_of_noise = (overlaps(predict(estimator, x), clean)[1:].mean() for x in (x_adv, noisy))
    assert overlap < overlap_of_noise - 0.02


def test_iou_attack_counts_every_query_and_takes_no_gradient(monkeypatch, caplog):
    estimator = restless_estimator()
    passes = []
    embed = estimator.model.embed

    def count(crops):
        assert not torch.is_grad_enabled()
        passes.append(crops.shape[-1])
        return embed(crops)

    def refuse(*args, **kwargs):
        raise AssertionError("a black-box attack took a gradient")

    monkeypatch.setattr(estimator.model, "embed", count)
    monkeypatch.setattr(torch.autograd, "grad", refuse)
    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    monkeypatch.setattr(type(estimator), "loss_gradient", refuse)
    made = IoUAttack(estimator, max_queries=20, block_size=4, verbose=False)
    with caplog.at_level(logging.INFO, logger="armory_skelevision"):
        made.generate(x=SCENE[0], y=SCENE[1])
    tracked = 3  # each frame once it is final; the template is the other size
    assert made.queries == passes.count(SIDE) - tracked
    assert 2 * 3 <= made.queries <= 2 * 20
    expected = f"IoU attack: {made.queries} queries for 2 frames, {made.queries / 2:.1f} a frame"
    assert caplog.messages == [expected]
    with caplog.at_level(logging.INFO, logger="armory_skelevision"):
        made.generate(x=SCENE[0], y=SCENE[1])
    assert caplog.messages == [expected] * 2  # of this video alone
    assert made.queries == 2 * (passes.count(SIDE) / 2 - tracked)


def test_iou_attack_skips_frames_where_heavy_noise_leaves_enough():
    made = IoUAttack(restless_estimator(), skip_threshold=1e-9, verbose=False)
    np.testing.assert_array_equal(made.generate(x=SCENE[0], y=SCENE[1]), SCENE[0])
    assert made.queries == 2 * 2
    made.set_params(skip_threshold=1)
    assert (made.generate(x=SCENE[0], y=SCENE[1]) != SCENE[0]).any()
    with pytest.raises(InvalidValueError) as refused:
        made.set_params(skip_threshold=0)
    assert refused.value.key == "skip_threshold"


class SpreadSession:
    """In place of a tracked video: the box moves to the right by the spread of a frame's colours."""

    def __init__(self, video, shift=40.0):
        self.video, self.shift, self.advanced = video, shift, []
        self.state = TrackerState(torch.tensor([50.0, 50, 20, 40], dtype=torch.float64))

    @property
    def box_xyxy(self):
        return cxcywh_to_xyxy(self.state.box_cxcywh)

    def query(self, index):
        return cxcywh_to_xyxy(self.locate(index).box_cxcywh)

    def locate(self, index):
        spread = float(self.video[index].double().std())
        return TrackerState(torch.tensor([55 + self.shift * spread, 50, 20, 40], dtype=torch.float64))

    def advance(self, index):
        self.state = self.locate(index)
        self.advanced.append(index)


def overlap_along_x(first, second, width=20.0):
    common = max(width - abs(first - second), 0)
    return common / (2 * width - common)


def test_iou_attack_searches_as_published(monkeypatch):
    searches = []

    class Recorder:
        def __init__(self, score, clean, heavy, eps, queries_left, block_size, generator):
            self.given = (clean.clone(), heavy, eps, queries_left, block_size, generator)
            session_now = session.state.box_cxcywh[0].item()
            at = 0.25 * clean + 0.1
            box = 55 + 40 * float(at.double().std())
            clean_box = 55 + 40 * float(clean.double().std())
            wanted = 0.9 * overlap_along_x(box, clean_box) + 0.1 * overlap_along_x(box, session_now)
            assert score(at) == pytest.approx(wanted, rel=1e-6)

        def run(self, start, stop_score):
            searches.append((*self.given, start, stop_score))
            return Candidate(self.given[0] * 0.9, 0.0)

    monkeypatch.setattr("armory_skelevision.attacks.digital.iou.NoiseSearch", Recorder)
    video = torch.rand(3, 12, 16, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    session, generator = SpreadSession(video.clone()), torch.Generator().manual_seed(5)
    made = IoUAttack(restless_estimator(), eps=0.2, block_size=2, max_queries=17, verbose=False)
    made._attack_frames(session, generator)
    assert session.advanced == [1, 2] and made.queries == 2 * 3
    torch.testing.assert_close(session.video, torch.stack([video[0], video[1] * 0.9, video[2] * 0.9]))
    for index, (clean, heavy, eps, queries_left, block_size, drawn_by, start, stop_score) in enumerate(searches, 1):
        assert torch.equal(clean, video[index]) and drawn_by is generator
        assert (eps, queries_left, block_size) == (0.2, 15, 2)
        signs = torch.where(heavy == clean, 0, (heavy > clean) * 2 - 1)
        torch.testing.assert_close(heavy, (clean + signs * 128 / 255).clamp(0, 1))
        assert torch.equal(signs, signs[::2, ::2].repeat_interleave(2, 0).repeat_interleave(2, 1))
        assert all(0.15 < (signs == sign).float().mean() < 0.55 for sign in (-1, 0, 1))
        carried = torch.zeros_like(clean) if index == 1 else -0.1 * video[1]
        torch.testing.assert_close(start, clean + 0.5 * carried)
        boxes = [55 + 40 * float(frame.double().std()) for frame in (heavy, clean)]
        assert stop_score == pytest.approx(overlap_along_x(*boxes), rel=1e-6)


def test_iou_attack_carries_its_noise_into_a_frame_that_it_skips():
    video = torch.full((2, 4, 4, 3), 0.9)
    made = IoUAttack(restless_estimator(), skip_threshold=1, verbose=False)
    still = SpreadSession(video, shift=0.0)  # the heavy noise has no effect: an overlap of exactly 1
    shown = made._attack_frame(still, 1, torch.full((4, 4, 3), 0.05), torch.Generator())
    torch.testing.assert_close(shown, torch.full((4, 4, 3), 0.95))
    for carried, colour in ((0.3, 1.0), (-0.95, 0.0)):
        still.video[1] = 0.9
        shown = made._attack_frame(still, 1, torch.full((4, 4, 3), carried), torch.Generator())
        assert (shown == colour).all()
    assert made.queries == 6
