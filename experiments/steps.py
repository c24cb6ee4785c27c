"""Mean IoU after 10, 20, 50 and 100 steps of the patch attack, for both trackers and two step sizes.

    python -m experiments.steps [--json] [--split dev] [--videos N] [--frames N] [--models stl mtl FILE …]
                               [--step-sizes 0.1 0.2] [--steps 10 20 50 100] [--precision bf16] [--device gpu]
                               [--keep FOLDER]

A model is one of the two packaged trackers, or a weights file of a SiamRPN.

One attack is enough for all numbers of steps: the best of the first k iterates is what an attack of k steps would keep
(sign update, constant steps, grey start). Two cores take about .2 seconds per frame and step in float32, so the
whole split needs a GPU or many hours. With ``--keep`` every finished video is stored in a file, the same command
resumes after an interruption, and a later command with more steps continues from the stored ones.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from armory_skelevision.attacks.gradients import CropGradient, ValueAndGrad
from armory_skelevision.attacks.objectives import make_objective
from armory_skelevision.attacks.optimizer import BestIterate, GradientAscent
from armory_skelevision.attacks.patch.objective import PatchObjective
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene
from armory_skelevision.io import atomic_write, hash_file
from armory_skelevision.models import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl
from armory_skelevision.weights import read_keypoint_depth
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.walkers import mean_iou, walkers

PACKAGED = ("stl", "mtl")


@dataclass
class Climb:
    """How far the attack on one video has come.

    Attributes:
        picture: The patch after ``steps`` steps.
        steps: How many have been taken.
        best: The best picture so far.
        mean_iou: After each number of steps that was asked for.
    """

    picture: Tensor
    steps: int = 0
    best: BestIterate = field(default_factory=lambda: BestIterate(-math.inf, torch.empty(0)))
    mean_iou: dict[int, float] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the climb."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            steps=self.steps,
            picture=self.picture.cpu().numpy(),
            value=self.best.value,
            best=self.best.image.cpu().numpy(),
            mean_iou=np.array(list(self.mean_iou.items())),
        )
        atomic_write(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Climb:
        """Read a climb back."""
        with np.load(path, allow_pickle=False) as file:
            best = BestIterate(float(file["value"]), torch.from_numpy(file["best"]).to(device))
            found = {int(steps): float(value) for steps, value in file["mean_iou"]}
            return cls(torch.from_numpy(file["picture"]).to(device), int(file["steps"]), best, found)


class Milestones:
    """Watches a climb and remembers the best picture after each of some numbers of steps.

    Args:
        objective: The objective of the patch.
        steps: The numbers of steps.
        climb: Where the climb stands; kept up to date.
    """

    def __init__(self, objective: PatchObjective, steps: list[int], climb: Climb) -> None:
        self.objective = objective
        self.steps = steps
        self.climb = climb
        self.next = climb.steps
        self.patches: dict[int, Tensor] = {}

    def __call__(self, patch: Tensor, with_grad: bool) -> ValueAndGrad:
        """See `PatchObjective`. Call number k gets the patch after k steps."""
        result = self.objective(patch, with_grad)
        self.climb.steps, self.climb.picture = self.next, patch
        if result.value > self.climb.best.value:
            self.climb.best = BestIterate(result.value, patch)
        # A climb that ends early, for want of a gradient, has nothing better to show later on.
        reached = [steps for steps in self.steps if self.next <= steps] if result.grad is None else [self.next]
        self.patches |= {steps: self.climb.best.image for steps in reached if steps in self.steps}
        self.next += 1
        return result


def attack(
    estimator: SiamRPNEstimator, scene: PatchScene, step_size: float, steps: list[int], precision: Any, climb: Climb
) -> None:
    """Take a climb on one video as far as is asked."""

    def objective(truth_xyxy: Tensor) -> Any:
        return make_objective("l1", truth_xyxy, None, estimator.settings)

    tracker = CropGradient(estimator.model, estimator.settings, precision=precision)
    patch_objective = PatchObjective([scene], tracker, objective, None, np.random.default_rng(0))
    milestones = Milestones(patch_objective, steps, climb)
    GradientAscent(step_size, max(steps) - climb.steps).run(milestones, climb.picture)
    climb.mean_iou |= {
        k: mean_iou(estimator, scene.frames(patch), scene.truth_xyxy) for k, patch in milestones.patches.items()
    }


def judge(
    estimator: SiamRPNEstimator, scene: PatchScene, step_size: float, options: argparse.Namespace, path: Path | None
) -> dict[int, float]:
    """Mean IoU of one video after each number of steps, from the file where it is kept, if it is known."""
    start = Climb(torch.full((*scene.patch_hw, 3), 0.5, device=estimator.device))
    climb = Climb.load(path, estimator.device) if path is not None and path.exists() else start
    missing = sorted(set(options.steps) - climb.mean_iou.keys())
    if missing and missing[0] < climb.steps:  # What earlier steps showed is not kept: from the start, then.
        climb, missing = start, sorted(options.steps)
    if missing:
        attack(estimator, scene, step_size, missing, options.precision, climb)
        if path is not None:
            climb.save(path)
    return {steps: climb.mean_iou[steps] for steps in sorted(options.steps)}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each model and step size, means over videos."""
    rows = []
    for model in options.models:
        estimator = load(find_weights(model), options.device)
        for step_size in options.step_sizes:
            found: list[dict[Any, float]] = []
            videos = list(walkers(options.split, options.videos, options.frames))
            for number, video in enumerate(tqdm(videos, disable=not sys.stderr.isatty())):
                scene = read_scene(video.x[0], video.y[0]["boxes"], video.metadata[0], estimator.device, 0)
                path = name_file(options, model, step_size, number) if options.keep else None
                benign = mean_iou(estimator, scene.video, scene.truth_xyxy)
                found.append({"benign": benign, **judge(estimator, scene, step_size, options, path)})
            means = {str(key): float(np.mean([row[key] for row in found])) for key in found[0]}
            rows.append({"model": model, "step size": step_size, **means})
    return rows


def find_weights(model: str) -> Path:
    """The weights file of a model."""
    return packaged_weights(f"siamrpn_alex_{model}.safetensors") if model in PACKAGED else Path(model)


def load(weights: Path, device: str) -> SiamRPNEstimator:
    """The tracker that a weights file is of."""
    depth = read_keypoint_depth(weights)
    if depth is None:
        return siamrpn_stl({}, {"device_type": device}, weights)
    return siamrpn_mtl({"keypoint_head": depth}, {"device_type": device}, weights)


def name_file(options: argparse.Namespace, model: str, step_size: float, video: int) -> Path:
    """Where a video's climb is kept: all that it depends on is in the name."""
    weights = find_weights(model)
    cut = "all" if options.frames is None else options.frames
    shown = model if model in PACKAGED else weights.stem
    name = f"{shown}_{hash_file(weights)[:8]}_{options.split}_{video:02d}_{cut}_{step_size:g}_{options.precision}.npz"
    options.keep.mkdir(parents=True, exist_ok=True)
    return Path(options.keep / name)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `measure` reads, but for ``models`` and ``step_sizes``."""
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--steps", nargs="+", type=int, default=[10, 20, 50, 100])
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attack")
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"])
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(PACKAGED), help="stl, mtl or weights files; default both")
    parser.add_argument("--step-sizes", nargs="+", type=float, default=[0.1, 0.2])
    add_options(parser)
    options = parser.parse_args()

    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"split": options.split, "videos": options.videos, "rows": rows}))


if __name__ == "__main__":
    main()
