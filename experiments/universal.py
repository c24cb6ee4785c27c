"""One patch made for several videos together, shown in videos that it has never seen.

    python -m experiments.universal [--json] [--steps 20] [--videos 5] [--frames N] [--precision bf16]

The patch is made on the split mini and shown in the first videos of dev, whose people and streets are others. Beside
it stands the picture it started from, all grey: what a patch does by merely being there is not its merit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision import load_tracker
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.attacks.patch import read_scene
from armory_skelevision.models import SiameseEstimator
from benchmarks.common import print_table
from benchmarks.walkers import mean_iou, walkers


def make_patch(estimator: SiameseEstimator, steps: int, frames: int | None, precision: Any) -> Tensor:
    """The universal patch (h, w, 3) of the split mini."""
    scenes = list(walkers("mini", None, frames))
    with tempfile.TemporaryDirectory() as folder:
        attack = PatchAttack(estimator, max_iter=steps, universal=True, precision=precision, export=folder)
        attack.generate(
            x=[scene.x[0] for scene in scenes],
            y=[scene.y[0] for scene in scenes],
            y_patch_metadata=[scene.metadata[0] for scene in scenes],
        )
        return torch.from_numpy(np.load(Path(folder) / "patch_000.npy")).to(estimator.device)


def measure(estimator: SiameseEstimator, patch: Tensor, videos: int, frames: int | None) -> list[dict[str, Any]]:
    """Mean IoU of each unseen video: without a patch, with a grey one, and with the universal one."""
    rows = []
    for number, video in enumerate(walkers("dev", videos, frames)):
        scene = read_scene(video.x[0], video.y[0]["boxes"], video.metadata[0], estimator.device, 0)
        shown = {
            "benign": scene.video,
            "grey": scene.frames(torch.full_like(patch, 0.5)),
            "universal": scene.frames(patch),
        }
        found = {name: mean_iou(estimator, frames, scene.truth_xyxy) for name, frames in shown.items()}
        rows.append({"video": number, **found})
    return rows


def main() -> None:
    """Make the patch, show it, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="default %(default)s")
    parser.add_argument("--videos", type=int, default=5, help="how many unseen ones; default %(default)s")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attack")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    estimator = load_tracker("siamrpn_mtl")
    patch = make_patch(estimator, options.steps, options.frames, options.precision)
    rows = measure(estimator, patch, options.videos, options.frames)
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("benign", "grey", "universal")}
    print_table(list(rows[0]), [*(list(row.values()) for row in rows), ["mean", *means.values()]])
    if options.json:
        print(json.dumps({"steps": options.steps, "means": means, "rows": rows}))


if __name__ == "__main__":
    main()
