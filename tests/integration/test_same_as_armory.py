"""`evaluate` in Python and ARMORY's evaluation of a config: the same videos, boxes and scores."""

import copy
import json
from pathlib import Path

import armory_runs
import pytest

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.evaluation.configs import build_config

pytestmark = pytest.mark.slow

METRICS = ("success_auc", "precision_20px", "normalised_precision")


def test_every_number_is_the_same(tmp_path: Path) -> None:
    config = copy.deepcopy(build_config("walkers", "mtl"))
    config["attack"]["kwargs"]["max_iter"] = 2
    config["dataset"]["max_frames"] = 6
    armory = json.loads(armory_runs.evaluate(config, tmp_path, batches=2).read_text())["results"]
    tracker = load_tracker("siamrpn_mtl", device="cpu")
    videos = [load_video(f"walkers/mini/{number}")[:6] for number in range(2)]
    results = evaluate(tracker, videos, attack=PatchAttack(tracker, max_iter=2, verbose=False))
    for stage in ("benign", "adversarial"):
        ours = [getattr(result, stage) for result in results]
        assert armory[f"{stage}_video_tracking_mean_iou"] == [[video.mean_iou] for video in ours]
        assert armory[f"{stage}_frame_iou"] == [[video.frame_ious] for video in ours]
        for name in METRICS:
            assert armory[f"{stage}_{name}"] == [[getattr(video, name)] for video in ours]
