"""Whether trackers have learned wrong proportions: the aspect of their boxes on people in pictures of known shape.

    python -m experiments.proportions STORE WEIGHTS … [--json] [--pairs 256] [--side 223]

STORE is a store of crops from pictures that were never stretched. For each weights file and the same pairs: the mean of
log(predicted width / height) - log(true width / height), with its standard error, the mean of its absolute value, and
the mean IoU. Boxes that are too wide on average have a positive mean; .05 is 5 %. Pairs whose target is cut off by the
search crop are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.boxes import iou
from armory_skelevision.io import progress
from armory_skelevision.networks import RPNOutput
from armory_skelevision.networks.inference import freeze
from armory_skelevision.training.data.loading import PairDataset
from armory_skelevision.training.targets import best_boxes
from armory_skelevision.weights.loading import load_siamrpn
from benchmarks.common import print_table

SEED = 2**31 - 2  # of pairs that no training sees


def read_pairs(store: str, count: int, side: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Template and search crop as network inputs, and the target's box (4,) in the search crop, which is all in it."""
    pairs = PairDataset(store, SEED, side)
    found = []
    for number in progress(range(count), "Pairs", unit="pair"):
        pair = pairs[number]
        if (pair.box_xyxy > 1).all() and (pair.box_xyxy < side - 1).all():
            inputs = [crop.permute(2, 0, 1).float() for crop in (pair.template, pair.search)]
            found.append((inputs[0], inputs[1], pair.box_xyxy))
    return found


@torch.inference_mode()
def measure(
    network: Callable[[Tensor, Tensor], RPNOutput], pairs: list[tuple[Tensor, Tensor, Tensor]], base_size: int = 0
) -> dict[str, float]:
    """The errors of one tracker."""
    errors, overlaps = [], []
    for start in range(0, len(pairs), 16):
        templates, searches, truth_xyxy = (
            torch.stack(values) for values in zip(*pairs[start : start + 16], strict=True)
        )
        boxes_xyxy = best_boxes(network(templates, searches), base_size)
        errors.append(_log_aspect(boxes_xyxy) - _log_aspect(truth_xyxy))
        overlaps.append(iou(boxes_xyxy, truth_xyxy))
    error, overlap = torch.cat(errors).numpy(), torch.cat(overlaps)
    return {
        "mean": float(error.mean()),
        "standard error": float(error.std(ddof=1) / np.sqrt(len(error))),
        "absolute": float(np.abs(error).mean()),
        "mean IoU": float(overlap.mean()),
        "pairs": len(error),
    }


def _log_aspect(boxes_xyxy: Tensor) -> Tensor:
    width, height = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=1).unbind(1)
    return (width / height).log()


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="of crops")
    parser.add_argument("weights", nargs="+", help="of SiamRPN trackers")
    parser.add_argument("--pairs", type=int, default=256, help="default %(default)s")
    parser.add_argument("--side", type=int, default=223, help="of the search crops in pixels, default %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    pairs = read_pairs(options.store, options.pairs, options.side)
    rows: list[dict[str, Any]] = []
    for path in options.weights:
        network = load_siamrpn(path)
        freeze(network)
        rows.append(
            {
                "weights": path,
                **{name: round(value, 4) for name, value in measure(network, pairs, network.base_size).items()},
            }
        )
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if options.json:
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
