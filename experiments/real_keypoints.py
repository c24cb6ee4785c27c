"""Share of the keypoints that multi-task trackers find (PCK at .2), of walkers and of real people.

    python -m experiments.real_keypoints ANNOTATIONS.json --images FOLDER [--json] [--weights FILE …] [--every 8]

ANNOTATIONS has COCO's format; its people with six keypoints or more count, and every
eighth frame of the walkers of `dev`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision import load_tracker
from armory_skelevision.metrics.keypoints import hits
from armory_skelevision.models import SiameseEstimator
from benchmarks.common import print_table
from experiments.keypoint_people import Crops, annotated_crops, walker_crops
from experiments.keypoints import pose


def pck(tracker: SiameseEstimator, crops: Crops) -> float:
    """Share of the labelled keypoints that are found, in [0, 1]."""
    found = [{"keypoints": points} for points in pose(tracker, len(crops.pictures)).predict(crops.pictures)]
    return float(np.nanmean(hits(crops.labels(), found)))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker."""
    rows = []
    for weights in options.weights or [None]:
        tracker = load_tracker("siamrpn_mtl", weights, device="cpu")
        walkers = walker_crops(tracker, options.split, options.every, None)
        real = annotated_crops(tracker, options.annotations, options.images)
        people = {"real people": real, "walkers": walkers}
        scores = {f"{name} ({len(crops.pictures)})": pck(tracker, crops) for name, crops in people.items()}
        rows.append({"weights": str(weights or "packaged"), **scores})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO's person keypoints, JSON")
    parser.add_argument("--images", type=Path, required=True, help="their folder")
    parser.add_argument("--weights", nargs="*", default=[], help="of multi-task trackers; default the packaged ones")
    parser.add_argument("--split", default="dev", choices=["dev", "mini"], help="of the walkers; default %(default)s")
    parser.add_argument("--every", type=int, default=8, help="frame of the walkers; default %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
