"""The figures of the technical report show what was measured, and are the same for the same numbers."""

import pandas as pd
import pytest

from examples import report_figures


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setitem(report_figures.COUNTS, "dev", 2)
    path = tmp_path / "rows.csv"
    shared = {"model": "stl", "constants": "packaged", "benign": 0.8}
    rows = [
        {**shared, "attack": "published", "video": 0, "left": 0.4},
        {**shared, "attack": "auto", "video": 0, "left": 0.1},
        {**shared, "attack": "published", "video": 1, "left": 0.5},
        {**shared, "attack": "auto", "video": 1, "left": 0.2},
        {**shared, "attack": "auto", "video": 0, "left": 0.2, "model": "mtl"},  # not all is measured yet
        {**shared, "attack": "published", "video": 0, "left": 0.5, "model": "mtl"},
        {**shared, "attack": "auto", "video": 1, "left": 0.2, "model": "mtl"},
        {**shared, "attack": "auto", "video": 2, "left": 0.3, "constants": "pysot"},
        {**shared, "attack": "flytrap", "video": 0, "left": 0.3},
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return report_figures.read_patches(path)


def test_trackers_whose_videos_are_all_measured_are_drawn(table, tmp_path, monkeypatch):
    first, second = table.to_dict("records")
    assert first == {"model": "stl", "video": 0, "benign": 0.8, "auto": 0.1, "published": 0.4}
    assert second == {"model": "stl", "video": 1, "benign": 0.8, "auto": 0.2, "published": 0.5}
    drawn = []
    monkeypatch.setattr(report_figures, "_save", lambda figure, path: drawn.extend(figure.axes))
    report_figures.draw_patches(table, tmp_path / "patches.svg")
    (axes,) = drawn
    points = {part.get_label(): part.get_offsets().tolist() for part in axes.collections[1:]}
    assert points == {
        "no attack": [[0.8, 0], [0.8, 1]],
        "published loss": [[0.5, 0], [0.4, 1]],
        "AutoPatch": [[0.2, 0], [0.1, 1]],
    }
    assert axes.get_title() == "STL"


def test_the_figures_of_the_guide_are_drawn_by_one_command(monkeypatch, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        monkeypatch.setattr("sys.argv", ["report_figures", str(folder)])
        report_figures.main()
    for name in ("report_patches.svg", "report_claims.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
