"""What an attack on the keypoints does to the box, and an attack on the box to the keypoints.

    python -m experiments.keypoint_cross [--json] [--split dev] [--clips 6] [--frames 5] [--eps 8] [--steps 10]

On clips from the packaged videos, each from another video as far as there are enough: mean IoU of the tracked boxes
(frame 0 skipped) and PCK of the keypoints (0.2 of the box's diagonal), without an attack, with IGSM on the
keypoints (which changes frame 0 alone), with FGSM on them, and with PGD on the boxes (which changes all frames).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import torch

from armory_skelevision import load_tracker, load_video
from armory_skelevision.attacks import PGD, KeypointFGSM, KeypointIGSM
from armory_skelevision.boxes import iou
from armory_skelevision.io import progress
from armory_skelevision.metrics import pck
from armory_skelevision.models import SiameseEstimator
from benchmarks.common import print_table
from benchmarks.walkers import COUNTS

Clip = tuple[np.ndarray, dict[str, np.ndarray]]


def read_clips(split: str, count: int, frames: int) -> list[Clip]:
    """The first frames of videos from all over a split, and their labels."""
    numbers = np.unique(np.linspace(0, COUNTS[split] - 1, count).round().astype(int))
    clips = []
    for number in numbers:
        video = load_video(f"walkers/{split}/{number}")[:frames]
        label = {"boxes": video.boxes_xyxy, "keypoints": video.patch_metadata["keypoints"][0]}
        clips.append((video.frames[None], label))
    return clips


def look(tracker: SiameseEstimator, x: np.ndarray, label: dict[str, np.ndarray]) -> tuple[float, float]:
    """Mean IoU and PCK of one clip."""
    (found,) = tracker.predict(x, y_init=label["boxes"][:1])
    overlap = iou(torch.from_numpy(found["boxes"]), torch.from_numpy(label["boxes"]))[1:].mean()
    return float(overlap), pck([label], [found])[0]


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row per attack, means over clips."""
    tracker = load_tracker("siamrpn_mtl", device=options.device)
    eps, steps = options.eps, options.steps
    attacks: dict[str, Any] = {
        "none": None,
        "keypoints, FGSM-U": KeypointFGSM(tracker, eps / 255),
        f"keypoints, IGSM-U-{steps}": KeypointIGSM(tracker, eps / 255, steps, verbose=False),
        f"keypoints, IGSM-T-{steps}": KeypointIGSM(tracker, eps / 255, steps, target_pose="upside_down", verbose=False),
        f"box, PGD-{steps}": PGD(tracker, eps=eps / 255, eps_step=2.5 * eps / 255 / steps, max_iter=steps),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in attacks}
    for x, label in progress(read_clips(options.split, options.clips, options.frames)):
        for name, attack in attacks.items():
            shown = x if attack is None else attack.generate(x=x, y=[label])
            found[name].append(look(tracker, shown, label))
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    return [{"attack": name, "mean IoU": float(value[0]), "PCK": float(value[1])} for name, value in means.items()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--clips", type=int, default=6, help="how many; default %(default)s")
    parser.add_argument("--frames", type=int, default=5, help="of each clip; default %(default)s")
    parser.add_argument("--eps", type=float, default=8, help="bound in 1/255; default %(default)s")
    parser.add_argument("--steps", type=int, default=10, help="default %(default)s")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"clips": options.clips, "frames": options.frames, "eps": options.eps, "rows": rows}))


if __name__ == "__main__":
    main()
