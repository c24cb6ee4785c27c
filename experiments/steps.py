"""Mean IoU after 10, 20, 50 and 100 steps of the patch attack, for both trackers and two step sizes.

    python -m experiments.steps [--json] [--split dev] [--videos N] [--frames N] [--models stl mtl FILE …]
                               [--step-sizes 0.1 0.2] [--steps 10 20 50 100] [--precision bf16] [--device cpu]
                               [--keep FOLDER]

A model is one of the two packaged trackers, or a weights file of a SiamRPN.

One attack is enough for all numbers of steps: the best of the first k iterates is what an attack of k steps would keep
(sign update, constant steps, grey start). Two cores take about .2 seconds per frame and step in float32, so the
whole split needs a GPU or many hours. With ``--keep`` every finished video is stored in a file, the same command
resumes after an interruption, and a later command with fewer steps reads the stored ones.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.datasets import Video
from armory_skelevision.io import atomic_write, hash_file, progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.walkers import COUNTS

PACKAGED = ("stl", "mtl")


def attack_video(
    tracker: SiameseEstimator, video: Video, step_size: float, options: argparse.Namespace, path: Path | None
) -> dict[str, float]:
    """Mean IoU of a video, "benign" and after each number of steps; from the file that stores it, if it is known."""
    known = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else {}
    wanted = ["benign", *map(str, sorted(options.steps))]
    if not known.keys() >= set(wanted):
        settings = {"checkpoints": options.steps, "precision": options.precision, "verbose": False}
        attack = PatchAttack(tracker, step_size, max(options.steps), **settings)
        known["benign"] = evaluate(tracker, video, attack).benign.mean_iou
        known |= {str(steps): value for steps, value in attack.mean_iou[0].items()}
        if path is not None:
            atomic_write(path, json.dumps(known).encode())
    return {key: known[key] for key in wanted}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each model and step size, means over videos."""
    numbers = range(COUNTS[options.split])[: options.videos]
    rows = []
    for model in options.models:
        tracker = load_tracker(find_weights(model), device=options.device)
        for step_size in options.step_sizes:
            found = []
            for number in progress(numbers):
                video = load_video(f"walkers/{options.split}/{number}")[: options.frames]
                path = name_file(options, model, step_size, number) if options.keep else None
                found.append(attack_video(tracker, video, step_size, options, path))
            means = {key: float(np.mean([row[key] for row in found])) for key in found[0]}
            rows.append({"model": model, "step size": step_size, **means})
    return rows


def find_weights(model: str) -> Path:
    """The weights file of a model."""
    return packaged_weights(f"siamrpn_alex_{model}.safetensors") if model in PACKAGED else Path(model)


def name_file(options: argparse.Namespace, model: str, step_size: float, video: int) -> Path:
    """Where the results of a video are kept: all that it depends on is in the name."""
    weights = find_weights(model)
    cut = "all" if options.frames is None else options.frames
    shown = model if model in PACKAGED else weights.stem
    name = f"{shown}_{hash_file(weights)[:8]}_{options.split}_{video:02d}_{cut}_{step_size:g}_{options.precision}.json"
    options.keep.mkdir(parents=True, exist_ok=True)
    return Path(options.keep / name)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that `measure` reads, but for ``models`` and ``step_sizes``."""
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--steps", nargs="+", type=int, default=[10, 20, 50, 100])
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attack")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
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
