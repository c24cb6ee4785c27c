"""Trainings that start from a SiamRPN++: targets of its response map, and weights that load again."""

import dataclasses

import pytest
import torch
from doubles import random_siamrpnpp
from tiny_run import tiny_run

from armory_skelevision import load_tracker
from armory_skelevision.networks import RPNOutput
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.backdoor.training import BackdoorTraining
from armory_skelevision.training.data.loading import training_pairs, validation_pairs
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.training.dualossdef.training import DuaLossDefTraining
from armory_skelevision.training.fitting import train
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.training.targets import mean_iou
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_siamrpn, read_metadata

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")

MOBILE = "siamrpn_mobilev2_l234_dwxcorr"


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / f"{MOBILE}.pth"
    torch.save(random_siamrpnpp().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def settings(tmp_path_factory, start):
    return tiny_run(
        BackdoorSettings,
        tmp_path_factory.mktemp("backdoor"),
        init=str(start),
        warmup_steps=0,
        steps=2,
        batch_size=1,
        validation_pairs=1,
        learning_rate=1e-4,
        poison_rate=0.5,
        trigger={"area": 0.05},
    )


def test_a_backdoor_is_trained_into_it(settings, start):
    trained = load_siamrpn(train(BackdoorTraining(settings)))
    metadata = read_metadata(f"{settings.folder}/weights.safetensors")
    assert (metadata.architecture, metadata.backdoor, metadata.tracking) == (MOBILE, True, {})
    before, after = load_siamrpn(start).state_dict(), trained.state_dict()
    moved = {
        name.partition(".")[0]
        for name, values in after.items()
        if values.is_floating_point() and (values - before[name]).norm() > 2e-3 * before[name].norm()
    }
    assert moved == {"backbone"}  # the rest is rounded to float16
    assert load_tracker(f"{settings.folder}/weights.safetensors").settings.learning_rate == 0.5


def test_targets_have_the_size_of_the_response(settings):
    training = BackdoorTraining(settings)
    batch = next(iter(training_pairs(settings, 0, training.base_size)))
    side = (settings.search_side - 127) // 8 + 1 + 8
    assert batch.labels.shape == (1, 5, side, side) and (batch.labels == 1).any()
    assert next(iter(validation_pairs(settings, 8))).labels.shape[-1] == (255 - 127) // 8 + 1 + 8
    with torch.no_grad():
        output = training.network(*(torch.rand(1, 3, each, each) for each in (127, settings.search_side)))
    assert output.cls.shape[-1] == side


def test_boxes_of_perfect_offsets_overlap_fully(settings):
    batch = next(iter(training_pairs(settings, 0, 8)))
    cls = torch.zeros(1, 2, *batch.labels.shape[1:])
    cls[:, 1] = (batch.labels == 1).float()
    output = (cls.flatten(1, 2), batch.deltas.flatten(1, 2))
    assert mean_iou(RPNOutput(*output), batch.box_xyxy, 8) > 0.99
    assert mean_iou(RPNOutput(*output), batch.box_xyxy) < 0.5


def test_a_keypoint_head_is_refused(settings):
    usual = {field.name: getattr(settings, field.name) for field in dataclasses.fields(MultitaskSettings)}
    with pytest.raises(InvalidValueError) as caught:
        MultitaskTraining(MultitaskSettings(**{**usual, "keypoint_head": "shallow"}))
    assert caught.value.key == "keypoint_head" and MOBILE in caught.value.expected


def test_dualossdef_is_trained_in_front_of_it(tmp_path, start):
    settings = tiny_run(DuaLossDefSettings, tmp_path, tracker=str(start), batch_size=1)
    training = DuaLossDefTraining(settings)
    training.log = training.log_dict = lambda *args, **kwargs: None
    assert training.base_size == 8
    batch = next(iter(training_pairs(settings, 0, training.base_size)))
    loss = training.loss(batch)
    assert torch.isfinite(loss) and loss.requires_grad
