"""The card of a run that was resumed."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from armory_skelevision.io import hash_file
from armory_skelevision.training.data.real_crops.cropping import Crop
from armory_skelevision.training.data.real_crops.store import write_part
from armory_skelevision.training.model_card import read_curves, write_model_card
from armory_skelevision.training.settings import MultitaskSettings


def write_run(folder: Path) -> MultitaskSettings:
    """The files of a run that logged its loss in steps 10 to 30, was stopped, and resumed from step 20."""
    head = "loss,step,epoch,iou\n"
    logged = {9: f"{head}3.0,9,0,\n2.0,19,0,\n7.0,29,0,\n6.", 10: f"{head}1.5,29,0,\n,29,0,0.75\n"}
    for version, text in logged.items():
        path = folder / f"run/curves/version_{version}/metrics.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    (folder / "store").mkdir()
    (folder / "store/people.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (folder / "store/scenes.jsonl").write_text('{"b": 1}\n')
    (folder / "crops").mkdir()
    crop = Crop(np.zeros(1, np.uint8), np.zeros(4, np.float32), np.zeros((17, 3), np.float32), 0, 0)
    write_part(folder / "crops/part.safetensors", [crop], "coco val", "", [])
    save_file({"x": torch.zeros(1)}, folder / "start.safetensors")
    save_file({"x": torch.ones(1)}, folder / "run/weights.safetensors", {"licence": "a|b"})
    return MultitaskSettings(
        store=str(folder / "store"),
        validation_store=str(folder / "crops"),
        folder=str(folder / "run"),
        init=str(folder / "start.safetensors"),
    )


def test_a_card_has_all_that_reproduces_the_weights(tmp_path: Path) -> None:
    settings = write_run(tmp_path)
    card = write_model_card(tmp_path / "run/weights.safetensors", settings).read_text()
    assert f"| sha256 | {hash_file(tmp_path / 'run/weights.safetensors')} |" in card
    assert hash_file(settings.init) in card
    assert r"| licence | a\|b |" in card
    assert "2 lines of people.jsonl, 1 lines of scenes.jsonl" in card
    assert "1 crops of real people (coco val)" in card
    assert json.loads(card.partition("```json\n")[2].partition("```")[0]) == asdict(settings)
    (tmp_path / "store/scenes.jsonl").write_text('{"b": 2}\n')
    again = write_model_card(tmp_path / "run/weights.safetensors", settings).read_text()
    assert [line[:14] for line, other in zip(card.splitlines(), again.splitlines(), strict=True) if line != other] == [
        "| trained on |"
    ], "other data must have another hash"


def test_curves_of_a_resumed_run_are_one(tmp_path: Path) -> None:
    settings = write_run(tmp_path)
    curves = read_curves(tmp_path / "run")
    assert curves == {"iou": [(30, 0.75)], "loss": [(10, 3.0), (20, 2.0), (30, 1.5)]}
    write_model_card(tmp_path / "run/weights.safetensors", settings)
    first = (tmp_path / "run/curves.svg").read_bytes()
    assert b"loss" in first
    write_model_card(tmp_path / "run/weights.safetensors", settings)
    assert (tmp_path / "run/curves.svg").read_bytes() == first
