"""Where in the search crop a tracker looks: the gradient of its best score, inside of the target's box and outside.

    python -m experiments.attention [--json] [--split dev] [--videos N] [--every 8] [--trackers siamrpn_stl FILE …]

At every nth frame, the search window lies around the true box of the frame before, as after perfect tracking. The score
is the log-odds of the best proposal, the gradient that by the crop's values, in [0, 1]. "share inside" is the share of
the absolute gradient that lies in the true box, and "share of area" the box's share of the crop; "sensitivity outside"
is the sum of the absolute gradient out of the box: by a hundredth of it a patch there that changes every value by .01
moves the log-odds, to first order. Means over videos. The second table has the differences to the first tracker, video
by video, with the 95 % interval of their mean. Trackers are names or weights files.
"""

from __future__ import annotations

import argparse
import json
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from armory_skelevision import load_tracker
from armory_skelevision.io import progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.results.intervals import paired_difference
from armory_skelevision.tracking import TemplateMatcher, VideoFrames, Window
from armory_skelevision.tracking.windows import initial_state, search_window
from benchmarks.common import print_table
from benchmarks.walkers import COUNTS, walkers


class Attention(NamedTuple):
    """Where the gradient lies, in one search crop or as a mean over some."""

    share_inside: float
    """Share of the absolute gradient in the true box, in [0, 1]."""
    share_of_area: float
    """The box's share of the crop."""
    sensitivity_outside: float
    """Sum of the absolute gradient out of the box, for values in [0, 1]."""


def attend(tracker: SiameseEstimator, frames: VideoFrames, boxes_xyxy: Tensor, index: int) -> Attention:
    """Where the tracker looks in a frame, in the window around the true box of the frame before."""
    crops = tracker.crops(frames, boxes_xyxy[0])
    window = search_window(initial_state(boxes_xyxy[index - 1], tracker.settings), tracker.settings)
    with torch.no_grad():
        matcher = TemplateMatcher.embed_template(crops)
        search = crops.search(index, window)
    leaf = search.requires_grad_()
    with torch.enable_grad():
        background, target = matcher.match(leaf).cls.reshape(2, -1)
        (gradient,) = torch.autograd.grad((target - background).max(), leaf)
    sizes = 255 * gradient.abs().sum(dim=1)[0]  # the network's input is in 0..255
    inside = cover(boxes_xyxy[index], window, len(sizes))
    within, total = float(sizes[inside].sum()), float(sizes.sum())
    return Attention(within / total, float(inside.float().mean()), total - within)


def cover(box_xyxy: Tensor, window: Window, side: int) -> Tensor:
    """The pixels of a window's crop, (side, side) bool, whose centres lie in a box (4,) of the frame."""
    centres = (torch.arange(side) + 0.5) * (window.side / side)
    x1, y1, x2, y2 = box_xyxy.cpu()
    columns = (window.x_min + centres > x1) & (window.x_min + centres < x2)
    rows = (window.y_min + centres > y1) & (window.y_min + centres < y2)
    return torch.outer(rows, columns)


def measure(options: argparse.Namespace) -> dict[str, list[Attention]]:
    """For each tracker the mean over the frames of each video."""
    trackers = {name: load_tracker(name, device="cpu") for name in options.trackers}
    found: dict[str, list[Attention]] = {name: [] for name in trackers}
    scenes = walkers(options.split, options.videos)
    for scene in progress(scenes, "videos", unit="video", total=options.videos or COUNTS[options.split]):
        frames, boxes_xyxy = VideoFrames(torch.from_numpy(scene.x[0])), torch.from_numpy(scene.y[0]["boxes"]).double()
        for name, tracker in trackers.items():
            indices = range(1, len(boxes_xyxy), options.every)
            each = [attend(tracker, frames, boxes_xyxy, index) for index in indices]
            found[name].append(Attention(*np.mean(each, axis=0).tolist()))
    return found


def compare(found: dict[str, list[Attention]]) -> list[dict[str, Any]]:
    """The differences of each further tracker to the first, over videos."""
    (_, first), *others = found.items()
    rows = []
    for name, values in others:
        for field in ("share_inside", "sensitivity_outside"):
            pairs = ([getattr(each, field) for each in part] for part in (first, values))
            rows.append({"tracker": name, "value": field, **paired_difference(*pairs)._asdict()})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trackers", nargs="+", default=["siamrpn_stl", "siamrpn_mtl"])
    parser.add_argument("--split", default="dev", choices=list(COUNTS))
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--every", type=int, default=8, help="every nth frame; default %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    found = measure(options)
    means = {name: Attention(*np.mean(values, axis=0).tolist()) for name, values in found.items()}
    names = [field.replace("_", " ") for field in Attention._fields]
    print_table(["tracker", *names], [[name, *values] for name, values in means.items()])
    differences = compare(found)
    rows = [[*row.values()] for row in differences]
    print_table(["tracker", "difference of", "mean", "half of the 95 % interval", "videos"], rows)
    if options.json:
        videos = {name: [each._asdict() for each in values] for name, values in found.items()}
        print(json.dumps({"videos": videos, "differences": differences}))


if __name__ == "__main__":
    main()
