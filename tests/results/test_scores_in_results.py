"""Scores of frames in result files: read, derived from, and absent where a tracker has none."""

import math
from pathlib import Path

import pytest
from handmade_results import make_config, make_frames, make_results, write_result

from armory_skelevision.results.comparison import compare
from armory_skelevision.results.result_file import read_run
from armory_skelevision.results.summary import summarize
from armory_skelevision.validation import InvalidValueError

BENIGN, ATTACKED = [0.9, 0.5, 0.6, 0.7], [0.9, 0.8, 0.1, 0.95]


def make_scored(benign: object = BENIGN, attacked: object = ATTACKED) -> dict[str, object]:
    frames = make_frames((1.0, 0.5, 0.5, 0.5)) | make_frames((1.0, 0.1, 0.1, 0.9), side="adversarial")
    scores = {"benign_frame_scores": [[benign]], "adversarial_frame_scores": [[attacked]]}
    return make_results((0.5,), (1.1 / 3,), **frames, **scores)


def read(tmp_path: Path, results: dict[str, object]):
    return read_run(write_result(tmp_path / "r.json", results, make_config()))


def test_what_follows_from_scores(tmp_path: Path) -> None:
    run = read(tmp_path, make_scored())
    assert run.adversarial.scores == (tuple(ATTACKED),)
    # .8 and .95 are above the benign median, .6; lost are frames 1 and 2
    assert run.adversarial.means["lost_but_sure"] == pytest.approx(1 / 3)
    assert run.benign.means["lost_but_sure"] == 0
    assert run.adversarial.videos["mean_attack_success_rate"] == (0.0,)  # boxes are of the true size


def test_a_shrunken_box_is_a_success_of_the_attack(tmp_path: Path) -> None:
    results = make_scored()
    del results["adversarial_frame_iou"]
    results["adversarial_frame_boxes"] = [[[[4.0, 4.0, 5.0, 5.0]] * 4]]
    side = read(tmp_path, results).adversarial
    assert side.videos["mean_attack_success_rate"] == (pytest.approx((7 + 0 + 9) / 27),)
    assert "lost_but_sure" not in side.means


@pytest.mark.parametrize("means", [True, False])
def test_a_config_may_name_metrics_whose_names_begin_with_mean(tmp_path: Path, means: bool) -> None:
    named = {"benign_mean_attack_success_rate": [[0.25]], "adversarial_mean_attack_success_rate": [[0.5]]}
    if means:
        named |= {"benign_mean_mean_attack_success_rate": [0.25], "adversarial_mean_mean_attack_success_rate": [0.5]}
        named |= {"benign_mean_error": [[7.0]], "benign_mean_mean_error": [7.0]}
    run = read(tmp_path, make_scored() | named)
    assert run.benign.videos["mean_attack_success_rate"] == (0.25,)
    assert run.adversarial.means["mean_attack_success_rate"] == 0.5
    assert "attack_success_rate" not in run.adversarial.means and "error" not in run.benign.means
    assert run.benign.videos.get("mean_error") == ((7.0,) if means else None)


def test_scores_of_another_scale_have_no_rate_of_attacks(tmp_path: Path) -> None:
    run = read(tmp_path, make_scored([9, 5, 6, 7], [9, 8, 1, 9.5]))
    assert run.adversarial.means["lost_but_sure"] == pytest.approx(1 / 3)
    assert "mean_attack_success_rate" not in run.adversarial.means | dict.fromkeys(run.adversarial.missing)


@pytest.mark.parametrize("gap", [None, math.nan])
def test_a_tracker_without_scores_has_no_measure_of_them(tmp_path: Path, gap: float | None) -> None:
    none = [gap] * 4
    run = read(tmp_path, make_scored(none, none))
    for side in (run.benign, run.adversarial):
        assert side.scores == ()
        assert not side.missing
        assert not {"lost_but_sure", "mean_attack_success_rate"} & side.means.keys()
    assert summarize([run]).incomplete == ()
    path = write_result(tmp_path / "r.json", make_scored(none, none), make_config())
    assert compare(path, path).problems == ()


def test_a_single_missing_score_is_a_missing_value(tmp_path: Path) -> None:
    run = read(tmp_path, make_scored(attacked=[0.9, None, 0.1, 0.9]))
    assert "lost_but_sure" in run.adversarial.missing
    assert run.benign.means["lost_but_sure"] == 0


def test_scores_may_be_of_any_scale(tmp_path: Path) -> None:
    run = read(tmp_path, make_scored([-9, -3.5, -3, -2], [-9, -2.5, -12, 7]))
    assert run.adversarial.means["lost_but_sure"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("adversarial_frame_scores", [[["high"] * 4]]),
        ("adversarial_frame_scores", [[[math.inf] * 4]]),
        ("adversarial_frame_scores", [[[0.5] * 3]]),  # of another length than the video
        ("adversarial_frame_scores", [[ATTACKED], [ATTACKED]]),  # of another video
        ("adversarial_lost_but_sure", [[0.5]]),  # which is derived
        ("video_sizes", [[640, 480], [640, 480]]),
        ("video_sizes", [[640, 0]]),
        ("video_sizes", [[640.5, 480]]),
        ("video_sizes", [640, 480]),
        ("video_sizes", {"640": 480}),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        read(tmp_path, {**make_scored(), key: value})
    assert key in caught.value.key


def test_sizes_of_videos(tmp_path: Path) -> None:
    assert read(tmp_path, {**make_scored(), "video_sizes": [[640, 480]]}).sizes == ((640, 480),)
    assert read(tmp_path, make_scored()).sizes == ()
