"""What defenses cost where nobody attacks: mean IoU of whole videos with and without them, paired video by video.

    python -m experiments.clean_videos --video armory_skelevision/datasets/walker_splits/dev=walkers
                                       [--video people/human_walking/walk2=plain …] [--models stl mtl]
                                       [--defenses dualossdef templateadaptation checked] [--weights FILE]
                                       [--held-out 8] [--json]

``--video`` takes folders and their layouts, as the setting ``validation_videos`` of trainings does. "checked" is
template adaptation whose steps are judged on ``--held-out`` further crops of frame 0. Differences are in points, with
the 95 % interval of their mean over videos.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision import load_tracker
from armory_skelevision.cli.train import split_video
from armory_skelevision.defenses import DuaLossDef, TemplateAdaptation
from armory_skelevision.evaluation.table import DEFENSES
from armory_skelevision.io import progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.results.intervals import paired_difference
from armory_skelevision.training.videos import ValidationVideo, read_videos, video_iou
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table


def make_defenses(options: argparse.Namespace) -> dict[str, list[Any]]:
    """The defenses of each column."""
    adaptation = DEFENSES["templateadaptation"].kwargs
    made: dict[str, Callable[[], Any]] = {
        "dualossdef": lambda: DuaLossDef(options.weights),
        "templateadaptation": lambda: TemplateAdaptation(**adaptation),
        "checked": lambda: TemplateAdaptation(**{**adaptation, "held_out": options.held_out}),
    }
    return {"none": [], **{name: [made[name]()] for name in options.defenses}}


def track_video(tracker: SiameseEstimator, video: ValidationVideo) -> float:
    """The mean IoU of a tracker on a video."""
    with torch.no_grad():
        return video_iou(video, tracker.track(video.open(), torch.as_tensor(video.boxes_xyxy[0])).cpu())


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker and video."""
    videos = read_videos(dict(split_video(each) for each in options.video))
    rows = []
    with progress(total=len(options.models) * (1 + len(options.defenses)) * len(videos), unit="video") as bar:
        for model in options.models:
            found: dict[str, list[float]] = {}
            for name, defenses in make_defenses(options).items():
                tracker = load_tracker(f"siamrpn_{model}", device="cpu")
                tracker.set_params(preprocessing_defences=defenses)
                found[name] = []
                for video in videos:
                    found[name].append(track_video(tracker, video))
                    bar.update()
            for index, video in enumerate(videos):
                ious = {name: values[index] for name, values in found.items()}
                rows.append({"model": model, "video": _name(video), **ious})
    return rows


def _name(video: ValidationVideo) -> str:
    """A sequence's folder, or folder and file of a rendered video."""
    folder = Path(video.group).name
    return folder if len(video.files) > 1 else f"{folder}/{video.files[0].stem}"


def compare(rows: list[dict[str, Any]], defenses: list[str]) -> list[list[Any]]:
    """A line for each tracker and defense: mean IoU without and with it, difference, interval, and lost videos."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        bare = [row["none"] for row in own]
        for name in defenses:
            ious = [row[name] for row in own]
            change = paired_difference(bare, ious)
            width = "–" if change.half_width is None else f"± {100 * change.half_width:.2f}"
            lost = sum(b < a - 0.05 for a, b in zip(bare, ious, strict=True))
            means = [f"{np.mean(values):.4f}" for values in (bare, ious)]
            lines.append([model, name, *means, f"{100 * change.mean:+.2f}", width, lost])
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", action="append", required=True, help="FOLDER=LAYOUT; may be repeated")
    parser.add_argument("--models", nargs="+", default=["stl"], choices=["stl", "mtl"])
    names = ["dualossdef", "templateadaptation", "checked"]
    parser.add_argument("--defenses", nargs="+", default=names, choices=names)
    parser.add_argument("--weights", type=Path, default=packaged_weights("dualossdef_small.safetensors"))
    parser.add_argument("--held-out", type=int, default=8, help="crops that judge steps, of checked")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    rows = measure(options)
    print_table(list(rows[0]), [[*row.values()] for row in rows])
    header = ["model", "defense", "mean IoU without", "with", "points", "interval", "videos worse by 5 points"]
    print_table(header, compare(rows, options.defenses))
    if options.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
