"""How much of a patch's effect is left under new transformations: with and without expectation over transformation.

    python -m experiments.eot [--json] [--split mini] [--videos 3] [--steps 20] [--draws 5] [--frames N]

Both patches of a video take the same number of steps from the same start; one is optimised without, the other
with random transformations. Both are then evaluated without them and under new samples of the same transformations.
The effect is the mean IoU that the tracker loses; `kept` is the share of it that is left under transformations.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision import load_tracker
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.patch import EOT, read_scene
from armory_skelevision.attacks.patch.eot import transform_patch
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.tracking import ChosenFrames
from benchmarks.common import print_table, ratio
from benchmarks.scene import Scene
from benchmarks.walkers import mean_iou, walkers

TRANSFORMATIONS: dict[str, Any] = {"brightness": 0.2, "blur": 1.0, "noise": 0.05, "corners": 2.0, "frames": 0.8}
UNSEEN_SEED = 12345


def measure(split: str, videos: int, steps: int, draws: int, frames: int | None) -> list[dict[str, Any]]:
    """The effect of each patch on each video."""
    estimator = load_tracker("siamrpn_mtl")
    rows = []
    for number, scene in enumerate(walkers(split, videos, frames)):
        for name, eot in (("plain", None), ("eot", TRANSFORMATIONS)):
            patch = _make_patch(estimator, scene, steps, eot)
            rows.append({"video": number, "patch": name, **_measure_effects(estimator, scene, patch, draws)})
    return rows


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over videos, for each kind of patch."""
    means = []
    for name in ("plain", "eot"):
        chosen = [row for row in rows if row["patch"] == name]
        plain, transformed = (float(np.mean([row[key] for row in chosen])) for key in ("effect", "effect_transformed"))
        means.append(
            {"patch": name, "effect": plain, "effect_transformed": transformed, "kept": ratio(transformed, plain)}
        )
    return means


def main() -> None:
    """Measure, and print every video and the means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="mini", choices=["dev", "mini"])
    for name, default in (("videos", 3), ("steps", 20), ("draws", 5)):
        parser.add_argument(f"--{name}", type=int, default=default, help="default %(default)s")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options.split, options.videos, options.steps, options.draws, options.frames)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    means = summarize(rows)
    print()
    print_table(list(means[0]), [list(row.values()) for row in means])
    if options.json:
        print(json.dumps({"transformations": TRANSFORMATIONS, "steps": options.steps, "means": means, "rows": rows}))


def _make_patch(estimator: SiameseEstimator, scene: Scene, steps: int, eot: Mapping[str, Any] | None) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        attack = PatchAttack(estimator, max_iter=steps, eot=eot, keep="last", export=folder)
        attack.generate(x=scene.x, y=scene.y, y_patch_metadata=scene.metadata)
        return torch.from_numpy(np.load(Path(folder) / "patch_000.npy"))


def _measure_effects(estimator: SiameseEstimator, scene: Scene, patch: torch.Tensor, draws: int) -> dict[str, float]:
    read = read_scene(scene.x[0], scene.y[0]["boxes"], scene.metadata[0], estimator.device, 0)
    patch = patch.to(estimator.device)
    rng = np.random.default_rng(UNSEEN_SEED)
    samples = [
        EOT(**TRANSFORMATIONS).sample(rng, (patch.shape[0], patch.shape[1]), len(read.video)) for _ in range(draws)
    ]
    benign = mean_iou(estimator, read.video, read.truth_xyxy)
    effect = benign - mean_iou(estimator, read.frames(patch), read.truth_xyxy)
    transformed = []
    for sample in samples:
        truth_xyxy = read.truth_xyxy[sample.frames]
        clean = mean_iou(estimator, ChosenFrames(read.video, sample.frames), truth_xyxy)
        transformed.append(clean - mean_iou(estimator, read.frames(transform_patch(patch, sample), sample), truth_xyxy))
    return {"benign": benign, "effect": effect, "effect_transformed": float(np.mean(transformed))}


if __name__ == "__main__":
    main()
