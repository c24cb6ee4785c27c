"""Training of DuaLossDef in front of a tiny tracker: the attack, the loss, whole runs, and their weights."""

import dataclasses
import json
import math

import pytest
import torch
from doubles import TinySiamRPN
from tiny_run import tiny_run
from typer.testing import CliRunner

from armory_skelevision.cli import app
from armory_skelevision.defenses import DuaLossDef
from armory_skelevision.io import hash_file
from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.adversarial.inner_attack import (
    KINDS,
    CropBatch,
    InnerAttack,
    draw_attack,
    draw_squares,
)
from armory_skelevision.training.data.loading import training_pairs
from armory_skelevision.training.dualossdef import training as module
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.training.dualossdef.training import DuaLossDefTraining, find_tracker
from armory_skelevision.training.fitting import train
from armory_skelevision.training.settings import parse_changes, read_settings
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.listing import describe_file
from armory_skelevision.weights.loading import load_siamrpn, load_weights, save_weights
from armory_skelevision.weights.metadata import Metadata, UNetMetadata
from armory_skelevision.weights.packaged import packaged_weights

pytestmark = pytest.mark.filterwarnings("ignore:::lightning")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dualossdef")
    return tiny_run(DuaLossDefSettings, folder, learning_rate=1e-3, inner_max_iter=(1, 2), mu=1.0)


@pytest.fixture(scope="module")
def batch(settings):
    return next(iter(training_pairs(settings)))


def prepare(settings, tracker=None, **changes):
    """The loop's body around the tiny tracker, without a loop."""
    training = DuaLossDefTraining(dataclasses.replace(settings, **changes), tracker or TinySiamRPN())
    training.logged = {}
    training.log = lambda name, value, **kwargs: training.logged.update({name: float(torch.as_tensor(value).detach())})
    return training


def random_network(training):
    torch.manual_seed(1)
    torch.nn.init.normal_(training.network.last.weight, std=0.02)
    return training


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("branches", ["template", "search", "both"])
def test_the_attack_raises_the_loss_within_its_bounds(settings, batch, kind, branches):
    training = prepare(settings, branches=branches)
    clean = CropBatch.from_batch(batch)
    attacked = training.attack(clean, batch, InnerAttack(kind, 8 / 255, 3, 2.0), seeded())
    assert training.dua(attacked, batch) > training.dua(clean, batch)
    changes = CropBatch(*(b - a for a, b in zip(clean, attacked, strict=True)))
    square = kind == "square"
    assert changes.template.any() == (branches != "search" and not square)
    assert changes.search.any() == (branches != "template" or square)
    for crop, change in zip(attacked, changes, strict=True):
        assert not crop.requires_grad and crop.min() >= 0 and crop.max() <= 1
        if kind == "l2":
            assert (change.square().mean(dim=(1, 2, 3)).sqrt() <= 8 / 255 + 1e-6).all()
        elif not square:
            assert change.abs().max() <= 8 / 255 + 1e-6


def test_more_iterations_raise_the_loss_further_and_large_pixels_are_smooth(settings, batch):
    training, clean = prepare(settings), CropBatch.from_batch(batch)
    few, many = (training.attack(clean, batch, InnerAttack("inf", 8 / 255, steps, 1.0), seeded()) for steps in (1, 8))
    assert training.dua(many, batch) > training.dua(few, batch)
    coarse = training.attack(clean, batch, InnerAttack("inf", 8 / 255, 1, 4.0), seeded())
    rough, smooth = (((crops.search - clean.search).diff(dim=-1)).abs().mean() for crops in (few, coarse))
    assert smooth < 0.6 * rough


def test_squares_leave_the_target_in_sight(batch):
    search = CropBatch.from_batch(batch).search
    boxes_xyxy = torch.tensor([[60.0, 60, 120, 150], [0, 0, 191, 191]])
    squares = draw_squares(search, boxes_xyxy, seeded())
    assert squares.shape == (2, 1, 191, 191) and squares[0].any() and not squares[1].any()
    assert not squares[0, 0, 60:150, 60:120].any()
    other = draw_squares(search, boxes_xyxy, seeded(1))
    assert (squares[0] != other[0]).any()


def test_attacks_are_drawn_within_the_settings(settings):
    mixed = dataclasses.replace(
        settings, inner_attack="mixed", inner_max_iter=(2, 4), eps=(0.01, 0.02), pixel_size=(1, 2)
    )
    generator = seeded()
    attacks = [draw_attack(mixed, generator) for _ in range(60)]
    assert {attack.kind for attack in attacks} == set(KINDS)
    assert {attack.max_iter for attack in attacks} == {2, 3, 4}
    assert all(0.01 <= attack.eps <= 0.02 and 1 <= attack.pixel_size <= 2 for attack in attacks)
    assert {draw_attack(settings, generator).kind for _ in range(10)} == {"inf"}


def test_an_identity_at_the_start_leaves_the_loss(settings, batch):
    training = prepare(settings)
    training.training_step(batch, 0)
    assert training.logged["clean"] == pytest.approx(float(training.dua(CropBatch.from_batch(batch), batch)))
    assert training.logged["change"] == 0
    wanted = training.logged["attacked"] + training.logged["clean"] + settings.gate * training.logged["gate"]
    assert training.logged["loss"] == pytest.approx(wanted)
    assert training.logged["gate"] == pytest.approx(math.log(2))


def test_the_same_batch_is_learned_and_the_tracker_is_not(settings, batch):
    training = prepare(settings)
    before = {name: tensor.clone() for name, tensor in training.frozen[0].state_dict().items()}
    optimiser = torch.optim.AdamW(training.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = training.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert not any("held" in name or "tracker" in name for name in training.state_dict())
    for name, tensor in training.frozen[0].state_dict().items():
        assert torch.equal(tensor, before[name])


def test_ablations_change_what_they_name(settings, batch):
    training = random_network(prepare(settings))
    clean = CropBatch.from_batch(batch)
    for branches in ("template", "search", "both"):
        cleaned = random_network(prepare(settings, branches=branches)).clean(clean)
        assert (cleaned.template is clean.template) == (branches == "search")
        assert (cleaned.search is clean.search) == (branches == "template")
    cls, reg, both = (training.dua(clean, batch, part).item() for part in ("cls", "reg", "both"))
    assert cls > 0 and reg > 0 and both == pytest.approx(cls + reg)

    def step(**changes):
        training = random_network(prepare(settings, **changes))
        training.training_step(batch, 0)
        return training.logged

    plain = step()
    wanted = plain["attacked"] + plain["clean"] + plain["change"] + settings.gate * plain["gate"]
    assert plain["loss"] == pytest.approx(wanted, rel=1e-5)
    heavy = step(lambda_clean=3.0, mu=5.0, gate=7.0)
    wanted = plain["attacked"] + 3 * plain["clean"] + 5 * plain["change"] + 7 * plain["gate"]
    assert heavy["loss"] == pytest.approx(wanted, rel=1e-5)
    assert step(lambda_clean=0.0).keys() == {"attacked", "change", "gate", "loss"}
    assert step(lambda_clean=0.0, mu=0.0, gate=0.0).keys() == {"attacked", "loss"}
    assert step(loss="cls")["attacked"] != plain["attacked"]


def test_the_gate_learns_which_crops_were_attacked(settings, batch):
    training = prepare(settings)
    clean = CropBatch.from_batch(batch)
    attacked = CropBatch(*(crop + 0.1 * torch.randn(crop.shape).sign() for crop in clean))
    optimiser = torch.optim.AdamW(training.network.gate.parameters(), lr=1e-2)
    for _ in range(50):
        optimiser.zero_grad()
        training._gate_loss(clean, attacked).backward()
        optimiser.step()
    with torch.no_grad():
        for before, after in zip(clean, attacked, strict=True):
            assert training.network.suspect(before).max() < 0 < training.network.suspect(after).min()
        logits = training.network.suspect(clean.search), training.network.suspect(attacked.search)
        wanted = (torch.nn.functional.softplus(logits[0]) + torch.nn.functional.softplus(-logits[1])).mean() / 2
        search_alone = training._gate_loss(clean, clean._replace(search=attacked.search))
        torch.testing.assert_close(search_alone, wanted)


def test_an_attack_that_sees_the_u_net_is_the_stronger_one_behind_it(settings, batch):
    training = random_network(prepare(settings, gate=0, gated=False))
    clean = CropBatch.from_batch(batch)
    attack = InnerAttack("inf", 8 / 255, 8, 1.0)
    losses = {}
    for through in (False, True):
        attacked = training.attack(clean, batch, attack._replace(through=through), seeded())
        assert (attacked.search - clean.search).abs().max() <= 8 / 255 + 1e-6
        losses[through] = [float(training.dua(crops, batch)) for crops in (training.clean(attacked), attacked)]
    assert losses[True][0] > losses[False][0]  # behind the U-Net
    assert losses[True][1] < losses[False][1]  # in front of the bare tracker


def test_an_attack_on_features_moves_them_further(settings, batch):
    training = prepare(settings)
    clean = CropBatch.from_batch(batch)
    wanted = training.embed_clean(clean)
    assert float(module.feature_distance(wanted, wanted)) == 0
    assert float(module.feature_distance([2 * each for each in wanted], wanted)) == pytest.approx(1)
    attack = InnerAttack("inf", 8 / 255, 4, 1.0)
    moved = []
    for on_features in (False, True):
        attacked = training.attack(clean, batch, attack._replace(on_features=on_features), seeded())
        moved.append(float(module.feature_distance(training.embed(attacked), wanted)))
    assert moved[1] > 1.05 * moved[0] > 0


def test_attacks_are_shared_out_as_the_settings_say(settings):
    generator = seeded()
    adaptive = dataclasses.replace(settings, adaptive=0.75, inner_loss="both", inner_stride=1.25)
    drawn = [draw_attack(adaptive, generator, adaptive.adaptive) for _ in range(400)]
    assert sum(each.through for each in drawn) == pytest.approx(300, abs=40)
    assert sum(each.on_features for each in drawn) == pytest.approx(200, abs=40)
    assert {each.stride for each in drawn} == {1.25}
    usual = [draw_attack(settings, seeded(seed)) for seed in range(20)]
    assert not any(each.through or each.on_features for each in usual)


def test_without_a_gate_the_whole_correction_is_added(settings, batch):
    training = random_network(prepare(settings, gate=0, gated=False))
    images = CropBatch.from_batch(batch).search
    gated = prepare(settings).network
    gated.load_state_dict(training.network.state_dict(), strict=False)
    change, half = training.network(images) - images, gated(images) - images
    torch.testing.assert_close(change, 2 * half)  # before training, a gate lets half of it through
    assert not any(name.startswith("gate") for name in training.network.state_dict())


def test_every_term_of_the_adaptive_loss_counts(settings, batch):
    changes = {"gate": 0, "gated": False, "adaptive": 1.0, "features": 0.5, "restoration": 2.0, "inner_loss": "both"}
    full = float(random_network(prepare(settings, **changes)).loss(batch))
    for name in ("features", "restoration"):
        assert full - float(random_network(prepare(settings, **{**changes, name: 0.0})).loss(batch)) > 1e-4


def test_a_run_through_itself_starts_from_weights_and_is_judged_behind_itself(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_siamrpn", lambda path: TinySiamRPN())
    short = dataclasses.replace(settings, steps=1, validation_steps=1, warmup_steps=0)
    first = train(DuaLossDefTraining(dataclasses.replace(short, folder=str(tmp_path / "first"))))
    adaptive = {"gate": 0.0, "gated": False, "adaptive": 1.0, "features": 1.0, "init": str(first)}
    training = DuaLossDefTraining(dataclasses.replace(short, folder=str(tmp_path / "second"), **adaptive))
    start = DuaLossDef(str(first), device_type="cpu").network
    torch.testing.assert_close(training.network.first[0].weight, start.first[0].weight)
    assert training.input_files()["init"] == first
    written = train(training)
    assert start.gated and not DuaLossDef(str(written), device_type="cpu").network.gated
    (row,) = [row for row in curve(tmp_path / "second") if row["score"]]
    defended = (float(row["mean_iou_adaptive"]) + float(row["mean_iou_clean"])) / 2
    assert float(row["score"]) == pytest.approx(defended, abs=1e-6)
    assert "mean_iou_adaptive 0." in UNetMetadata.from_header(read_header(written)).validation


def test_weights_to_start_from_must_fit(settings, tmp_path):
    for changes in ({"init": "gone.safetensors"}, {"init": "dualossdef_small.safetensors", "width": "base"}):
        with pytest.raises((InvalidValueError, MissingFileError)):
            prepare(settings, **changes)
    with pytest.raises(InvalidValueError) as caught:
        dataclasses.replace(settings, gated=False).check()
    assert caught.value.key == "gate"


def test_a_loss_that_is_not_finite_stops_the_run(settings, batch):
    training = prepare(settings)
    torch.nn.init.constant_(training.network.last.weight, torch.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        training.training_step(batch, 0)


def curve(folder):
    rows = [line.split(",") for line in (folder / "curves.csv").read_text().splitlines()]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


@pytest.mark.slow
def test_runs_repeat_and_resume_and_their_weights_are_read(settings, tmp_path, monkeypatch):
    trackers = []

    def load_tiny(path):
        trackers.append(path)
        return TinySiamRPN()

    monkeypatch.setattr(module, "load_siamrpn", load_tiny)
    whole, again = (dataclasses.replace(settings, folder=str(tmp_path / name)) for name in ("whole", "again"))
    path = train(DuaLossDefTraining(whole))
    assert trackers == [packaged_weights("siamrpn_alex_stl.safetensors")]
    for row in (row for row in curve(tmp_path / "whole") if row["score"]):
        assert 0 <= float(row["mean_iou_attacked"]) <= 1
        defended = (float(row["mean_iou_attacked"]) + float(row["mean_iou_clean"])) / 2
        assert float(row["score"]) == pytest.approx(defended, abs=1e-6)
    network = DuaLossDef(path, width="small", device_type="cpu").network
    crop = torch.rand(1, 3, 32, 32)

    def stop(training, batch, number):
        if training.global_step == 3:
            raise RuntimeError("the light went out")
        return step(training, batch, number)

    step = DuaLossDefTraining.training_step
    with monkeypatch.context() as broken:
        broken.setattr(DuaLossDefTraining, "training_step", stop)
        with pytest.raises(RuntimeError, match="light"):
            train(DuaLossDefTraining(again))
    file = tmp_path / "again.json"
    file.write_text(json.dumps(dataclasses.asdict(again)))
    result = CliRunner().invoke(app, ["train", "dualossdef", str(file), "--resume"])
    assert result.output == f"weights {tmp_path / 'again/weights.safetensors'}\n", result.exception
    other = DuaLossDef(tmp_path / "again/weights.safetensors", width="small", device_type="cpu").network
    torch.testing.assert_close(other(crop), network(crop), rtol=0, atol=1e-4)
    check_file(path, whole)


def check_file(path, settings):
    """The metadata of a run's weights."""
    assert path.stat().st_size < 4e6
    metadata = UNetMetadata.from_header(read_header(path))
    tracker = find_tracker(settings)
    assert (metadata.width, metadata.seed, metadata.licence) == ("small", 3, "MIT")
    assert (metadata.tracker, metadata.tracker_sha256) == (tracker.name, hash_file(tracker))
    assert json.loads(metadata.settings)["inner_max_iter"] == [1, 2]
    assert "mean_iou_attacked 0." in metadata.validation and "undefended_clean 0." in metadata.validation
    assert describe_file(path).network == "U-Net, small, of DuaLossDef"


def test_a_saved_network_has_the_outputs_of_the_trained_one(settings, tmp_path):
    training = random_network(prepare(settings, folder=str(tmp_path)))
    network, path = training.network, training.export({"score": 0.5})
    crop = torch.rand(1, 3, 127, 127)
    read = DuaLossDef(path, device_type="cpu").network(crop)
    torch.testing.assert_close(read, network(crop), rtol=0, atol=1e-3)
    assert (read - crop).abs().max() > 0.01
    with pytest.raises(InvalidValueError) as wide:
        DuaLossDef(path, width="base", device_type="cpu")
    with pytest.raises(InvalidValueError) as tracker:
        load_weights(SiamRPN(), path)
    assert wide.value.key == tracker.value.key == str(path)


def test_trackers_of_either_kind_are_loaded(settings, tmp_path):
    metadata = Metadata(keypoint_head="shallow", lambda_k=0.2, training="none", licence="MIT", seed=0)
    save_weights(SiamRPN("shallow"), tmp_path / "mine.safetensors", metadata)
    mine = dataclasses.replace(settings, tracker=str(tmp_path / "mine.safetensors"))
    assert load_siamrpn(find_tracker(mine)).keypoint_head_kind == "shallow"
    with pytest.raises(MissingFileError) as caught:
        find_tracker(dataclasses.replace(settings, tracker="siamrpn.pth"))
    assert caught.value.key == "siamrpn.pth" and "siamrpn_alex_stl.safetensors" in caught.value.expected


REFUSED = [
    ({"stepz": 3}, "stepz"),
    ({"width": "wide"}, "width"),
    ({"branches": "all"}, "branches"),
    ({"loss": "l1"}, "loss"),
    ({"inner_attack": "fgsm"}, "inner_attack"),
    ({"mu": -1}, "mu"),
    ({"eps": [0.1, 0.05]}, "eps"),
    ({"eps": 0.1}, "eps"),
    ({"eps": [0.1, 1.5]}, "eps"),
    ({"inner_max_iter": [0, 2]}, "inner_max_iter"),
    ({"inner_max_iter": [1, 2.5]}, "inner_max_iter"),
    ({"pixel_size": [1, "x"]}, "pixel_size"),
    ({"inner_attack": "mixed", "loss": "cls"}, "loss"),
    ({"inner_attack": "mixed", "branches": "template"}, "branches"),
    ({"search_side": 250}, "search_side"),
]


@pytest.mark.parametrize(("change", "key"), REFUSED)
def test_settings_are_checked(tmp_path, change, key):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"store": "a", "validation_store": "b", "folder": "c"}))
    with pytest.raises(InvalidValueError) as caught:
        read_settings(path, DuaLossDefSettings, change)
    assert caught.value.key == f"{path}.{key}"


def test_changes_on_the_command_line(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"store": "a", "validation_store": "b", "folder": "c"}))
    found = CliRunner().invoke(app, ["train", "dualossdef", str(path), "--set", "loss=l1"])
    assert isinstance(found.exception, InvalidValueError)
    assert found.exception.key == f"{path}.loss"


def test_settings_of_the_recipes_and_of_the_guide(root):
    adaptive = read_settings(root / "training_configs/dualossdef_adaptive.json", DuaLossDefSettings)
    assert adaptive.adaptive == 0.75 and not adaptive.gated and adaptive.steps % adaptive.validation_steps == 0
    settings = read_settings(root / "training_configs/dualossdef.json", DuaLossDefSettings)
    assert settings.steps % settings.validation_steps == 0, "the last step would not be validated"
    assert settings.validation_pairs % settings.batch_size == 0, "the last batch would count for more"
    guide = (root / "docs/training.md").read_text()
    changes = guide.partition("for change in ")[2].partition(";")[0].split()
    assert len(changes) >= 7
    for change in changes:
        assert (
            read_settings(root / "training_configs/dualossdef.json", DuaLossDefSettings, parse_changes([change]))
            != settings
        )
