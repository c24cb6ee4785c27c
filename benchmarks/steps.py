"""Mean IoU after 10, 20, 50 and 100 steps of the patch attack, for both trackers and two step sizes.

    python benchmarks/steps.py [--json] [--split dev] [--videos N] [--frames N] [--models stl mtl]
                               [--step-sizes 0.1 0.2] [--steps 10 20 50 100] [--device gpu]

One climb serves all numbers of steps: of the first k iterates the best is what an attack of k steps would have kept
(sign update, constant steps, grey start). Two cores take some .2 seconds a frame and step, so the
whole split is a GPU's task.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

import numpy as np
import torch
from common import print_table
from torch import Tensor
from tqdm.auto import tqdm
from walkers import walkers

from armory_skelevision.attacks.ascent import Ascent, Summit
from armory_skelevision.attacks.objectives import make_objective
from armory_skelevision.attacks.passes import NetworkPass, Outcome
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.scene import Scene, read_scene
from armory_skelevision.boxes import iou
from armory_skelevision.models import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl
from armory_skelevision.tracking import Frames

MODELS = {"stl": siamrpn_stl, "mtl": siamrpn_mtl}


class Milestones:
    """Watches a climb and remembers the best picture after each of some numbers of steps.

    Args:
        look: What is climbed.
        steps: The numbers of steps.
    """

    def __init__(self, look: PatchObjective, steps: list[int]) -> None:
        self.look = look
        self.steps = steps
        self.looks = 0
        self.best = Summit(-math.inf, torch.empty(0))
        self.patches: dict[int, Tensor] = {}

    def __call__(self, patch: Tensor, with_gradient: bool) -> Outcome:
        """See `PatchObjective`. Look number k is at the picture after k steps."""
        outcome = self.look(patch, with_gradient)
        if outcome.value > self.best.value:
            self.best = Summit(outcome.value, patch)
        # A climb that ends early, for want of a gradient, has nothing better to show later on.
        reached = [steps for steps in self.steps if self.looks <= steps] if outcome.gradient is None else [self.looks]
        self.patches |= {steps: self.best.picture for steps in reached if steps in self.steps}
        self.looks += 1
        return outcome


def attack(estimator: SiamRPNEstimator, scene: Scene, step_size: float, steps: list[int]) -> dict[int, float]:
    """Mean IoU of one video after each number of steps."""

    def objective(truth_xyxy: Tensor) -> Any:
        return make_objective("l1", truth_xyxy, None, estimator.settings)

    tracker_pass = NetworkPass(estimator.model, estimator.settings)
    milestones = Milestones(
        PatchObjective([scene], tracker_pass, objective, None, np.random.default_rng(0)), sorted(steps)
    )
    start = torch.full((*scene.patch_hw, 3), 0.5, device=estimator.device)
    Ascent(step_size, max(steps)).climb(milestones, start)
    return {k: mean_iou(estimator, scene, scene.frames(patch)) for k, patch in milestones.patches.items()}


def mean_iou(estimator: SiamRPNEstimator, scene: Scene, frames: Frames) -> float:
    """Of the tracked boxes, frame 0 skipped."""
    with torch.no_grad():
        boxes_xyxy = estimator.track(frames, scene.truth_xyxy[0]).cpu()
    return float(iou(boxes_xyxy, scene.truth_xyxy)[1:].mean())


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each model and step size, means over videos."""
    rows = []
    for model in options.models:
        estimator = MODELS[model]({}, {"device_type": options.device})
        for step_size in options.step_sizes:
            found: list[dict[Any, float]] = []
            for video in tqdm(
                list(walkers(options.split, options.videos, options.frames)), disable=not sys.stderr.isatty()
            ):
                scene = read_scene(video.x[0], video.y[0]["boxes"], video.metadata[0], estimator.device, 0)
                benign = mean_iou(estimator, scene, scene.video)
                found.append({"benign": benign, **attack(estimator, scene, step_size, options.steps)})
            means = {str(key): float(np.mean([row[key] for row in found])) for key in found[0]}
            rows.append({"model": model, "step size": step_size, **means})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--step-sizes", nargs="+", type=float, default=[0.1, 0.2])
    parser.add_argument("--steps", nargs="+", type=int, default=[10, 20, 50, 100])
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"split": options.split, "videos": options.videos, "rows": rows}))


if __name__ == "__main__":
    main()
