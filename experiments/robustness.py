"""Do keypoints make a tracker more robust? Mean IoU of equally trained trackers under the patch attack.

    python -m experiments.robustness RUNS/*/weights.safetensors [--against stl] [--step-size 0.1] [--json]
                                    [all other options of steps.py]

The folder of a run is named after its recipe and its seed, as in ``mtl_0.2-43``. The first table has each recipe's mean
over seeds, with its 95 % interval (Student's t); the second how much higher it is than ``--against``, over the seeds of
both: such runs saw the same pairs in the same order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from armory_skelevision.results.intervals import Estimate, estimate, paired_difference
from benchmarks.common import print_table
from experiments.steps import add_options, measure

Run = Mapping[str, float]
"""Mean IoU of a run's weights, by the number of steps, and "benign"."""


def measure_runs(options: argparse.Namespace) -> dict[str, dict[str, Run]]:
    """Every run, by recipe and seed."""
    found: dict[str, dict[str, Run]] = {}
    for path, row in zip(options.models, measure(options), strict=True):
        folder = Path(path).resolve().parent.name
        recipe, _, seed = folder.rpartition("-")
        if not recipe or seed in found.get(recipe, {}):
            raise SystemExit(f"{path}: expected a folder named RECIPE-SEED, each once, got {folder}")
        found.setdefault(recipe, {})[seed] = {name: row[name] for name in row if name not in ("model", "step size")}
    return found


def over_seeds(runs: Mapping[str, Run]) -> dict[str, Estimate]:
    """A recipe's means."""
    rows = list(runs.values())
    return {name: estimate([row[name] for row in rows]) for name in rows[0]}


def differences(runs: Mapping[str, Run], base: Mapping[str, Run]) -> dict[str, Estimate]:
    """How much higher a recipe is than another, over the seeds that both have."""
    seeds = [seed for seed in runs if seed in base]
    if not seeds:
        return {}
    names = list(runs[seeds[0]])
    return {name: paired_difference(*([of[seed][name] for seed in seeds] for of in (base, runs))) for name in names}


def print_estimates(title: str, rows: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Print a table of estimates."""
    names = list(next(iter(rows.values()), {}))
    table = [[recipe, *(show(estimates[name]) for name in names)] for recipe, estimates in rows.items()]
    print(f"\n{title}")
    print_table(["recipe", *names], table)


def show(value: Estimate) -> str:
    """An estimate in words."""
    return f"{value.mean:.3f}" + ("" if value.half_width is None else f" ± {value.half_width:.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="weights files, each in the folder of its run")
    parser.add_argument("--against", default="stl", help="recipe to compare with; default %(default)s")
    parser.add_argument("--step-size", dest="step_sizes", nargs=1, type=float, default=[0.1])
    add_options(parser)
    options = parser.parse_args()

    runs = measure_runs(options)
    means = {recipe: over_seeds(seeds) for recipe, seeds in runs.items()}
    base = runs.get(options.against, {})
    higher = {recipe: differences(seeds, base) for recipe, seeds in runs.items() if recipe != options.against}
    higher = {recipe: row for recipe, row in higher.items() if row}
    print_estimates("mean IoU over seeds", means)
    if higher:
        print_estimates(f"higher than {options.against}", higher)
    if options.json:
        print(json.dumps({"runs": runs, "means": means, "differences": higher}))


if __name__ == "__main__":
    main()
