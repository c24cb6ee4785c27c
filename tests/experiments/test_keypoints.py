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
    assert rows[1]["relative"] == pytest.approx((50, 0, 4)) and rows[1]["pck"] == pytest.approx(40)
    assert rows[1]["transfer"] == [pytest.approx((50, 0, 4))] and rows[0]["relative"].mean == pytest.approx(100)
    assert rows[1]["parts"]["head"].mean == 80 and rows[1]["parts"]["ankles"] is None and rows[1]["more"] is None
    assert rows[1]["keypoints"]["nose"] == 100 and rows[1]["keypoints"]["left_elbow"] == 0
    assert rows[1]["keypoints"]["right_ankle"] is None
    write_plots(rows, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "curves_walkers.png",
        "keypoints.csv",
        "keypoints_walkers.png",
    ]
    assert (tmp_path / "keypoints.csv").read_text().splitlines()[2].startswith("walkers,FGSM-U,8.0,4,")


def test_shares_have_intervals_over_people() -> None:
    from experiments.keypoints import make_row, share

    whole = np.ones((4, 17))
    part = np.repeat([[1.0], [1.0], [0.0], [0.0]], 17, axis=1)
    half_width = 3.182 * 100 * np.sqrt(1 / 3) / 2  # of 0, 0, 100 and 100, as everybody has as many keypoints
    assert share(part, whole) == pytest.approx((50, half_width, 4), rel=1e-3)
    before, after, reference = ({"own": each, "aimed": each} for each in (whole, part, 1 - part))
    row = make_row("walkers", "IGSM-T-20", 8, before, after, reference)
    assert row["more"] == pytest.approx((0, 2 * half_width, 4), rel=1e-3)
    # the share is that of all keypoints, so that people with many count for more; where all have the same, none differs
    uneven = whole * [[17.0], [1.0], [1.0], [1.0]]
    assert share(0.25 * uneven, uneven) == pytest.approx((25, 0, 4))
    assert share(part, uneven).mean == pytest.approx(100 * 2 / 20)
    assert share(part[:, :0], whole[:, :0]) is None


def test_parts_are_compared_with_all_others_of_the_same_people() -> None:
    from experiments.keypoints import contrast

    own, attacked = np.ones((3, 17)), np.zeros((3, 17))
    attacked[:, :5] = [[1.0], [1.0], [0.0]]
    attacked[:, 5:] = [[0.5], [0.5], [0.5]]
    assert contrast(attacked, own, [0, 1, 2, 3, 4]) == pytest.approx((100 / 6, 4.303 * 100 / 3, 3), rel=1e-3)
    attacked[:, 5:] = [[0.5], [0.5], [-0.5]]  # what moves both does not move the difference
    assert contrast(attacked, own, [0, 1, 2, 3, 4]) == pytest.approx((50, 0, 3))
    assert contrast(attacked, own * 0, [0]) is None
