import json
from pathlib import Path

import pytest

from armory_skelevision.results.summary import Summary, read_summary


def write(path: Path, results: object) -> Path:
    path.write_text(json.dumps({"armory_version": "0.19.2", "config": {}, "results": results, "timestamp": 1}))
    return path


def test_reads_means_as_armory_writes_them(tmp_path: Path) -> None:
    results = {
        "benign_video_tracking_mean_iou": [0.5, 0.9],
        "benign_mean_video_tracking_mean_iou": [0.7],
        "adversarial_mean_video_tracking_mean_iou": [0.25],
        "compute": {},
    }
    summary = read_summary(write(tmp_path / "r.json", results))
    assert summary == Summary(benign=0.7, adversarial=0.25)
    assert str(summary) == "benign mIoU 0.70  adversarial mIoU 0.25"


def test_a_skipped_part_is_none(tmp_path: Path) -> None:
    summary = read_summary(write(tmp_path / "r.json", {"benign_mean_video_tracking_mean_iou": [0.7]}))
    assert summary.adversarial is None
    assert str(summary) == "benign mIoU 0.70  adversarial mIoU skipped"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object"),
        ('{"results": null}', 'no "results"'),
        ('{"results": {"benign_mean_accuracy": [1]}}', "benign_mean_accuracy"),
        ("\xff", "not JSON"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=message) as caught:
        read_summary(path)
    assert str(path) in str(caught.value)
