"""Accuracy of trackers with and without the trigger of a backdoor, undefended and behind input transformations.

    python -m experiments.backdoor WEIGHTS … [--json] [--split mini] [--videos N] [--frames N]
                                  [--settings training_configs/backdoors/fsba.json] [--show one_shot few_shot rate]
                                  [--defenses dualossdef jpeg squeezing smoothing] [--prune 0.1 0.3] [--keep FOLDER]
                                  [--device cpu]

One row for each weights file, the packaged multi-task tracker first, and each defense: success AUC and mean IoU without
the trigger, with it, and the AUC lost to it in points. Frame 0, whose true box is given, is skipped in both. The
trigger is the one of the settings that the backdoor was trained with. Pruning takes shares of the last features'
channels, those that vary least on the first frames of the videos without the trigger.

With ``--keep`` finished results are stored in files, and the same command resumes after an interruption.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision import load_tracker
from armory_skelevision.attacks import BackdoorTrigger
from armory_skelevision.attacks.backdoor import Show
from armory_skelevision.boxes import iou
from armory_skelevision.defenses.pruning import dormant_channels, prune
from armory_skelevision.evaluation.table import DEFENSES
from armory_skelevision.io import hash_file, progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.loading import Device
from armory_skelevision.tracking import VideoFrames
from armory_skelevision.tracking.windows import initial_state, search_window
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.settings import read_settings
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.scene import Scene
from benchmarks.walkers import walkers
from experiments.keeping import kept, place

Overlaps = list[list[float]]
"""IoU by video and frame."""

THRESHOLDS = np.arange(0, 1.05, 0.05)


def track(tracker: SiameseEstimator, x: np.ndarray, scene: Scene) -> np.ndarray:
    """IoU of each frame but the first."""
    (found,) = tracker.predict(x, y_init=scene.y[0]["boxes"][:1])
    overlaps = iou(torch.from_numpy(found["boxes"]), torch.from_numpy(scene.y[0]["boxes"]))
    return np.asarray(overlaps[1:])


def success_auc(overlaps: np.ndarray) -> float:
    """Area under the success plot of one video."""
    return float((overlaps[:, None] > THRESHOLDS).mean())


def load(weights: Path | None, defense: str | float | None, device: Device, scenes: list[Scene]) -> SiameseEstimator:
    """The tracker, behind a defense of the configs' table, or without a share of its channels."""
    tracker = load_tracker("siamrpn_mtl", weights, device=device)
    if isinstance(defense, float):
        shown = torch.cat([first_search_crop(tracker, scene) for scene in scenes])
        prune(tracker.model, dormant_channels(tracker.model, shown, defense))
    elif defense is not None:
        chosen = DEFENSES[defense]
        made = getattr(import_module(chosen.module), chosen.name)(**chosen.kwargs)
        tracker.set_params(preprocessing_defences=[made])
    return tracker


def first_search_crop(tracker: SiameseEstimator, scene: Scene) -> torch.Tensor:
    """What the tracker sees around the person in frame 0, as its network's input."""
    box_xyxy = torch.from_numpy(scene.y[0]["boxes"][0])
    crops = tracker.crops(VideoFrames(torch.from_numpy(scene.x[0]).to(tracker.device)), box_xyxy)
    return crops.search(0, search_window(initial_state(box_xyxy, tracker.settings), tracker.settings))


def watch(tracker: SiameseEstimator, scenes: list[Scene], trigger: dict[str, Any], show: Show | None) -> Overlaps:
    """IoU of each frame but the first of each video, with the trigger shown in this way, or without it."""
    if show is None:
        return [track(tracker, scene.x, scene).tolist() for scene in scenes]
    attack = BackdoorTrigger(tracker, trigger=trigger, show=show)
    return [track(tracker, attack.generate(x=scene.x, y=scene.y), scene).tolist() for scene in scenes]


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each weights file, defense and way of showing the trigger."""
    trigger = dict(read_settings(options.settings, BackdoorSettings).trigger)
    scenes = list(walkers(options.split, options.videos, options.frames))
    rows = []
    defenses = (None, *options.defenses, *options.prune)
    cells = [(path, defense) for path in (None, *options.weights) for defense in defenses]
    for path, defense in progress(cells):
        tracker = load(path, defense, options.device, scenes)
        found = {
            show: kept(
                _place(options, path, defense, show, trigger),
                lambda show=show, tracker=tracker: watch(tracker, scenes, trigger, show),  # type: ignore[misc]
            )
            for show in (None, *options.show)
        }
        name = "packaged" if path is None else path.parent.name
        rows += [make_row(name, defense, show, found[None], found[show]) for show in options.show]
    return rows


def make_row(name: str, defense: str | float | None, show: str, benign: Overlaps, attacked: Overlaps) -> dict[str, Any]:
    """One row of the table."""
    before, after = (float(np.mean([success_auc(np.array(video)) for video in found])) for found in (benign, attacked))
    return {
        "weights": name,
        "defense": f"pruned {defense:g}" if isinstance(defense, float) else defense or "none",
        "trigger": show,
        "AUC": before,
        "AUC attacked": after,
        "points lost": 100 * (before - after),
        "mean IoU": float(np.mean([np.mean(video) for video in benign])),
        "mean IoU attacked": float(np.mean([np.mean(video) for video in attacked])),
    }


def _place(
    options: argparse.Namespace,
    weights: Path | None,
    defense: str | float | None,
    show: str | None,
    trigger: dict[str, Any],
) -> Path | None:
    """Where a result is kept: all that it depends on is in the name."""
    return place(
        options.keep,
        hash_file(weights or packaged_weights("siamrpn_alex_mtl.safetensors")),
        hash_file(packaged_weights("dualossdef_small.safetensors")) if defense == "dualossdef" else "",
        defense,
        json.dumps([show, trigger], sort_keys=True) if show else "",
        f"{options.split} {options.videos} {options.frames}",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="*", type=Path, help="weights.safetensors of trainings")
    parser.add_argument(
        "--settings", type=Path, default=Path("training_configs/backdoors/fsba.json"), help="that name the trigger"
    )
    parser.add_argument("--split", default="mini", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--show", nargs="+", default=["one_shot"], choices=["one_shot", "few_shot", "rate"])
    parser.add_argument("--defenses", nargs="*", default=[], choices=["dualossdef", "jpeg", "squeezing", "smoothing"])
    parser.add_argument("--prune", nargs="*", type=float, default=[], help="shares of the last features' channels")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"split": options.split, "videos": options.videos, "rows": rows}))


if __name__ == "__main__":
    main()
