"""The card and the curves of a run."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_training import tiny_settings

from armory_skelevision.io import hash_file
from armory_skelevision.training.checkpoints import Progress
from armory_skelevision.training.curves import CurveLogger, draw_curves, format_curves
from armory_skelevision.training.model_card import write_model_card
from armory_skelevision.training.run_record import record_run


def write_card(root: Path, settings, progress: Progress | None = None) -> str:
    record = record_run(settings, {"init": Path(settings.init)})
    return write_model_card(root / "run/weights.safetensors", settings, record, progress or Progress()).read_text()


def test_a_card_has_all_that_reproduces_the_weights(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "rendered").mkdir()
    (tmp_path / "rendered/people.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "rendered/scenes.jsonl").write_text('{"b": 1}\n')
    save_file({"x": torch.zeros(1)}, tmp_path / "start.safetensors")
    weights = tmp_path / "run/weights.safetensors"
    save_file({"x": torch.ones(1)}, weights, {"licence": "a|b"})
    start = str(tmp_path / "start.safetensors")
    settings = replace(tiny_settings(tmp_path), store=str(tmp_path / "rendered"), init=start)
    card = write_card(tmp_path, settings)
    assert f"| sha256 | {hash_file(weights)} |" in card
    assert f"{settings.init}, sha256 {hash_file(settings.init)}" in card
    assert r"| licence | a\|b |" in card
    assert "2 lines of people.jsonl, 1 lines of scenes.jsonl" in card
    assert "6 crops of real people (tiny)" in card
    assert "steps were raised" not in card
    assert json.loads(card.partition("```json\n")[2].partition("```")[0]) == asdict(settings)
    (tmp_path / "rendered/scenes.jsonl").write_text('{"b": 2}\n')
    again = write_card(tmp_path, settings)
    assert [line[:14] for line, other in zip(card.splitlines(), again.splitlines(), strict=True) if line != other] == [
        "| trained on |"
    ], "other data must have another hash"
    raised = write_card(tmp_path, settings, Progress(extended=[[3, 4, 6], [6, 6, 9]]))
    assert "after 3 steps from 4 to 6, after 6 steps from 6 to 9" in raised


def test_curves_are_collected_written_and_drawn() -> None:
    logger = CurveLogger({"loss": {10: 3.0, 30: 7.0}})
    logger.log_metrics({"loss": 2.0, "epoch": 0.0}, 19)
    logger.log_metrics({"loss": 1.5}, 29)  # logged before, then again after a resume
    logger.log_metrics({"iou": 0.75}, 29)
    assert logger.curves == {"iou": {30: 0.75}, "loss": {10: 3.0, 20: 2.0, 30: 1.5}}
    assert format_curves(logger.curves) == b"step,iou,loss\n10,,3.0\n20,,2.0\n30,0.75,1.5\n"
    assert format_curves({}) == b"step\n"
    assert b"loss" in draw_curves(logger.curves) and draw_curves(logger.curves) == draw_curves(logger.curves)
    assert draw_curves({})
