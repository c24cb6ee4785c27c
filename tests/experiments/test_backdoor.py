"""The study of backdoors keeps what is finished apart, and counts as it says; nothing is measured here."""

import argparse
from pathlib import Path

import pytest


def test_each_cell_has_a_file_of_its_own(tmp_path: Path) -> None:
    from experiments.backdoor import _place

    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"backdoor")
    options = argparse.Namespace(keep=tmp_path, split="mini", videos=None, frames=None)
    cells = [
        (path, defense, show, {"seed": seed})
        for path in (None, weights)
        for defense in (None, "dualossdef", "jpeg", 0.1)
        for show in ("one_shot", "few_shot")
        for seed in (0, 1)
    ]
    assert len({_place(options, *cell) for cell in cells}) == len(cells)
    assert _place(options, None, None, None, {"seed": 0}) == _place(options, None, None, None, {"seed": 1})
    shorter = argparse.Namespace(keep=tmp_path, split="mini", videos=None, frames=5)
    assert _place(shorter, *cells[0]) != _place(options, *cells[0])


def test_a_row_by_hand() -> None:
    from experiments.backdoor import make_row

    row = make_row("one", 0.1, "one_shot", [[1.0, 1.0], [0.5]], [[0.0, 0.0], [0.5]])
    # of the 21 thresholds 0, 0.05, ..., 1 an IoU of 1 is above 20, of 0.5 above 10, of 0 above none
    assert row["AUC"] == pytest.approx((20 + 10) / 42)
    assert row["AUC attacked"] == pytest.approx(10 / 42)
    assert row["points lost"] == pytest.approx(100 * 20 / 42)
    assert (row["weights"], row["defense"], row["mean IoU"], row["mean IoU attacked"]) == (
        "one",
        "pruned 0.1",
        0.75,
        0.25,
    )
