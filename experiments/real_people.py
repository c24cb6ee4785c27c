"""Mean IoU of trackers on whole videos without an attack, with their own constants or PySOT's.

    python -m experiments.real_people [--json] --videos FOLDER=LAYOUT … [--trackers stl mtl FILE …]
                                      [--nanotrack FILE] [--constants packaged pysot]

LAYOUT is that of a benchmark, "plain" (``img/`` and ``groundtruth_rect.txt``), or "walkers" for a folder of rendered
videos, whose mean counts. Frame 0 and frames without a box are left out. Videos are tracked in lockstep.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision import load_tracker
from armory_skelevision.cli.train import split_video
from armory_skelevision.training.videos import read_videos, score_videos
from benchmarks.common import print_table
from experiments.auto_patch import PYSOT

NAMES = {"stl": "siamrpn_stl", "mtl": "siamrpn_mtl"}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker and constants: the mean IoU on each video, and the mean over all."""
    videos = read_videos(dict(split_video(each) for each in options.videos))
    rows = []
    for tracker in options.trackers:
        for constants in options.constants:
            weights = options.nanotrack if tracker == "nanotrack" else NAMES.get(tracker, tracker)
            loaded = load_tracker(weights, device="cpu", tracking=PYSOT if constants == "pysot" else None)
            scores = score_videos(loaded.model.eval(), videos, loaded.settings)
            named = {Path(folder).name: score for folder, score in scores.items()}
            rows.append(
                {"tracker": tracker, "constants": constants, **named, "mean": float(np.mean([*scores.values()]))}
            )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", nargs="+", required=True, metavar="FOLDER=LAYOUT")
    parser.add_argument("--trackers", nargs="+", default=["stl", "mtl"], help="stl, mtl, nanotrack, or weights files")
    parser.add_argument("--nanotrack", default=None, help="nanotrackv3.pth")
    parser.add_argument("--constants", nargs="+", default=["packaged"], choices=["packaged", "pysot"])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if "nanotrack" in options.trackers and options.nanotrack is None:
        parser.error("nanotrack needs --nanotrack FILE: its weights are not part of this package")
    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
