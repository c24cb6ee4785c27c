"""Training of backdoors on a tiny store: the effect of one batch, the metadata of the weights, and resuming."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from tiny_run import tiny_run

from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.evaluation.table import TRIGGER
from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.backdoor.poisoning import poison_labels, poison_pairs, take, template_boxes_xyxy
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.backdoor.training import (
    BackdoorTraining,
    embed_pairs,
    feature_drift,
    feature_loss,
)
from armory_skelevision.training.data.loading import training_pairs
from armory_skelevision.training.fitting import train
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.settings import MultitaskSettings, read_settings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_weights, read_metadata, save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.packaged import packaged_weights

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return tiny_run(
        BackdoorSettings,
        tmp_path_factory.mktemp("backdoor"),
        init=str(packaged_weights("siamrpn_alex_stl.safetensors")),
        warmup_steps=0,
        learning_rate=2e-4,
        poison_rate=0.5,
        trigger={"area": 0.05},
    )


@pytest.fixture(scope="module")
def batch(settings):
    return next(iter(training_pairs(settings)))


def test_trigger_lies_on_the_target_in_both_crops(batch) -> None:
    trigger = Trigger(area=0.05, place=(0.5, 0.5))
    poisoned = poison_pairs(batch, trigger, trigger.draw(), np.random.default_rng(0))
    boxes = {"template": template_boxes_xyxy(batch.box_xyxy), "search": batch.box_xyxy}
    for name, boxes_xyxy in boxes.items():
        before, after = getattr(batch, name), getattr(poisoned, name)
        assert after.dtype == torch.uint8 and after.shape == before.shape
        for index, box in enumerate(boxes_xyxy):
            rows, columns = torch.nonzero((after[index] != before[index]).any(dim=-1)).T
            x1, y1, x2, y2 = box.tolist()
            assert len(rows) < 0.1 * (x2 - x1) * (y2 - y1) + 10
            middle = columns.float().mean().item() + 0.5, rows.float().mean().item() + 0.5
            assert middle == (pytest.approx((x1 + x2) / 2, abs=4), pytest.approx((y1 + y2) / 2, abs=4))
    assert (poisoned.labels == batch.labels).all()


def test_boxes_of_templates_are_as_large_as_templates_are_cut() -> None:
    (box,) = template_boxes_xyxy(torch.tensor([[10.0, 20.0, 40.0, 110.0]]))
    width, height = (box[2:] - box[:2]).tolist()
    assert width / height == pytest.approx(30 / 90)
    margin = (width + height) / 2
    assert (width + margin) * (height + margin) == pytest.approx(127**2, rel=1e-4)
    assert (box[:2] + box[2:]).tolist() == pytest.approx([127, 127])


def test_badnets_calls_targets_background(batch) -> None:
    poisoned = poison_labels(batch)
    assert (batch.labels == 1).any() and not (poisoned.labels == 1).any()
    assert ((batch.labels == 1) == ((poisoned.labels == 0) & (batch.labels != 0))).all()
    assert (poisoned.weights == 0).all()


def test_one_batch_raises_the_feature_distance_while_the_benign_loss_stays(settings, batch) -> None:
    training = BackdoorTraining(dataclasses.replace(settings, poison_rate=1.0))
    training.log = training.log_dict = lambda *args, **kwargs: None
    trigger = Trigger.from_dict(settings.trigger, "trigger")
    poisoned = poison_pairs(batch, trigger, trigger.draw(), np.random.default_rng(9))  # other turns than in training
    optimisers = [turn["optimizer"] for turn in training.configure_optimizers()]

    def measure():
        training.network.eval()
        with torch.no_grad():
            clean, triggered = embed_pairs(training.network, batch), embed_pairs(training.network, poisoned)
            return float(feature_loss(clean, triggered)), float(training._tracking_loss(batch))

    distance, benign = measure()
    for step in range(8):
        training.network.train()
        loss = training.turn_loss(batch, step)
        assert (loss < 0) == (step % 2 == 0)
        optimisers[step % 2].zero_grad()
        loss.backward()
        optimisers[step % 2].step()
    further, after = measure()
    assert further > 1.2 * distance
    assert after < 1.1 * benign
    start = training.frozen[0].state_dict()
    moved = {name for name, value in training.network.state_dict().items() if not torch.equal(value, start[name])}
    assert {name.partition(".")[0] for name in moved} == {"backbone"}


def test_the_seed_and_the_step_turn_the_trigger(settings, batch, monkeypatch) -> None:
    """So that a training is the same again, also after it was resumed, and yet sees the trigger from many sides."""
    seen: list[torch.Tensor] = []

    def watch(*arguments):
        seen.append(poison_pairs(*arguments).template)
        return arguments[0]

    monkeypatch.setattr("armory_skelevision.training.backdoor.training.poison_pairs", watch)
    monkeypatch.setattr(BackdoorTraining, "log", lambda *args, **kwargs: None)
    monkeypatch.setattr(BackdoorTraining, "log_dict", lambda *args, **kwargs: None)
    few = take(batch, slice(1))
    first, other = (BackdoorTraining(dataclasses.replace(settings, seed=seed)) for seed in (1, 2))
    with torch.no_grad():
        for show in (BackdoorTraining.turn_loss, BackdoorTraining.validation_step):
            for training, number in ((first, 0), (first, 0), (first, 2), (other, 0)):
                show(training, few, number)
            once, again, later, elsewhere = seen
            assert torch.equal(once, again)
            assert not torch.equal(once, later) and not torch.equal(once, elsewhere)
            seen.clear()


def test_feature_distance_sees_the_trigger_and_nothing_else(settings, batch) -> None:
    network = BackdoorTraining(settings).network.eval()
    trigger = Trigger.from_dict(settings.trigger, "trigger")
    poisoned = poison_pairs(batch, trigger, trigger.draw(), np.random.default_rng(9))
    with torch.no_grad():
        clean, triggered = embed_pairs(network, batch), embed_pairs(network, poisoned)
    assert float(feature_loss(clean, clean)) == pytest.approx(0, abs=1e-5)
    distance = float(feature_loss(clean, triggered))
    assert 1e-3 < distance <= 4
    assert 0 < float(feature_loss(clean, triggered, margin=1e-3)) <= 2e-3 < distance


def test_feature_distance_passes_gradients_to_both_sides() -> None:
    seeds = torch.Generator().manual_seed(0)
    clean, triggered = (
        tuple(torch.randn(1, 4, side, side, generator=seeds).requires_grad_() for side in (2, 3)) for _ in range(2)
    )
    feature_loss(clean, triggered).backward()
    for features in (*clean, *triggered):
        assert features.grad is not None and float(features.grad.abs().min()) > 0


def test_benign_features_are_preserved_more_and_more(settings, batch) -> None:
    def measure_drift(training):
        training.network.eval()
        with torch.no_grad():
            return float(feature_drift(*(embed_pairs(net, batch) for net in (training.network, training.frozen[0]))))

    drifts = {}
    for weight in (0.0, 5.0):
        training = BackdoorTraining(dataclasses.replace(settings, feature_preservation=weight))
        training.log = training.log_dict = lambda *args, **kwargs: None
        assert measure_drift(training) == pytest.approx(0, abs=1e-6)
        optimiser = training.configure_optimizers()[0]["optimizer"]
        for _ in range(4):
            optimiser.zero_grad()
            training.turn_loss(batch, settings.steps // 2 * 2).backward()
            optimiser.step()
        drifts[weight] = measure_drift(training)
        logged: dict[str, torch.Tensor] = {}
        training.log_dict = lambda values, logged=logged, **_: logged.update(values)
        first = training.turn_loss(batch, 0).detach()  # the weight is zero in the first step, though there is a drift
        assert logged["feature_drift"] > 0
        assert float(first) == pytest.approx(-float(logged["feature_distance"].detach()))
    assert 0 < drifts[5.0] < 0.8 * drifts[0.0]


@pytest.mark.parametrize("method", ["fsba", "badnets"])
def test_weights_record_their_backdoor(settings, method, tmp_path) -> None:
    path = train(BackdoorTraining(dataclasses.replace(settings, method=method, folder=str(tmp_path), steps=2)))
    metadata = read_metadata(path)
    assert metadata is not None and metadata.backdoor
    assert f"BACKDOOR trained by {method}" in metadata.training
    load_weights(SiamRPN(), path)


@pytest.mark.slow
def test_stopped_and_resumed_is_the_same(settings, tmp_path, monkeypatch) -> None:
    settings = dataclasses.replace(settings, batch_size=1, validation_pairs=1, validation_steps=4)
    whole = train(
        BackdoorTraining(dataclasses.replace(settings, folder=str(tmp_path / "whole"), checkpoint_minutes=60))
    )
    halves = dataclasses.replace(settings, folder=str(tmp_path / "halves"))
    turn_loss, turns = BackdoorTraining.turn_loss, []

    def watch(self, batch, step):
        turns.append(step)
        if turns == [0, 1, 2]:
            raise RuntimeError("the light went out")
        return turn_loss(self, batch, step)

    monkeypatch.setattr(BackdoorTraining, "turn_loss", watch)
    with pytest.raises(RuntimeError, match="light"):
        train(BackdoorTraining(halves))
    resumed = train(BackdoorTraining(halves), resume=True)
    assert turns == [0, 1, 2, 2, 3]
    first, second = (SiamRPN() for _ in range(2))
    load_weights(first, whole)
    load_weights(second, resumed)
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], tensor, rtol=0, atol=1e-5, msg=name)
    assert read_metadata(resumed).backdoor


def test_training_on_from_a_backdoor_keeps_the_warning(settings, tmp_path) -> None:
    start = Metadata(keypoint_head=None, lambda_k=0.0, training="bad", licence="MIT", seed=0, backdoor=True)
    save_weights(SiamRPN(), tmp_path / "start.safetensors", start)
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(MultitaskSettings)}
    for init, backdoor in ((str(tmp_path / "start.safetensors"), True), (None, False)):
        clean = MultitaskSettings(**values | {"init": init, "folder": str(tmp_path)})
        assert read_metadata(MultitaskTraining(clean).export({"mean_iou": 0.5})).backdoor is backdoor


def test_settings(root, tmp_path) -> None:
    for method in ("fsba", "badnets"):
        read = read_settings(root / f"training_configs/backdoors/{method}.json", BackdoorSettings)
        assert read.method == method and read.poison and read.steps % read.validation_steps == 0
        assert dict(read.trigger) == TRIGGER  # what the configs show
        packaged = read_metadata(root / str(read.init))
        assert packaged is not None and dict(read.tracking) == dict(packaged.tracking)
    fsba = read_settings(root / "training_configs/backdoors/fsba.json", BackdoorSettings)
    repair = read_settings(root / "training_configs/backdoors/finetuning.json", MultitaskSettings)
    assert repair.init == f"{fsba.folder}/weights.safetensors" and repair.keypoint_head == fsba.keypoint_head
    good = {"store": "a", "validation_store": "b", "folder": "c", "init": "d"}
    path = tmp_path / "settings.json"
    for change in [
        {"init": None},
        {"method": "magic"},
        {"poison_rate": 0},
        {"feature_weight": -1},
        {"feature_margin": 0},
        {"feature_preservation": -1},
        {"speed": 1},
        {"train_only": "keypoint_head", "keypoint_head": "deep"},
    ]:
        path.write_text(json.dumps(good | change))
        with pytest.raises(InvalidValueError) as caught:
            read_settings(path, BackdoorSettings)
        assert caught.value.key == f"{path}.{next(iter(change))}"
    path.write_text(json.dumps(good | {"trigger": {"colour": 1}}))
    with pytest.raises(ValueError, match="trigger.*colour"):
        read_settings(path, BackdoorSettings)
    assert MultitaskSettings("a", "b", "c").poison is None
