"""In how many frames of real sequences a patch could win at all, by the constants of trackers and with a heavy window.

    python -m experiments.reach [--json] [--otb FOLDER] [--sequences Crossing Human7] [--models stl mtl nanotrack]
                                [--nanotrack FILE] [--frames N]

The screen is that of the OTB protocol, see `datasets.otb_patch`; the bound is that of `attacks.patch.reach`. No tracker
runs, and no weights but NanoTrack's version matter.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision import load_tracker
from armory_skelevision.attacks.patch.reach import frames_in_reach, response_size
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene
from armory_skelevision.datasets.layouts import read_sequence
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.io.images import read_size
from benchmarks.common import print_table
from experiments.auto_patch import MODELS, find_weights

HEAVY_WINDOW = {"penalty_k": 0.24, "window_influence": 0.65, "learning_rate": 0.25}
"""Those of the weights that were trained on rendered people alone."""


def read_black_scene(root: Path, name: str, frames: int | None) -> PatchScene:
    """A sequence of OTB with black frames: the boxes and the screen are all that counts."""
    sequence = read_sequence(root, "otb", name)
    boxes_xyxy = sequence.boxes_xyxy[:frames]
    width, height = read_size(sequence.images[0])
    black = np.zeros((len(boxes_xyxy), height, width, 3), np.float32)
    return read_scene(black, boxes_xyxy, place_patch(boxes_xyxy, height, width), torch.device("cpu"), 0)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker and constants, with the share of frames of each sequence."""
    scenes = {name: read_black_scene(options.otb, name, options.frames) for name in options.sequences}
    rows = []
    for model in options.models:
        for constants, values in {"packaged": None, "heavy window": HEAVY_WINDOW}.items():
            tracker = load_tracker(find_weights(model, options), device="cpu", tracking=values)
            size = response_size(tracker.model, tracker.settings)
            shares = {
                name: float(frames_in_reach(each, tracker.settings, size).mean()) for name, each in scenes.items()
            }
            rows.append({"model": model, "constants": constants, **shares})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--otb", type=Path, default=Path("otb"), help="folder of the sequences")
    parser.add_argument("--sequences", nargs="+", default=["Crossing", "Human7"])
    parser.add_argument("--models", nargs="+", default=["stl", "mtl"], choices=MODELS)
    parser.add_argument("--nanotrack", type=Path, default=None, help="nanotrackv3.pth")
    parser.add_argument("--frames", type=int, default=None, help="of each sequence; default all")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if "nanotrack" in options.models and options.nanotrack is None:
        parser.error("nanotrack needs --nanotrack FILE: its weights are not part of this package")
    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
