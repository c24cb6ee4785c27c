"""`evaluate` in Python and ARMORY's evaluation of a config: the same videos, boxes and scores."""

import copy
import json
from pathlib import Path

import armory_runs
import pytest

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.results.result_file import read_run

pytestmark = pytest.mark.slow

METRICS = ("success_auc", "precision_20px", "normalised_precision")
OF_SCORES = ("lost_but_sure", "mean_attack_success_rate")


def test_every_number_is_the_same(tmp_path: Path) -> None:
    config = copy.deepcopy(build_config("walkers", "mtl"))
    config["attack"]["kwargs"]["max_iter"] = 2
    config["dataset"]["max_frames"] = 3
    path = armory_runs.evaluate(config, tmp_path, batches=2)
    armory, run = json.loads(path.read_text())["results"], read_run(path)
    tracker = load_tracker("siamrpn_mtl", device="cpu")
    videos = [load_video(f"walkers/mini/{number}")[:3] for number in range(2)]
    results = evaluate(tracker, videos, attack=PatchAttack(tracker, max_iter=2, verbose=False))
    for stage in ("benign", "adversarial"):
        ours = [getattr(result, stage) for result in results]
        assert armory[f"{stage}_video_tracking_mean_iou"] == [[video.mean_iou] for video in ours]
        assert armory[f"{stage}_frame_iou"] == [[video.frame_ious] for video in ours]
        assert armory[f"{stage}_frame_scores"] == [[video.scores.tolist()] for video in ours]
        assert armory[f"{stage}_frame_boxes"] == [[video.boxes_xyxy.tolist()] for video in ours]
        for name in METRICS:
            assert armory[f"{stage}_{name}"] == [[getattr(video, name)] for video in ours]
        for name in OF_SCORES:
            assert run.side(stage).videos[name] == tuple(getattr(video, name) for video in ours)
    assert run.sizes == tuple(video.frames.shape[2:0:-1] for video in videos)
