"""Results kept in files come back equal, and are not measured again."""

import math
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _importable(monkeypatch, root):
    monkeypatch.syspath_prepend(str(root / "benchmarks"))


def test_what_is_kept_is_not_done_again(tmp_path: Path) -> None:
    from keeping import kept

    done = []

    def work() -> list[list[float]]:
        done.append(1)
        return [[0.5, 0.25], [1.0]]

    path = tmp_path / "keep" / "cell.json"
    for found in (kept(path, work), kept(path, work)):
        assert found == [[0.5, 0.25], [1.0]]
    assert done == [1]
    kept(None, work)
    assert done == [1, 1]


def test_places_tell_apart_what_differs(tmp_path: Path) -> None:
    from keeping import place

    assert place(tmp_path, "a", 0.1) == place(tmp_path, "a", 0.1)
    cells = [("a", 0.1), ("a", 1), ("a0.1",), ("a", None), ("a", "", 0.1)]
    assert len({place(tmp_path, *cell) for cell in cells}) == len(cells)
    assert place(None, "a") is None


def test_joints_that_nobody_labelled_stay_unknown(tmp_path: Path) -> None:
    from keypoints import recall

    path = tmp_path / "cell.json"
    first = recall(path, lambda: {"own": np.array([[1.0, 0.0, math.nan]])})
    again = recall(path, lambda: pytest.fail("measured again"))
    for found in (first, again):
        np.testing.assert_array_equal(found["own"], [[1.0, 0.0, math.nan]])
