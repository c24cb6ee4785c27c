"""A run that was stopped, at any moment, ends as one that was not; a run is neither mixed with another nor replaced."""

import dataclasses
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import TinyTraining, make_crop_store, tiny_settings
from typer.testing import CliRunner

from armory_skelevision.cli import app
from armory_skelevision.io import locked
from armory_skelevision.training import run_record
from armory_skelevision.training.checkpoints import find_checkpoints, read_checkpoint
from armory_skelevision.training.fitting import train
from armory_skelevision.training.run_record import check_same_run, hash_store, record_run
from armory_skelevision.validation import InvalidValueError, MissingFileError

pytestmark = pytest.mark.filterwarnings("ignore:::lightning", "ignore:::torch")

OUTPUTS = ("weights.safetensors", "card.md", "curves.csv", "curves.svg")


class StoppedError(RuntimeError):
    pass


@pytest.fixture
def settings(tmp_path):
    return tiny_settings(tmp_path)


def outputs(folder):
    """What a finished run has written, with what its last checkpoint knows of the best validation."""
    best = read_checkpoint(find_checkpoints(folder)[0])["progress"]
    known = repr((best["logged"], best["best"])).encode()
    return {**{name: (folder / name).read_bytes() for name in OUTPUTS}, "best": known}


def stop_at(monkeypatch, step):
    """Stop trainings before a step."""
    original = TinyTraining.training_step

    def training_step(self, batch, number):
        if self.global_step == step:
            raise StoppedError
        return original(self, batch, number)

    monkeypatch.setattr(TinyTraining, "training_step", training_step)


def train_until(settings, step, monitor="mean_iou"):
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, step)
        with pytest.raises(StoppedError):
            train(TinyTraining(settings, monitor))


@pytest.mark.parametrize("monitor", ["mean_iou", "-mean_iou", None])
def test_stopped_before_any_step_it_ends_as_uninterrupted(settings, tmp_path, monitor):
    train(TinyTraining(settings, monitor))
    whole = outputs(tmp_path / "run")
    best = read_checkpoint(find_checkpoints(tmp_path / "run")[0])["progress"]["best"]
    assert bool(best) == (monitor is not None)
    shutil.rmtree(tmp_path / "run")
    for step in range(settings.steps):
        train_until(settings, step, monitor)
        shutil.copytree(tmp_path / "run", tmp_path / "copy")  # whatever happens to the folder in between
        shutil.rmtree(tmp_path / "run")
        shutil.move(tmp_path / "copy", tmp_path / "run")
        train(TinyTraining(settings, monitor), resume=True)
        assert outputs(tmp_path / "run") == whole, f"stopped before step {step}"
        shutil.rmtree(tmp_path / "run")


def test_stopped_in_any_validation_it_ends_as_uninterrupted(settings, tmp_path):
    train(TinyTraining(settings))
    whole = outputs(tmp_path / "run")
    original = TinyTraining.validation_step
    for step in (2, 4, 6):
        shutil.rmtree(tmp_path / "run")

        def validation_step(self, batch, number, step=step):
            if self.global_step == step and number == 1:
                raise StoppedError
            return original(self, batch, number)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TinyTraining, "validation_step", validation_step)
            with pytest.raises(StoppedError):
                train(TinyTraining(settings))
        assert find_checkpoints(tmp_path / "run")[0].name == f"resume-step={step - 1}.ckpt"
        train(TinyTraining(settings), resume=True)
        assert outputs(tmp_path / "run") == whole, f"stopped in the validation after step {step}"


@pytest.mark.parametrize("write", range(1, 8))
def test_stopped_at_any_write_it_ends_as_uninterrupted(settings, tmp_path, monkeypatch, write):
    train(TinyTraining(settings))
    whole = outputs(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    original, calls = Path.write_bytes, []

    def write_bytes(path, data):
        calls.append(path)
        if len(calls) == write:
            raise OSError(28, "No space left on device")
        return original(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(OSError, match="No space left"):
            train(TinyTraining(settings))
    train(TinyTraining(settings), resume=True)
    assert outputs(tmp_path / "run") == whole


def test_checkpoints_between_validations_and_rarer_than_steps(settings, tmp_path):
    seldom = dataclasses.replace(settings, checkpoint_minutes=60)
    train(TinyTraining(seldom))
    whole = (tmp_path / "run/weights.safetensors").read_bytes()
    assert [path.name for path in find_checkpoints(tmp_path / "run")] == ["resume-step=7.ckpt"]
    shutil.rmtree(tmp_path / "run")
    train_until(seldom, 5)
    assert find_checkpoints(tmp_path / "run") == []
    train(TinyTraining(seldom), resume=True)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == whole


def test_the_best_weights_are_neither_the_first_nor_the_last(settings, tmp_path):
    train(TinyTraining(settings))
    last = read_checkpoint(find_checkpoints(tmp_path / "run")[0])
    curve = last["progress"]["curves"]["mean_iou"]
    assert (list(curve) == [2, 4, 6] and max(curve, key=curve.get) not in (2, 6)) or len(set(curve.values())) == 3
    assert last["progress"]["logged"]["mean_iou"] == max(curve.values())


def test_killed_moved_and_resumed(root):
    moments = ["validation:2", "writing:6", "renaming:5", "export:1"]
    command = [sys.executable, root / "tests/killed_runs.py", "--training", "tiny", "--moments", "2", "--at", *moments]
    environment = {"PYTHONPATH": f"{root}:{root / 'tests'}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    found = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count(": equal\n") == len(moments) + 2


def test_a_finished_run_is_left_as_it_is(settings, tmp_path):
    train(TinyTraining(settings))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    train(TinyTraining(settings), resume=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_more_steps_continue_and_the_card_says_so(settings, tmp_path):
    train(TinyTraining(settings))
    more = dataclasses.replace(settings, steps=9, checkpoint_minutes=1.0)
    train(TinyTraining(more), resume=True)
    last = read_checkpoint(find_checkpoints(tmp_path / "run")[0])
    assert last["global_step"] == 9 and last["progress"]["extended"] == [[7, 7, 9]]
    assert list(last["progress"]["curves"]["mean_iou"]) == [2, 4, 6, 8]
    assert "| steps were raised | after 7 steps from 7 to 9 |" in (tmp_path / "run/card.md").read_text()


def test_what_has_no_influence_may_change(settings):
    record = record_run(settings, {})
    free = {"folder": "x", "workers": 3, "checkpoint_minutes": 9.0, "tensorboard": True, "steps": 8}
    check_same_run(record, {**record, "settings": record["settings"] | free})


CHANGES = {
    "learning_rate": 0.1,
    "seed": 4,
    "batch_size": 2,
    "search_side": 207,
    "schedule": "exponential",
    "warmup_steps": 2,
    "weight_decay": 0.5,
    "hard_negatives": 3,
    "negative_pair_ratio": 0.5,
    "precision": "bf16",
    "validation_pairs": 1,
    "validation_steps": 3,
    "licence": "other",
    "keypoint_head": "deep",
    "keypoint_loss": "bce",
    "tracking": {"penalty_k": 0.1},
    "steps": 6,
}


def refusal(settings):
    before = {path.name: path.read_bytes() for path in Path(settings.folder).iterdir()}
    with pytest.raises(InvalidValueError) as caught:
        train(TinyTraining(settings), resume=True)
    assert {path.name: path.read_bytes() for path in Path(settings.folder).iterdir()} == before
    return caught.value


def test_a_run_is_not_resumed_as_another_one(settings):
    train_until(settings, 4)
    for name, value in CHANGES.items():
        found = refusal(dataclasses.replace(settings, **{name: value}))
        assert found.key == ("tracking.penalty_k" if name == "tracking" else name)
    both = refusal(dataclasses.replace(settings, learning_rate=0.1, seed=4))
    assert both.key == "seed" and "learning_rate" in both.fix
    train(TinyTraining(settings), resume=True)


def test_contents_of_stores_count_and_not_their_paths(settings, tmp_path):
    train_until(settings, 4)
    other = dataclasses.replace(settings, store=make_crop_store(tmp_path / "other", seed=9))
    assert refusal(other).key == "store"
    assert refusal(dataclasses.replace(settings, validation_store=other.store)).key == "validation_store"
    (tmp_path / "val/more.safetensors").write_bytes((tmp_path / "train/part.safetensors").read_bytes())
    assert refusal(settings).key == "validation_store"
    (tmp_path / "val/more.safetensors").unlink()
    shutil.move(settings.store, tmp_path / "elsewhere")
    train(TinyTraining(dataclasses.replace(settings, store=str(tmp_path / "elsewhere"))), resume=True)
    with pytest.raises(MissingFileError) as caught:
        train(TinyTraining(dataclasses.replace(settings, folder=str(tmp_path / "new"))))
    assert caught.value.key == "store"


def test_contents_of_files_and_versions_count(settings, tmp_path, monkeypatch):
    file = tmp_path / "picture.png"
    file.write_bytes(b"one")
    monkeypatch.setattr(TinyTraining, "input_files", lambda self: {"trigger.picture": file})
    train_until(settings, 4)
    file.write_bytes(b"two")
    assert refusal(settings).key == "trigger.picture"
    file.write_bytes(b"one")
    monkeypatch.setattr(run_record.armory_skelevision, "__version__", "0.0.0")
    assert refusal(settings).key == "version of armory_skelevision"


def test_pictures_of_a_rendered_store_count(tmp_path):
    for name in ("people", "scenes"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.jsonl").write_text("{}\n")
    before = hash_store("store", tmp_path)
    (tmp_path / "problems.txt").write_text("not part of the pairs")
    assert hash_store("store", tmp_path) == before
    (tmp_path / "scenes/1.jpg").write_bytes(b"a")
    one = hash_store("store", tmp_path)
    (tmp_path / "scenes/1.jpg").write_bytes(b"b")
    assert len({before, one, hash_store("store", tmp_path)}) == 3


def test_a_run_is_not_replaced_without_being_told(settings, tmp_path):
    train_until(settings, 4)
    for files in (["resume-step=3.ckpt", "resume-step=4.ckpt"], ["weights.safetensors"], ["best-step=2.ckpt"]):
        for name in files:
            (tmp_path / "run" / name).touch()
        with pytest.raises(InvalidValueError) as caught:
            train(TinyTraining(settings))
        assert caught.value.key == settings.folder and all(name in caught.value.got for name in files)
        for name in files:
            (tmp_path / "run" / name).unlink()
    (tmp_path / "run/curves.csv").unlink()
    (tmp_path / "run/notes.txt").touch()
    train(TinyTraining(settings))


@pytest.mark.parametrize("name", ["weights.safetensors", "../run/resume-step=900.ckpt", "best-step=2.ckpt"])
def test_a_run_does_not_replace_what_it_starts_from(settings, tmp_path, monkeypatch, name):
    start = tmp_path / "run" / name
    (tmp_path / "run").mkdir()
    start.write_bytes(b"start")
    monkeypatch.setattr(TinyTraining, "input_files", lambda self: {"init": start})
    with pytest.raises(InvalidValueError) as caught:
        train(TinyTraining(settings), overwrite=True)
    assert caught.value.key == "init" and start.read_bytes() == b"start"


def test_overwriting_leaves_nothing_of_the_old_run(settings, tmp_path):
    train(TinyTraining(settings))
    whole = outputs(tmp_path / "run")
    (tmp_path / "run/notes.txt").write_text("mine")
    (tmp_path / "run/resume-step=900.ckpt").write_bytes(b"old")
    with pytest.raises(InvalidValueError):
        train(TinyTraining(settings), resume=True, overwrite=True)
    broken = dataclasses.replace(settings, store=str(tmp_path / "missing"))
    with pytest.raises(MissingFileError):  # found before anything is removed
        train(TinyTraining(broken), overwrite=True)
    assert (tmp_path / "run/weights.safetensors").read_bytes() == whole["weights.safetensors"]
    train(TinyTraining(dataclasses.replace(settings, steps=2)), overwrite=True)
    assert [path.name for path in find_checkpoints(tmp_path / "run")] == ["resume-step=2.ckpt", "resume-step=1.ckpt"]
    assert (tmp_path / "run/notes.txt").read_text() == "mine"
    train(TinyTraining(settings), overwrite=True)
    assert outputs(tmp_path / "run") == whole


def test_results_without_a_checkpoint_are_not_retrained(settings, tmp_path):
    train(TinyTraining(settings))
    for path in find_checkpoints(tmp_path / "run"):
        path.unlink()
    found = refusal(settings)
    assert found.key == settings.folder and "weights.safetensors" in found.got


@pytest.mark.parametrize("name", ["resume-step=3.ckpt", "weights.safetensors"])
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_in_the_place_of_a_file_of_the_run_is_refused(settings, tmp_path, name, how):
    (tmp_path / "run" / name).mkdir(parents=True)
    with pytest.raises(InvalidValueError) as caught:
        train(TinyTraining(settings), **how)
    assert (caught.value.key, caught.value.got) == (str(tmp_path / "run" / name), "a folder")
    assert [path.name for path in (tmp_path / "run").glob("[!.]*")] == [name]


def test_one_training_has_the_folder(settings, tmp_path):
    with locked(tmp_path / "run"), pytest.raises(BlockingIOError) as caught:
        train(TinyTraining(settings))
    assert caught.value.filename == settings.folder
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValueError):
        train(TinyTraining(dataclasses.replace(settings, folder=str(tmp_path / "file"))))


def damage(path, how):
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes({"cut": data[:middle], "empty": b"", "web": b"<html>", "flipped": _flip(data, middle)}[how])


def _flip(data, at):
    return data[:at] + bytes(255 - byte for byte in data[at : at + 64]) + data[at + 64 :]


@pytest.mark.parametrize("how", ["cut", "empty", "web", "flipped"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(settings, tmp_path, capsys, how):
    train(TinyTraining(settings))
    whole = outputs(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    train_until(settings, 5)
    newest, older = find_checkpoints(tmp_path / "run")
    damage(newest, how)
    capsys.readouterr()
    train(TinyTraining(settings), resume=True)
    told = capsys.readouterr().err
    assert str(newest) in told and told.rstrip().endswith(older.name)
    assert outputs(tmp_path / "run") == whole


def test_any_damage_of_a_checkpoint_is_noticed(settings, tmp_path):
    train_until(settings, 2)
    path = find_checkpoints(tmp_path / "run")[0]
    data = path.read_bytes()
    for at in range(0, len(data), len(data) // 50):
        path.write_bytes(_flip(data, at))
        with pytest.raises(InvalidValueError) as caught:
            read_checkpoint(path)
        assert caught.value.key == str(path)
    path.write_bytes(data)
    assert read_checkpoint(path)["global_step"] == 2


def test_damaged_checkpoints_alone_are_refused(settings, tmp_path):
    train_until(settings, 5)
    newest, older = find_checkpoints(tmp_path / "run")
    for path in (newest, older):
        damage(path, "cut")
    assert refusal(settings).key == str(newest)
    older.unlink()
    torch.save({"state_dict": {}, "global_step": 3}, newest)  # as earlier versions wrote it
    assert refusal(settings).key == str(newest)
    newest.unlink()
    newest.mkdir()
    with pytest.raises(InvalidValueError) as caught:
        train(TinyTraining(settings), resume=True)
    assert caught.value.key == str(newest)


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(settings, tmp_path, monkeypatch):
    train(TinyTraining(settings))
    whole = outputs(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = TinyTraining.training_step

    def fill_disk(self, batch, number):
        if self.global_step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        return original(self, batch, number)

    monkeypatch.setattr(TinyTraining, "training_step", fill_disk)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            train(TinyTraining(settings))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    monkeypatch.undo()
    assert caught.value.filename == str(tmp_path / "run/resume-step=4.ckpt")
    left = ["curves.csv", "resume-step=2.ckpt", "resume-step=3.ckpt"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", *left]
    train(TinyTraining(settings), resume=True)
    assert outputs(tmp_path / "run") == whole


def test_a_divergence_writes_nothing(settings, tmp_path, monkeypatch):
    original = TinyTraining.training_step

    def diverge(self, batch, number):
        if self.global_step == 3:
            with torch.no_grad():
                self.network.bias.fill_(torch.nan)
        return original(self, batch, number)

    monkeypatch.setattr(TinyTraining, "training_step", diverge)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 3"):
        train(TinyTraining(settings))
    assert not (tmp_path / "run/weights.safetensors").exists()
    assert find_checkpoints(tmp_path / "run")[0].name == "resume-step=3.ckpt"


def test_weights_that_are_not_finite_reach_no_checkpoint(settings, tmp_path, monkeypatch):
    def break_weights(self, optimiser):
        if self.global_step == 6:  # the last step
            with torch.no_grad():
                self.network.bias.grad.fill_(torch.inf)

    monkeypatch.setattr(TinyTraining, "on_before_optimizer_step", break_weights)
    with pytest.raises(FloatingPointError, match="network.bias"):
        train(TinyTraining(settings))
    assert not (tmp_path / "run/weights.safetensors").exists()
    assert find_checkpoints(tmp_path / "run")[0].name == "resume-step=6.ckpt"


def test_validations_that_are_all_nan_choose_nothing(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(TinyTraining, "validation_step", lambda self, *_: self.log("mean_iou", np.nan, batch_size=1))
    with pytest.raises(FloatingPointError, match="mean_iou"):
        train(TinyTraining(settings))
    assert not (tmp_path / "run/weights.safetensors").exists()


def test_a_short_run_is_validated_at_its_end(settings, tmp_path):
    short = dataclasses.replace(settings, validation_steps=250)
    train(TinyTraining(short))
    card = (tmp_path / "run/card.md").read_text()
    assert re.search(r"'mean_iou': -?0\.\d+", card) and "nan" not in card
    assert (tmp_path / "run/curves.csv").read_text().startswith("step,")


@pytest.fixture
def run_command(tmp_path, monkeypatch):
    """The command, with the tiny training in place of a tracker's."""

    def run_command(settings, *options):
        file = tmp_path / "settings.json"
        file.write_text(json.dumps(dataclasses.asdict(settings)))
        monkeypatch.setattr("armory_skelevision.training.multitask.MultitaskTraining", TinyTraining)
        return CliRunner().invoke(app, ["train", "multitask", str(file), *options])

    return run_command


def test_the_command_is_told_what_to_do_with_a_run(settings, tmp_path, run_command):
    assert run_command(settings, "--resume").output == f"weights {tmp_path}/run/weights.safetensors\n"
    assert isinstance(run_command(settings).exception, InvalidValueError)
    assert run_command(settings, "--overwrite", "--set", "seed=9").exit_code == 0
    found = run_command(settings, "--resume").exception
    assert isinstance(found, InvalidValueError) and found.key == "seed"


def end_worker():
    raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated. ")


@pytest.mark.parametrize(
    ("stop", "code"),
    [(lambda: signal.raise_signal(signal.SIGINT), 130), (lambda: signal.raise_signal(15), 143), (end_worker, 143)],
)
def test_a_stop_says_what_was_kept(settings, tmp_path, monkeypatch, run_command, stop, code):
    original = TinyTraining.training_step

    def training_step(self, batch, number):
        if self.global_step == 3:
            stop()
        return original(self, batch, number)

    monkeypatch.setattr(TinyTraining, "training_step", training_step)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background may ignore it
    try:
        found = run_command(settings)
    finally:
        signal.signal(signal.SIGINT, old)  # Lightning ignores it from then on
    assert found.exit_code == code
    newest = find_checkpoints(tmp_path / "run")[0].name
    assert settings.folder in found.output and newest in found.output and "--resume" in found.output


def test_an_error_of_a_worker_is_one_line(settings, tmp_path, monkeypatch):
    def fail(self, batch, number):
        raise RuntimeError(
            "Caught InvalidValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
            "  File ...\narmory_skelevision.validation.InvalidValueError: part: expected a JPEG file, got other bytes\n"
        )

    monkeypatch.setattr(TinyTraining, "training_step", fail)
    with pytest.raises(RuntimeError) as caught:
        train(TinyTraining(settings))
    assert str(caught.value) == "part: expected a JPEG file, got other bytes"
