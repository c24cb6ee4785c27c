"""Cost of the defenses without an attack, and their benefit under adaptive and non-adaptive attacks.

    python -m experiments.defense [--json] [--quick] [--weights FILE] [--nanotrack FILE] [--split dev] [--videos N]
                                 [--frames N] [--models stl mtl nanotrack] [--trackers FILE …]
                                 [--defenses none jpeg …] [--attacks patch autopatch pgd8 rtaa8 iou …] [--steps N]
                                 [--restarts N] [--queries N] [--precision bf16] [--keep FOLDER] [--device cpu]

Costs: the time that a defense adds to that of the tracker, per frame, both measured in turns on the first video;
``overhead`` is DuaLossDef's time over the tracker's. Time that is spent once per video is divided
among its frames. ``--quick`` stops there.

The table: mean IoU without an attack, under attacks made against the bare tracker, and under the same attacks made
against the defended one ("adaptive"); the worst case is that of each video. Attacks that should be stronger and are not
are listed: gradients may be masked. Unsupported combinations state the reason. ``--trackers`` names weights of further
trackers, such as adversarially trained ones. The whole table needs a GPU; with
``--keep`` every finished cell is stored in a file, and the same command resumes after an interruption.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from art.defences.preprocessor import JpegCompression

from armory_skelevision import load_tracker
from armory_skelevision.defenses import DuaLossDef, TemplateAdaptation
from armory_skelevision.evaluation.table import DEFENSES
from armory_skelevision.io import progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.weights.packaged import packaged_weights
from armory_skelevision.weights.unet import read_unet_metadata
from benchmarks.common import print_table
from benchmarks.walkers import walkers
from experiments.defense_costs import Cost, measure_cost
from experiments.defense_table import (
    BOUNDS,
    MUCH,
    Table,
    describe,
    evaluate_model,
    find_masking,
    hash_weights,
    summarize,
)

ROWS = ("none", "jpeg", "dualossdef", "templateadaptation", "both")
MODELS = ("stl", "mtl", "nanotrack")


def make_jpeg() -> Any:
    """ART's JPEG compression, as the configs have it."""
    kwargs = dict(DEFENSES["jpeg"].kwargs)
    return JpegCompression(**{**kwargs, "clip_values": tuple(kwargs["clip_values"])})


def make_dualossdef(options: argparse.Namespace) -> Callable[[], DuaLossDef]:
    """How to make DuaLossDef; its "gpu" is one where there is one."""
    return partial(DuaLossDef, options.weights, device_type="cpu" if options.device == "cpu" else "gpu")


def make_defenses(names: list[str], dualossdef: Callable[[], DuaLossDef]) -> dict[str, Callable[[], list[Any]]]:
    """How to make the defenses of each row."""
    adaptation = partial(TemplateAdaptation, **DEFENSES["templateadaptation"].kwargs)
    makers: dict[str, Callable[[], list[Any]]] = {
        "none": list,
        "jpeg": lambda: [make_jpeg()],
        "dualossdef": lambda: [dualossdef()],
        "templateadaptation": lambda: [adaptation()],
        "both": lambda: [dualossdef(), adaptation()],
    }
    return {name: makers[name] for name in names}


def make_models(options: argparse.Namespace) -> dict[str, tuple[Callable[[], SiameseEstimator], str]]:
    """How to make each tracker, and the hash of its weights; without those whose weights were not given."""
    files = {name: packaged_weights(f"siamrpn_alex_{name}.safetensors") for name in ("stl", "mtl")}
    if options.nanotrack is not None:
        files["nanotrack"] = options.nanotrack
    chosen = {name: files[name] for name in options.models if name in files}
    chosen |= {name_of(path): path for path in options.trackers}
    return {
        name: (partial(load_tracker, path, device=options.device), hash_weights(path)) for name, path in chosen.items()
    }


def name_of(weights: Path) -> str:
    """A tracker's name in the table: that of the weights file or, for a training's, of its run."""
    return weights.parent.name if weights.stem == "weights" else weights.stem


def measure_costs(options: argparse.Namespace) -> dict[str, Cost]:
    """The cost of each defense before the first tracker."""
    (scene,) = walkers(options.split, 1, options.frames)
    estimator = load_tracker("siamrpn_stl", device=options.device)
    makers: dict[str, Callable[[], Any]] = {
        "dualossdef": make_dualossdef(options),
        "jpeg": make_jpeg,
        "templateadaptation": partial(TemplateAdaptation, **DEFENSES["templateadaptation"].kwargs),
    }
    return {name: measure_cost(estimator, make(), scene) for name, make in makers.items()}


def measure_table(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All cells."""
    settings = (options.attacks, options.steps, options.restarts, options.queries, options.split, options.frames)
    table = Table(*settings, options.keep, options.precision)
    makers = make_defenses(list(dict.fromkeys(["none", *options.defenses])), make_dualossdef(options))
    models = make_models(options)
    scenes = list(walkers(options.split, options.videos, options.frames))
    counts = [len(table.columns(name != "none")) for name in makers]
    total = len(models) * len(scenes) * sum(counts)
    cells = []
    with progress(total=total, unit="cell") as bar:
        for model, (make, weights) in models.items():
            identity = {name: describe([model, weights, *_identify(name, options)]) for name in makers}
            for cell in evaluate_model(make, identity, makers, scenes, table, partial(bar.update, 1)):
                cells.append({"model": model, **cell})
    return cells


def find_absent(options: argparse.Namespace) -> list[str]:
    """What was asked for and cannot be had, one line each."""
    if options.nanotrack is None and "nanotrack" in options.models:
        return ["nanotrack: not available: name its weights by --nanotrack"]
    return []


def print_rows(rows: list[dict[str, Any]]) -> None:
    """Mean IoU, "plain / adaptive" in each cell, the change of clean videos, and the shares that were won back."""
    names = list(dict.fromkeys(name.removesuffix(" adaptive") for row in rows for name in row["mean_iou"]))
    shown = []
    for row in rows:
        found = row["mean_iou"]
        pairs = [[found.get(name), found.get(f"{name} adaptive")] for name in names]
        cells = [" / ".join("–" if value is None else f"{value:.3f}" for value in pair) for pair in pairs]
        figures = [*(cell.removesuffix(" / –") for cell in cells), _show_worst(row), *_show_change(row)]
        shown.append([row["model"], row["defense"], *figures])
    print_table(["model", "defense", *names, "worst case", "clean: median change", f"worse by {MUCH}"], shown)
    print("won back of what the attacks that do not know the defense took:")
    shares = [[row["won_back"].get(name) for name in names[1:]] for row in rows]
    percents = [["–" if share is None else f"{share:.0%}" for share in line] for line in shares]
    print_table(
        ["model", "defense", *names[1:]],
        [[row["model"], row["defense"], *line] for row, line in zip(rows, percents, strict=True)],
    )


def _show_worst(row: dict[str, Any]) -> str:
    worst = row["worst_case"]
    if worst is None:
        return "–"
    ends = "" if worst["low"] is None else f" [{worst['low']:.3f}, {worst['high']:.3f}]"
    return f"{worst['mean']:.3f}{ends}"


def _show_change(row: dict[str, Any]) -> list[str]:
    change = row["clean_change"]
    return ["–", "–"] if change is None else [f"{change['median']:+.3f}", str(change["worse"])]


def _identify(name: str, options: argparse.Namespace) -> list[Any]:
    """What a row's figures depend on besides the tracker."""
    parts = ("dualossdef", "templateadaptation") if name == "both" else (name,)
    weights = hash_weights(options.weights if "dualossdef" in parts else None)
    return [name, weights, [dict(DEFENSES[part].kwargs) for part in parts if part in ("jpeg", "templateadaptation")]]


def read_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="costs only")
    parser.add_argument("--weights", type=Path, default=packaged_weights("dualossdef_small.safetensors"))
    parser.add_argument("--nanotrack", type=Path, default=None, help="nanotrackv3.pth")
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS)
    parser.add_argument("--trackers", nargs="+", type=Path, default=[], help="weights files of further trackers")
    parser.add_argument("--defenses", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--attacks", nargs="*", default=list(BOUNDS), choices=list(BOUNDS))
    parser.add_argument(
        "--steps", type=int, default=None, help="of patch, PGD, RTAA and AutoPatch; default the configs'"
    )
    parser.add_argument("--restarts", type=int, default=1, help="of patch and PGD")
    parser.add_argument("--queries", type=int, default=None, help="of the IoU attack, per frame; default the config's")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attacks' network")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    files = {"weights": [options.weights], "nanotrack": [options.nanotrack], "trackers": options.trackers}
    for name, paths in files.items():
        for path in paths:
            if path is not None and not path.is_file():
                parser.error(f"--{name}: no file {path}")
    names = [*options.models, *map(name_of, options.trackers)]
    if len({*names}) < len(names):
        parser.error(f"--trackers: expected files of different names, got {', '.join(names)}: rename one of them")
    try:
        read_unet_metadata(options.weights)
    except ValueError as error:
        parser.error(f"--weights: {error}")
    return options


def main() -> None:
    """Measure, print, and sum up."""
    options = read_options()
    costs = measure_costs(options)
    print_table(["", *Cost._fields], [[name, *cost] for name, cost in costs.items()])
    result: dict[str, Any] = {
        "overhead": costs["dualossdef"].overhead,
        "costs": {name: cost._asdict() for name, cost in costs.items()},
    }
    if not options.quick:
        absent = find_absent(options)
        cells = measure_table(options)
        rows = summarize(cells)
        print_rows(rows)
        notes = {
            f"{cell['model']}, {cell['defense']}, {cell['column']}: {cell['note']}" for cell in cells if cell["note"]
        }
        for line in [*absent, *sorted(notes), *find_masking(rows)]:
            print(line)
        result |= {"split": options.split, "rows": rows, "cells": cells, "absent": absent}
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
