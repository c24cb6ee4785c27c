"""How many attacks raise an alarm, by what the tracker itself reports, at a given rate of false alarms.

    python -m experiments.alarms [--json] [--split dev] [--videos N] [--frames N] [--attacks patch pgd8 quiet]
                                 [--steps N] [--false-rate 0.05] [--quiet-weight 200] [--precision bf16] [--keep FOLDER]

The tracker is MTL, the signs are those of `defenses.alarms`. "quiet" is the patch of an attacker who knows the signs of
boxes and scores: from the loss, it subtracts ``--quiet-weight`` pixels for each unit by which a sign exceeds its
strength in the benign video, in any frame. For each video, the threshold of a sign is set on the benign runs of all
other videos. "any" alarms if any of the signs is above its threshold. The table has, for each sign, the false alarm
rate that results, the true alarm rate of each attack, and in brackets the area under the ROC curve.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from armory_skelevision import load_tracker
from armory_skelevision.attacks import PGD, PatchAttack
from armory_skelevision.attacks.gradients import TrackerGradient
from armory_skelevision.attacks.objectives import Objective
from armory_skelevision.boxes import iou
from armory_skelevision.defenses.alarms import alarm_threshold, box_signs, pose_signs, strength
from armory_skelevision.io import progress
from armory_skelevision.tracking import Step
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.scene import Scene
from benchmarks.walkers import walkers
from experiments.defense_table import hash_weights
from experiments.keeping import kept, place

ATTACKS = ("patch", "quiet", "pgd8")
SIGNS = ("score", "motion", "size", "drift", "confidence", "outside")
Strengths = Mapping[str, float]


class QuietPatch(PatchAttack):
    """A patch that keeps the signs in boxes and scores where they are in the benign video."""

    weight = 0.0
    limits: Strengths = {}

    def _make_video_objective(self, tracker: TrackerGradient, truth_xyxy: Tensor) -> Objective:
        loss = super()._make_video_objective(tracker, truth_xyxy)

        def objective(boxes_xyxy: Tensor, steps: Sequence[Step] | None) -> Tensor:
            scores = torch.stack([step.score for step in steps or ()])  # of our own tracker, whose steps are known
            signs = box_signs(boxes_xyxy, scores.to(boxes_xyxy))
            excess = [(sign - self.limits[name]).clamp(min=0).sum() for name, sign in signs.items()]
            return loss(boxes_xyxy, steps) - self.weight * torch.stack(excess).sum()

        return objective


def measure_run(tracker: Any, x: np.ndarray, truth_xyxy: np.ndarray) -> dict[str, float]:
    """The strength of each sign in a video, and its mean IoU."""
    found = tracker.predict(x, y_init=truth_xyxy[:1])[0]
    boxes_xyxy, scores = torch.from_numpy(found["boxes"]), torch.from_numpy(found["scores"])
    signs = box_signs(boxes_xyxy, scores) | pose_signs(tracker, torch.as_tensor(x[0]), boxes_xyxy)
    overlaps = iou(boxes_xyxy.double(), torch.as_tensor(truth_xyxy).double())
    return {name: float(strength(sign)) for name, sign in signs.items()} | {"iou": float(overlaps[1:].mean())}


def attack(name: str, tracker: Any, scene: Scene, benign: Strengths, options: argparse.Namespace) -> np.ndarray:
    """The attacked video."""
    if name == "pgd8":
        made: Any = PGD(tracker, max_iter=options.steps, verbose=False)
    else:
        kind = QuietPatch if name == "quiet" else PatchAttack
        made = kind(tracker, max_iter=options.steps, precision=options.precision, verbose=False)
        if isinstance(made, QuietPatch):
            made.weight, made.limits = options.quiet_weight, benign
    return np.asarray(made.generate(x=scene.x, y=scene.y, y_patch_metadata=scene.metadata))


def measure(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """The measured runs of each video: benign, and under each attack."""
    weights = packaged_weights("siamrpn_alex_mtl.safetensors")
    tracker, identity = load_tracker(weights, device="cpu"), hash_weights(weights)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ("benign", *options.attacks)}
    scenes = list(walkers(options.split, options.videos, options.frames))
    with progress(total=len(runs) * len(scenes), unit="run") as bar:
        for number, scene in enumerate(scenes):
            truth_xyxy = scene.y[0]["boxes"]
            benign = measure_run(tracker, scene.x, truth_xyxy)
            runs["benign"].append(benign)
            bar.update()
            for name in options.attacks:
                work = partial(_measure_attacked, name, tracker, scene, benign, options)
                settings = (options.steps, options.precision, options.quiet_weight if name == "quiet" else None)
                where = place(options.keep, "alarms", identity, options.split, number, options.frames, name, *settings)
                runs[name].append(kept(where, work))
                bar.update()
    return runs


def _measure_attacked(
    name: str, tracker: Any, scene: Scene, benign: Strengths, options: argparse.Namespace
) -> dict[str, float]:
    return measure_run(tracker, attack(name, tracker, scene, benign, options), scene.y[0]["boxes"])


def alarm_rates(runs: Mapping[str, Sequence[Strengths]], false_rate: float) -> list[dict[str, Any]]:
    """For each sign and for any of them the share of videos with an alarm, and the area under the ROC curve."""
    benign = list(runs["benign"])
    thresholds = [
        {sign: alarm_threshold([run[sign] for run in benign[:own] + benign[own + 1 :]], false_rate) for sign in SIGNS}
        for own in range(len(benign))
    ]
    rows = []
    for sign in (*SIGNS, "any"):
        signs = SIGNS if sign == "any" else (sign,)
        row: dict[str, Any] = {"sign": sign}
        for name, found in runs.items():
            alarms = [
                any(run[each] > limits[each] for each in signs) for run, limits in zip(found, thresholds, strict=True)
            ]
            row[name] = float(np.mean(alarms))
            if name != "benign" and sign != "any":
                row[f"{name} auc"] = _area([run[sign] for run in benign], [run[sign] for run in found])
        rows.append(row)
    return rows


def _area(benign: Sequence[float], attacked: Sequence[float]) -> float:
    """The share of pairs in which the attacked video is the more suspicious one; ties count half."""
    return float(mannwhitneyu(attacked, benign).statistic) / (len(attacked) * len(benign))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many, at least 2; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--attacks", nargs="+", default=list(ATTACKS), choices=ATTACKS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--false-rate", type=float, default=0.05)
    parser.add_argument("--quiet-weight", type=float, default=200.0, help="in pixels")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the patches' network")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.videos is not None and options.videos < 2:
        parser.error("--videos: at least 2, as the thresholds for a video are set on the others")
    runs = measure(options)
    rows = alarm_rates(runs, options.false_rate)
    print_table(
        ["", *runs], [["mean IoU", *(f"{np.mean([run['iou'] for run in found]):.3f}" for found in runs.values())]]
    )
    shown = []
    for row in rows:
        cells = [f"{row[name]:.0%}" + (f" ({row[f'{name} auc']:.2f})" if f"{name} auc" in row else "") for name in runs]
        shown.append([row["sign"], *cells])
    print_table(["alarm", *("false" if name == "benign" else name for name in runs)], shown)
    if options.json:
        print(json.dumps({"runs": runs, "rows": rows}))


if __name__ == "__main__":
    main()
