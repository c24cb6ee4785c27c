"""Adversarial training of a tracker: its attack, its loss, a run, and its weights."""

import csv
import dataclasses

import pytest
import torch
from tiny_run import tiny_run

from armory_skelevision import load_tracker
from armory_skelevision.training.adversarial.inner_attack import CropBatch, InnerAttack, draw_attack
from armory_skelevision.training.adversarial.settings import AdversarialSettings
from armory_skelevision.training.adversarial.training import AdversarialTraining
from armory_skelevision.training.data.loading import training_pairs
from armory_skelevision.training.fitting import train
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.settings import read_settings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import read_metadata
from armory_skelevision.weights.packaged import packaged_weights

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")

ATTACK = InnerAttack("inf", 8 / 255, 3, 1.0)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return tiny_run(
        AdversarialSettings,
        tmp_path_factory.mktemp("adversarial"),
        init=str(packaged_weights("siamrpn_alex_stl.safetensors")),
        warmup_steps=0,
        learning_rate=2e-4,
        inner_max_iter=(1, 1),
    )


@pytest.fixture(scope="module")
def batch(settings):
    return next(iter(training_pairs(settings)))


def prepare(settings, **changes):
    """The loop's body without a loop."""
    training = AdversarialTraining(dataclasses.replace(settings, **changes))
    training.logged = {}
    training.log = lambda name, value, **_: training.logged.update({name: float(value.detach())})
    training.log_dict = lambda values, **_: [training.log(*item) for item in values.items()]
    training._keep_statistics()
    return training


def clean_crops(training, batch):
    clean = CropBatch.from_batch(batch)
    with torch.no_grad():
        return clean, training.embed(clean)


def seeded():
    return torch.Generator().manual_seed(0)


def test_the_network_sees_the_same_crops_in_both_ways(settings, batch) -> None:
    training = prepare(settings)
    _, features = clean_crops(training, batch)
    with torch.no_grad():
        torch.testing.assert_close(training._tracking_loss(batch, features), training._tracking_loss(batch))


@pytest.mark.parametrize("on_features", [False, True])
def test_the_attack_raises_what_it_is_after_within_its_bound(settings, batch, on_features) -> None:
    training = prepare(settings)
    clean, features = clean_crops(training, batch)
    attacked = training.attack(clean, features, batch, ATTACK._replace(on_features=on_features), seeded())
    other = training.attack(clean, features, batch, ATTACK._replace(on_features=not on_features), seeded())

    def reached(crops):
        with torch.no_grad():
            found = training.embed(crops)
        change = sum((a - b).square().sum() for a, b in zip(found, features, strict=True))
        return float(change if on_features else training._dua(found, batch).detach())

    assert reached(attacked) > reached(other) > reached(clean)
    for before, after in zip(clean, attacked, strict=True):
        assert (after - before).abs().max() <= 8 / 255 + 1e-6 and after.min() >= 0 and after.max() <= 1


def test_noise_beyond_the_bound_stays_beyond_it(settings, batch) -> None:
    training = prepare(settings, inner_noise=2.0, inner_stride=1.0, eps=(8 / 255, 8 / 255))
    clean, features = clean_crops(training, batch)
    attack = draw_attack(training.settings, seeded())
    assert (attack.max_iter, attack.stride, attack.noise) == (1, 1.0, 2.0)
    attacked = training.attack(clean, features, batch, attack._replace(pixel_size=1.0), seeded())
    change = (attacked.search - clean.search).abs()
    assert 16 / 255 < change.max() <= 24 / 255 + 1e-6
    # Of start and step together, uniform in -1 ... 3 bounds along the gradient, half exceeds the bound.
    assert 0.3 < (change > 8 / 255).float().mean() < 0.6
    bounded = training.attack(clean, features, batch, attack._replace(pixel_size=1.0, noise=1.0), seeded())
    assert (bounded.search - clean.search).abs().max() <= 8 / 255 + 1e-6
    round_one = training.attack(clean, features, batch, attack._replace(pixel_size=1.0, kind="l2"), seeded())
    assert (round_one.search - clean.search).square().mean(dim=(1, 2, 3)).sqrt().min() > 8 / 255


def test_the_loss_is_shared_between_clean_and_attacked_pairs(settings, batch) -> None:
    training = prepare(settings, attacked=0.25, features=3.0)
    loss = float(training.loss(batch).detach())
    on_clean = prepare(settings, attacked=0.0, features=0.0).loss(batch)
    plain = MultitaskTraining(settings)
    plain.log_dict = plain.log = lambda *_, **__: None
    plain._keep_statistics()
    torch.testing.assert_close(on_clean, plain.loss(batch))
    logged = training.logged
    assert logged["attacked"] > float(on_clean.detach()) and logged["features"] > 0
    wanted = 0.75 * float(on_clean.detach()) + 0.25 * logged["attacked"] + 3 * logged["features"]
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_attacks_on_a_batch_are_learned_and_norms_keep_their_statistics(settings, batch) -> None:
    training = prepare(settings)
    clean, features = clean_crops(training, batch)
    statistics = {name: values.clone() for name, values in training.network.named_buffers()}

    def attacked_loss():
        crops = training.attack(clean, features, batch, ATTACK, seeded())
        return float(training._dua(training.embed(crops), batch).detach())

    before = attacked_loss()
    optimiser = torch.optim.AdamW(training.parameters(), lr=1e-4)
    training.network.train()
    for _ in range(5):
        optimiser.zero_grad()
        training.loss(batch).backward()
        optimiser.step()
    assert attacked_loss() < 0.9 * before
    assert statistics and all(torch.equal(statistics[name], now) for name, now in training.network.named_buffers())


def test_a_run_is_judged_under_attack_and_its_weights_say_how_they_were_trained(settings) -> None:
    short = dataclasses.replace(settings, steps=2, validation_steps=2)
    weights = train(AdversarialTraining(short))
    with (weights.parent / "curves.csv").open(encoding="utf-8", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["score"]]
    attacked, clean, score = (float(row[name]) for name in ("mean_iou_attacked", "mean_iou", "score"))
    assert score == pytest.approx((attacked + clean) / 2) and attacked < clean
    assert read_metadata(weights).training.startswith("adversarial training, bounds of 2/255 to 16/255; 2 steps of 2")
    assert not read_metadata(weights).backdoor
    assert load_tracker(weights).weights_path == weights


def test_settings(root) -> None:
    read = read_settings(root / "training_configs/adversarial.json", AdversarialSettings)
    assert read.steps % read.validation_steps == 0 and (root / str(read.init)).is_file()
    good = {"store": "a", "validation_store": "b", "folder": "c", "init": "d"}
    head = {"train_only": "keypoint_head", "keypoint_head": "deep"}
    for change in [{"init": None}, {"attacked": 1.5}, {"features": -1}, {"eps": [0.2, 0.1]}, head]:
        with pytest.raises(InvalidValueError) as caught:
            AdversarialSettings.from_dict(good | change, "file")
        assert caught.value.key == f"file.{next(iter(change))}"
