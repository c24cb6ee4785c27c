import numpy as np
import pytest
import torch
from doubles import SMALL, ColourTracker, IdentityTracker, overlaps, random_estimator, screen_scene, tiny_estimator

from armory_skelevision.attacks import AutoPatch, PatchAttack
from armory_skelevision.attacks.gradients import CropGradient, ValueAndGrad
from armory_skelevision.attacks.optimizer import BestIterate
from armory_skelevision.attacks.patch import read_scene
from armory_skelevision.attacks.patch.auto import Member
from armory_skelevision.attacks.patch.race import MIN_STEPS, Contender, judge, race
from armory_skelevision.attacks.patch.starts import make_decoy, make_start
from armory_skelevision.validation import InvalidValueError


def attack(estimator, scene=None, **kwargs):
    x, y, metadata = scene or screen_scene()
    return AutoPatch(estimator, verbose=False, **kwargs).generate(x=x, y=y, y_patch_metadata=metadata)


def mean_iou(estimator, x, y):
    boxes = estimator.predict(x, y_init=y[0]["boxes"][:1])[0]["boxes"]
    return float(overlaps(np.asarray(boxes, np.float64), y[0]["boxes"].astype(np.float64))[1:].mean())


def test_the_patch_is_better_than_that_of_its_members_first_steps():
    scene, estimator = screen_scene(frames=3), random_estimator(settings=SMALL)
    short, long = (mean_iou(estimator, attack(estimator, scene, budget=budget), scene[1]) for budget in (1, 12))
    assert long < short <= mean_iou(estimator, scene[0], scene[1])


@pytest.fixture
def _short_ascents(monkeypatch):
    """Two steps are enough for a contender, so that small budgets have several."""
    monkeypatch.setattr("armory_skelevision.attacks.patch.auto.MIN_STEPS", 2)


@pytest.mark.usefixtures("_short_ascents")
@pytest.mark.parametrize(("budget", "evaluations"), [(1, 1), (3, 3), (4, 4), (5, 4), (7, 6), (20, 18)])
def test_every_evaluation_is_counted(monkeypatch, budget, evaluations):
    counts = []
    monkeypatch.setattr(AutoPatch, "_progress", lambda self, steps, *_, **__: Bar(len(steps), counts))
    attack(tiny_estimator(), screen_scene(frames=2), budget=budget)
    assert counts == [evaluations, *[1] * evaluations]


def test_a_hundred_evaluations_are_for_two_members():
    auto = AutoPatch(tiny_estimator(), budget=100)
    assert list(auto._choose_members(auto._tracker_gradient())) == [*AutoPatch.members[:2]]
    assert 100 // 2 >= MIN_STEPS > 100 // 3


@pytest.mark.usefixtures("_short_ascents")
def test_contenders_share_the_budget_and_are_evaluated_together(monkeypatch):
    counts, evaluate_all = [], CropGradient.evaluate_all

    def watched(self, videos, with_grad):
        counts.append((len(videos), with_grad))
        return evaluate_all(self, videos, with_grad)

    monkeypatch.setattr(CropGradient, "evaluate_all", watched)
    attack(tiny_estimator(), screen_scene(frames=2), budget=5)
    assert counts == [(2, True)] * 2 + [(2, False)] * 2


class Bar:
    """A progress bar that keeps its total and its updates."""

    def __init__(self, total, counts):
        self.counts = counts
        counts.append(total)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self):
        self.counts.append(1)


def test_the_same_seed_gives_the_same_patch_and_another_seed_another(monkeypatch):
    monkeypatch.setattr(AutoPatch, "members", (Member(("l1",), "random"), Member(("giou",), "random")))
    first, again, other = (attack(tiny_estimator(), budget=20, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (other != first).any()


def test_checkpoints_never_rise_and_end_at_the_returned_patch():
    scene, estimator = screen_scene(frames=3), random_estimator(settings=SMALL)
    auto = AutoPatch(estimator, budget=12, checkpoints=(1, 4, 12), verbose=False)
    x_adv = auto.generate(scene[0], scene[1], scene[2])
    values = list(auto.mean_iou[0].values())
    assert list(auto.mean_iou[0]) == [1, 4, 12] and values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(mean_iou(estimator, x_adv, scene[1]), abs=1e-6)


@pytest.mark.parametrize("loss", ["l1", "giou"])
def test_the_known_best_patch_is_found_without_proposals(loss):
    scene = screen_scene()
    scene[2][0]["shading"] = False
    tracker = ColourTracker()
    auto = AutoPatch(tracker, budget=20, verbose=False)
    auto.whole_frame_members = (Member((loss,), "grey"),)
    labels = [{"boxes": np.repeat(scene[1][0]["boxes"][:1], 5, axis=0)}]
    x_adv = auto.generate(scene[0], labels, scene[2])
    best = scene[0].copy()
    best[0][scene[2][0]["masks"][..., 0] > 0] = [1, 0, 1]
    gained, possible = (mean_iou(tracker, scene[0], labels) - mean_iou(tracker, x, labels) for x in (x_adv, best))
    assert gained >= 0.95 * possible > 0


def test_a_tracker_without_gradient_keeps_its_start():
    x, y, metadata = screen_scene()
    first = PatchAttack(IdentityTracker(), max_iter=0, start="decoy", verbose=False).generate(x, y, metadata)
    np.testing.assert_array_equal(attack(IdentityTracker(), (x, y, metadata), budget=30), first)


def test_one_patch_for_several_videos_is_judged_by_all():
    estimator = random_estimator(settings=SMALL)
    scenes = [screen_scene(frames=3, seed=seed) for seed in (0, 1)]
    x, y, metadata = (
        np.concatenate([scene[0] for scene in scenes]),
        *([each for scene in scenes for each in scene[part]] for part in (1, 2)),
    )
    auto = AutoPatch(estimator, budget=6, universal=True, checkpoints=(6,), verbose=False)
    x_adv = auto.generate(x, y, metadata)
    assert len(auto.mean_iou) == 2
    before, after = (
        np.mean([mean_iou(estimator, video[None], [labels]) for video, labels in zip(videos, y, strict=True)])
        for videos in (x, x_adv)
    )
    assert after < before


def test_a_decoy_is_full_of_pictures_of_the_target():
    scene = scene_of(screen_scene())
    # The target of 20 x 45 pixels with its margins is a picture of 26 x 58, of which there are three in each direction.
    decoy = make_decoy(scene, (3 * 58, 3 * 26)).numpy()
    assert decoy.shape == (3 * 58, 3 * 26, 3)
    person = np.isclose(decoy, [0.8, 0.2, 0.3]).all(axis=2)
    assert person.sum() == 9 * 20 * 45 and person[58 + 29, 26 + 13]


def test_a_decoy_of_a_target_at_the_border_is_what_can_be_seen_of_it():
    x, y, metadata = screen_scene()
    y[0]["boxes"][:] = [-30, 90, 20, 140]
    decoy = make_decoy(scene_of((x, y, metadata)), (100, 70)).numpy()
    np.testing.assert_array_equal(decoy[:20, :20], decoy[38:58, 27:47])


def test_further_starts_of_different_seeds_are_different():
    scene = scene_of(screen_scene())
    starts = [make_start("random", [scene], seed, number) for seed in range(3) for number in range(3)]
    assert len({start.sum().item() for start in starts}) == 9


def test_each_contender_goes_on_from_its_own_patch_and_the_best_is_known_after_each_evaluation(monkeypatch):
    gains = {"slow": 0.1, "fast": 0.9, "stuck": -1.0}
    seen = []

    def evaluate_known(names, patches, with_grad):
        """Mean IoUs of 1 - the patch's mean, times a constant."""
        seen.append(("".join(name[0] for name in names), with_grad))
        grads = [torch.ones_like(patch) if with_grad else None for patch in patches]
        values = [gains[name] * float(patch.mean()) - 1 for name, patch in zip(names, patches, strict=True)]
        return [ValueAndGrad(*pair) for pair in zip(values, grads, strict=True)]

    monkeypatch.setattr("armory_skelevision.attacks.patch.race.evaluate_runs", evaluate_known)
    start = BestIterate(-np.inf, torch.zeros(1, 1, 3))
    contenders = [Contender(name, start) for name in gains]
    values = [best.value for best in race(contenders, 4)]
    assert len(values) == 3 * 4 and values == sorted(values)
    assert seen == [("sfs", flag) for flag in [True] * 4 + [False]]
    assert [each.best.value for each in contenders] == pytest.approx([-0.9, -0.1, -1.0])
    assert values[-1] < contenders[1].best.value  # the last patches are judged afterwards


def scene_of(scene):
    x, y, metadata = scene
    return read_scene(x[0], y[0]["boxes"], metadata[0], torch.device("cpu"), 0)


def test_checkpoints_are_checked_as_those_of_the_patch_attack(caplog):
    with pytest.raises(InvalidValueError, match="checkpoints"):
        AutoPatch(tiny_estimator(), checkpoints=(5, 5))
    with pytest.raises(InvalidValueError, match="checkpoints"):
        AutoPatch(tiny_estimator(), checkpoints=(0, 5))
    AutoPatch(tiny_estimator(), budget=10, checkpoints=(5, 11))
    assert "[11]" in caplog.text


def test_checkpoints_are_recorded_though_nothing_is_left_to_change():
    x, y, metadata = screen_scene(frames=2)
    metadata[0]["masks"] = np.zeros_like(metadata[0]["masks"])
    auto = AutoPatch(tiny_estimator(), budget=40, checkpoints=(1, 10, 40), verbose=False)
    np.testing.assert_array_equal(auto.generate(x, y, metadata), x)
    assert list(auto.mean_iou[0]) == [1, 10, 40] and len(set(auto.mean_iou[0].values())) == 1


class LostTracker(IdentityTracker):
    """A tracker whose boxes are NaN, and have no gradient."""

    def boxes(self, video, box_xyxy):
        return super().boxes(video, box_xyxy) * np.nan


def test_boxes_that_are_no_numbers_do_not_win():
    with pytest.raises(InvalidValueError, match="finite boxes"):
        attack(LostTracker(), budget=5)


def test_a_seed_where_nothing_is_random_is_refused():
    for budget in (1, 119):
        with pytest.raises(InvalidValueError, match="seed"):
            AutoPatch(tiny_estimator(), budget=budget, seed=1)
    AutoPatch(tiny_estimator(), budget=120, seed=1)
    AutoPatch(tiny_estimator(), budget=1, seed=1, eot={"noise": 0.1})


def test_transformed_patches_are_judged_alike():
    seen = []

    class Watched(AutoPatch):
        def _make_judge(self, tracker, scenes):
            objective = super()._make_judge(tracker, scenes)
            seen.append(objective.rng.bit_generator.state["state"]["state"])
            return objective

    eot = {"brightness": 0.9, "frames": 0.6}
    x, y, metadata = screen_scene()
    auto = Watched(tiny_estimator(), budget=6, eot=eot, verbose=False)
    scene = scene_of((x, y, metadata))
    kept = auto.run([scene])[6]
    assert len(seen) > 6 and len(set(seen)) == 1
    fresh = auto._make_judge(auto._tracker_gradient(), [scene])
    assert judge([fresh], [kept.image], False)[0].value == kept.value


def test_an_earlier_patch_of_any_number_is_not_replaced(tmp_path):
    x, y, metadata = screen_scene(frames=2)
    videos = (np.concatenate([x, x]), y * 2, metadata * 2)
    (tmp_path / "patch_001.npy").write_bytes(b"mine")
    with pytest.raises(InvalidValueError, match="patch_001"):
        attack(tiny_estimator(), videos, budget=1, export=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["patch_001.npy"]
