"""Mean IoU that patch attacks leave with the same number of gradient evaluations, and how far a patch can reach.

    python -m experiments.auto_patch [--json] [--models stl mtl nanotrack] [--nanotrack FILE]
                                     [--constants packaged pysot]
                                     [--attacks grey random published armory flytrap auto …] [--split dev]
                                     [--videos 0 1 …] [--frames 20] [--budget 100] [--precision bf16] [--keep FOLDER]

"published" is the sum of absolute box errors (SkeleVision, Eq. 3), maximised by signs of gradients in steps of .1; with
"armory" the last iterate is kept, as by ARMORY's attack, else the best one. "random" is the best of so many patches of
noise. A member of `AutoPatch`, such as "expected_giou+rank_margin:decoy", is given the whole budget. "reach" is the
share of frames in which a perfect distractor could win. The columns "in reach" are means over the videos with
`IN_REACH` and more.

The constants are those of each tracker, or PySOT's (penalty .16, window .40, rate .30) for all. With ``--keep`` every
finished video is stored in a file: the same command resumes after an interruption, and several at once, of different
videos, share the work.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import AutoPatch, PatchAttack
from armory_skelevision.attacks.patch.auto import Member
from armory_skelevision.evaluation.table import IN_REACH
from armory_skelevision.io import hash_file, progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.walkers import COUNTS
from experiments.flytrap import FlyTrap
from experiments.keeping import kept, place

PYSOT = {"penalty_k": 0.16, "window_influence": 0.40, "learning_rate": 0.30}
PUBLISHED_STEP = 0.1


def make_attack(name: str, tracker: SiameseEstimator, options: argparse.Namespace) -> Any:
    """An attack by its name."""
    shared = {"precision": options.precision, "verbose": False}
    makers: dict[str, Callable[..., Any]] = {
        "grey": partial(PatchAttack, max_iter=0),
        "random": partial(PatchAttack, max_iter=0, start="random", restarts=options.budget),
        "published": partial(PatchAttack, step_size=PUBLISHED_STEP, max_iter=options.budget),
        "armory": partial(PatchAttack, step_size=PUBLISHED_STEP, max_iter=options.budget, keep="last"),
        "flytrap": partial(FlyTrap, step_size=PUBLISHED_STEP, max_iter=options.budget),
        "auto": partial(AutoPatch, budget=options.budget),
    }
    if name in makers:
        return makers[name](tracker, **shared)
    attack = AutoPatch(tracker, budget=options.budget, **shared)
    attack.members = [each for each in AutoPatch.members if name_member(each) == name]
    if not attack.members:
        raise SystemExit(f"no attack and no member of AutoPatch is called {name!r}")
    return attack


def name_member(member: Member) -> str:
    """Such as "expected_giou+rank_margin:decoy"."""
    return f"{'+'.join(member.losses)}:{member.start}"


def attack_video(name: str, tracker: SiameseEstimator, number: int, options: argparse.Namespace) -> dict[str, Any]:
    """What one attack leaves of one video: mean IoUs, the share of frames in reach, and seconds."""
    video = load_video(f"walkers/{options.split}/{number}")[: options.frames]
    attack = make_attack(name, tracker, options)
    start = time.perf_counter()
    result = evaluate(tracker, video, attack)
    seconds = time.perf_counter() - start
    left = result.adversarial.mean_iou if result.adversarial else None
    return {"benign": result.benign.mean_iou, "left": left, "reach": attack.reach[0], "seconds": seconds}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker, constants and attack, with a list over the videos."""
    rows = []
    for model in options.models:
        weights = find_weights(model, options)
        for constants in options.constants:
            tracker = load_tracker(weights, device=options.device, tracking=PYSOT if constants == "pysot" else None)
            for name in options.attacks:
                parts = (hash_file(weights), constants, name, options.split, options.frames, options.budget)
                work = partial(attack_video, name, tracker, options=options)
                numbers = progress(options.videos, f"{model} {constants} {name}", unit="video")
                files = {each: place(options.keep, *parts, options.precision, each) for each in options.videos}
                videos = [kept(files[number], partial(work, number)) for number in numbers]
                rows.append({"model": model, "constants": constants, "attack": name, "videos": videos})
    return rows


def summarize(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The means of each row, over all videos and over those in reach."""
    return [
        {
            **{key: row[key] for key in ("model", "constants", "attack")},
            **{key: mean(row, key) for key in ("benign", "left", "reach", "seconds")},
            "benign in reach": mean(row, "benign", in_reach=True),
            "left in reach": mean(row, "left", in_reach=True),
        }
        for row in rows
    ]


def mean(row: dict[str, Any], key: str, in_reach: bool = False) -> float | None:
    """The mean of a value over the videos of a row; None where there is none."""
    values = [video[key] for video in row["videos"] if not in_reach or video["reach"] >= IN_REACH]
    return float(np.mean(values)) if values else None


def find_weights(model: str, options: argparse.Namespace) -> Path:
    """The weights file of a tracker."""
    return options.nanotrack if model == "nanotrack" else packaged_weights(f"siamrpn_alex_{model}.safetensors")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["stl", "mtl"], choices=["stl", "mtl", "nanotrack"])
    parser.add_argument("--nanotrack", type=Path, default=None, help="nanotrackv3.pth")
    parser.add_argument("--constants", nargs="+", default=["packaged"], choices=["packaged", "pysot"])
    parser.add_argument("--attacks", nargs="+", default=["published", "auto"])
    parser.add_argument("--split", default="dev", choices=list(COUNTS))
    parser.add_argument("--videos", nargs="+", type=int, default=None, help="numbers; default all")
    parser.add_argument("--frames", type=int, default=20, help="of each video")
    parser.add_argument("--budget", type=int, default=100, help="gradient evaluations per video")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attack")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    options.videos = options.videos if options.videos is not None else list(range(COUNTS[options.split]))
    if "nanotrack" in options.models and options.nanotrack is None:
        parser.error("nanotrack needs --nanotrack FILE: its weights are not part of this package")

    rows = measure(options)
    means = summarize(rows)
    print_table(list(means[0]), [list(row.values()) for row in means])
    if options.json:
        print(json.dumps({"frames": options.frames, "budget": options.budget, "rows": rows}))


if __name__ == "__main__":
    main()
