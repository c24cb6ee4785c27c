"""The study of the keypoints keeps what is finished, counts as it says, and draws its curves."""

from pathlib import Path

import numpy as np
import pytest


def found(share: float, people: int = 4) -> dict[str, np.ndarray]:
    """That share of the first ten keypoints is found, the other seven are not labelled."""
    hits = np.full((people, 17), np.nan)
    hits[:, :10] = np.arange(10) < 10 * share
    return {"own": hits, "aimed": hits, "elder": hits}


def test_keypoints_that_nobody_labelled_stay_unknown_in_files(tmp_path: Path) -> None:
    from experiments.keypoints import recall

    path = tmp_path / "cell.json"
    for work in (lambda: found(0.5), lambda: pytest.fail("measured again")):
        np.testing.assert_array_equal(recall(path, work)["own"], found(0.5)["own"])


def test_rows_and_plots(tmp_path: Path) -> None:
    from experiments.keypoint_plots import write_plots
    from experiments.keypoints import make_row

    rows = [
        make_row("walkers", attack, eps, found(0.8), found(0.4 if eps > 1 else 0.8))
        for attack in ("FGSM-U", "IGSM-T-20")
        for eps in (1, 8)
    ]
    assert rows[1]["relative"] == pytest.approx(50) and rows[1]["pck"] == pytest.approx(40)
    assert rows[1]["transfer"] == [pytest.approx(50)] and rows[0]["relative"] == pytest.approx(100)
    assert rows[1]["keypoints"]["nose"] == 100 and rows[1]["keypoints"]["left_elbow"] == 0
    assert rows[1]["keypoints"]["right_ankle"] is None
    write_plots(rows, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves_walkers.png",
        "keypoints.csv",
        "keypoints_walkers.png",
    ]
    assert (tmp_path / "keypoints.csv").read_text().splitlines()[2].startswith("walkers,FGSM-U,8.0,4,")
