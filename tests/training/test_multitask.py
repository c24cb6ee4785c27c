"""Tiny runs: they learn, are reproducible, resume, and write weights that the trackers load."""

import dataclasses

import numpy as np
import pytest
import torch
from people_data import make_coco, make_lasot
from tiny_run import tiny_run

from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.lasot import read_lasot
from armory_skelevision.io import hash_file
from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.data.loading import PairDataset, training_pairs
from armory_skelevision.training.data.real_crops.building import build_crops
from armory_skelevision.training.fitting import train
from armory_skelevision.training.licence import UNKNOWN
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.schedule import rate_factor
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_siamrpn, read_metadata, save_weights
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.packaged import packaged_weights

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return tiny_run(MultitaskSettings, tmp_path_factory.mktemp("training"), keypoint_head="shallow", lambda_k=0.2)


@pytest.fixture(scope="module")
def people(settings, tmp_path_factory):
    """Settings of a run on crops in the formats of real people."""
    root = tmp_path_factory.mktemp("people")
    make_coco(root)
    build_crops(read_coco(root / "people.json", root / "images"), root / "store")
    make_lasot(root, frames=1, sequences=2)
    build_crops(read_lasot(root, "train"), root / "store", skip_invalid=True)
    store = str(root / "store")
    return dataclasses.replace(settings, store=store, validation_store=store, steps=2)


def gradients_of(settings, batch):
    """Gradients of one batch by parameter, None where there is none."""
    training = MultitaskTraining(settings)
    training.log = training.log_dict = lambda *args, **kwargs: None
    training.training_step(batch, 0).backward()
    return {name: parameter.grad for name, parameter in training.network.named_parameters()}


def weights_of(path):
    return load_siamrpn(path).state_dict()


def test_the_same_batch_is_learned(settings):
    batch = next(iter(training_pairs(settings)))
    training = MultitaskTraining(settings)
    training.log = training.log_dict = lambda *args, **kwargs: None
    optimiser = torch.optim.AdamW(training.parameters(), lr=5e-4)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = training.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_uninterrupted_one(settings, tmp_path, monkeypatch, caplog):
    settings = dataclasses.replace(settings, tracking={"penalty_k": 0.24})
    whole = dataclasses.replace(settings, folder=str(tmp_path / "whole"), checkpoint_minutes=60)
    path = train(MultitaskTraining(whole))
    assert not [record for record in caplog.records if record.name.startswith("lightning")]
    assert read_metadata(path).lambda_k == 0.2
    assert read_metadata(path).tracking == {"penalty_k": 0.24}
    assert hash_file(path) in path.with_name("card.md").read_text()
    halves = dataclasses.replace(settings, folder=str(tmp_path / "halves"))

    def stop(training, batch, number):
        if training.global_step == 3:
            raise RuntimeError("the light went out")
        return step(training, batch, number)

    step = MultitaskTraining.training_step
    monkeypatch.setattr(MultitaskTraining, "training_step", stop)
    with pytest.raises(RuntimeError, match="light"):
        train(MultitaskTraining(halves))
    monkeypatch.undo()
    assert not (tmp_path / "halves/weights.safetensors").exists()
    with pytest.raises(InvalidValueError) as caught:
        train(MultitaskTraining(dataclasses.replace(halves, keypoint_head="deep")), resume=True)
    assert caught.value.key == "keypoint_head"
    assert train(MultitaskTraining(halves), resume=True).read_bytes() == path.read_bytes()


def test_without_weight_the_second_task_changes_nothing(settings):
    batch = next(iter(training_pairs(settings)))
    assert (batch.keypoints[..., 2] > 0).any()
    single = gradients_of(dataclasses.replace(settings, keypoint_head=None, lambda_k=0.0), batch)
    both, weighed = (gradients_of(dataclasses.replace(settings, lambda_k=weight), batch) for weight in (0.0, 0.2))
    for name, gradient in single.items():
        assert torch.equal(both[name], gradient), name
    assert not torch.equal(weighed["backbone.layer5.0.weight"], single["backbone.layer5.0.weight"])
    assert torch.equal(weighed["rpn_head.cls.head.0.weight"], single["rpn_head.cls.head.0.weight"])


def test_the_keypoint_head_is_trained_alone_then_with_the_tracker(people, tmp_path):
    source = SiamRPN()
    metadata = Metadata(keypoint_head=None, lambda_k=0, training="the tracker", licence="MIT", seed=0)
    save_weights(source, tmp_path / "tracker.safetensors", metadata)
    tracker = weights_of(tmp_path / "tracker.safetensors")
    alone = dataclasses.replace(
        people,
        folder=str(tmp_path / "head"),
        init=str(tmp_path / "tracker.safetensors"),
        lambda_k=0.0,
        train_only="keypoint_head",
        learning_rate=1e-3,
        tensorboard=True,
    )
    path = train(MultitaskTraining(alone))
    trained = weights_of(path)
    bias = "backbone.layer1.0.bias"  # the scaling of inputs goes in and out of it, in float32
    torch.testing.assert_close(trained[bias], tracker[bias], rtol=1e-3, atol=1e-4)
    assert [name for name in tracker if name != bias and not torch.equal(trained[name], tracker[name])] == []
    fresh = MultitaskTraining(alone).network.keypoint_head.state_dict()
    assert (trained["keypoint_head.deconv.weight"] - fresh["deconv.weight"]).abs().max() > 1e-4
    training = read_metadata(path).training
    assert training.startswith("the keypoint head alone: 2 steps of 2 pairs from 6 crops of real people (coco-people, ")
    assert "validation keypoint loss " in training and "from weights of: the tracker" in training
    assert list(tmp_path.glob("head/tensorboard/version_0/events.out.tfevents.*"))
    both = MultitaskTraining(dataclasses.replace(alone, train_only=None, init=str(path), lambda_k=0.2)).network
    head = {name: tensor for name, tensor in trained.items() if name.startswith("keypoint_head.")}
    torch.testing.assert_close({name: both.state_dict()[name] for name in head}, head)


def test_a_head_by_regression_learns_on_the_frozen_tracker(people, tmp_path):
    alone = dataclasses.replace(
        people,
        folder=str(tmp_path / "head"),
        init=str(packaged_weights("siamrpn_alex_stl.safetensors")),
        keypoint_head="regression",
        keypoint_loss="distance",
        lambda_k=0.0,
        train_only="keypoint_head",
    )
    batch = next(iter(training_pairs(dataclasses.replace(alone, batch_size=8))))  # some of whom have keypoints
    training = MultitaskTraining(alone)
    training.log = training.log_dict = lambda *args, **kwargs: None
    optimiser = torch.optim.AdamW([p for p in training.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        losses.append(training.training_step(batch, 0))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    path = train(MultitaskTraining(alone))
    assert read_metadata(path).keypoint_head == "regression"
    assert load_siamrpn(path).keypoint_head_kind == "regression"
    for head, loss in (("regression", "softmax"), ("shallow", "distance"), (None, "distance")):
        train_only = None if head is None else "keypoint_head"
        with pytest.raises(InvalidValueError) as refused:
            dataclasses.replace(alone, keypoint_head=head, keypoint_loss=loss, train_only=train_only)
        assert refused.value.key == "keypoint_loss"


def test_weights_have_the_terms_of_their_data_and_of_their_start(people, settings, tmp_path):
    def licence(settings, start=None, **changes):
        init = None if start is None else str(tmp_path / start)
        run = dataclasses.replace(settings, init=init, folder=str(tmp_path), **changes)
        return read_metadata(MultitaskTraining(run).export({})).licence

    pictures = "terms of the pictures of coco-people, lasot-train"
    torch.save(SiamRPN().state_dict(), tmp_path / "unknown.pth")
    for name, terms in {"ours": "MIT", "theirs": "CC BY-NC 4.0", "people": pictures}.items():
        metadata = Metadata(keypoint_head=None, lambda_k=0, training="the tracker", licence=terms, seed=0)
        save_weights(SiamRPN(), tmp_path / f"{name}.safetensors", metadata)
    assert licence(settings) == licence(settings, "ours.safetensors") == "MIT"
    assert licence(settings, "theirs.safetensors") == "CC BY-NC 4.0"
    assert licence(settings, "unknown.pth") == UNKNOWN
    assert licence(people) == licence(people, "ours.safetensors") == licence(people, "people.safetensors") == pictures
    assert licence(people, "theirs.safetensors") == f"CC BY-NC 4.0; {pictures}"
    assert licence(people, "theirs.safetensors", licence="as agreed") == "as agreed"


def test_people_without_keypoints_teach_the_tracker_alone(people):
    batch = next(iter(training_pairs(dataclasses.replace(people, batch_size=8))))
    labelled = (batch.keypoints[..., 2] > 0).any(dim=1)
    assert labelled.any() and not labelled.all()
    unlabelled = type(batch)(*(tensor[~labelled] for tensor in batch))
    gradients = gradients_of(people, unlabelled)
    assert not any(gradient.any() for name, gradient in gradients.items() if name.startswith("keypoint_head."))
    assert gradients["backbone.layer1.0.weight"].any()


def test_learning_rates_fall_as_published(settings):
    long = dataclasses.replace(settings, steps=1000, warmup_steps=10)
    stairs = dataclasses.replace(long, schedule="exponential")
    assert [rate_factor(stairs, step) for step in (0, 10, 19, 20, 999)] == pytest.approx(
        [0.1, 1, 1, 0.95, 0.95**49], abs=1e-12
    )
    assert [rate_factor(long, step) for step in (0, 500, 1000)] == pytest.approx([0.1, 0.5, 0])
    training = MultitaskTraining(stairs)
    scheduler = training.configure_optimizers()["lr_scheduler"]["scheduler"]
    assert scheduler.get_last_lr()[0] == pytest.approx(0.1 * settings.learning_rate)


def test_pairs_do_not_depend_on_the_dataset_object(settings):
    one, other = PairDataset(settings.store, 7, 191), PairDataset(settings.store, 7, 191)
    other[0]
    for a, b in zip(one[5], other[5], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert (one[5].search != one[6].search).any()


def test_a_loss_that_is_not_finite_stops_the_run(settings):
    training = MultitaskTraining(settings)
    training.log = training.log_dict = lambda *args, **kwargs: None
    with torch.no_grad():
        training.network.backbone.layer5[0].weight.fill_(torch.nan)
    batch = next(iter(training_pairs(settings)))
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        training.training_step(batch, 0)
