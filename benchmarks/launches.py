"""What tracking and the patch attack ask of a GPU, counted on an emulated one; see tests/emulated_device.py.

    python -m benchmarks.launches [--json]

For each further frame, and in the attack for each frame of a further step; in lockstep, for each frame of each video:

- operations: all operations on tensors, those on the CPU included.
- launches: kernels that the GPU would start.
- copies: between host and GPU.
- waits: how often the host waits for the GPU.

The video is small, which changes nothing, and the weights are random, except those of SiamRPN: windows that leave the
frame add some operations. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

from benchmarks.common import print_table
from benchmarks.scene import draw_scene
from benchmarks.trackers import Make, make_trackers

EMULATED_DEVICE = Path(__file__).parent.parent / "tests" / "emulated_device.py"
FRAMES = (3, 5)
STEPS = (1, 2)
MEMORY = ("graph", "recompute")
LOCKSTEP = 8

Counts = dict[str, float]


def count(make: Make, work: Callable[[Any], object]) -> Counts:
    """What some work with a tracker asks of the device that the tracker is on."""
    emulation = run_path(str(EMULATED_DEVICE))
    with emulation["emulated_device"]() as counts:
        estimator = make()
        estimator.model.to(emulation["DEVICE"])
        estimator._device = emulation["DEVICE"]
        before = counts.total()
        work(estimator)
        return {name: value - before[name] for name, value in counts.total().items()}


def count_tracking(make: Make, videos: int = 1) -> Counts:
    """The counts of one more frame, of each of several videos in lockstep."""
    scene = draw_scene(FRAMES[1], 240, 320)

    def track(frames: int) -> Counts:
        x, boxes = scene.x[:, :frames].repeat(videos, 0), scene.y[0]["boxes"][:1].repeat(videos, 0)
        return count(make, lambda tracker: tracker.predict(x, videos, y_init=boxes))

    return {name: value / videos for name, value in _slope(track, FRAMES).items()}


def count_patch(make: Make, memory: str, runs: int = 1, **further: Any) -> Counts:
    """The counts of one more frame in one more step, for each of several runs in lockstep."""
    from armory_skelevision.attacks import PatchAttack

    scene = draw_scene(FRAMES[1], 240, 320)

    def step(frames: int) -> Counts:
        labels = [{"boxes": scene.y[0]["boxes"][:frames]}]
        metadata = [{key: values[:frames] for key, values in scene.metadata[0].items()}]

        def attack(steps: int) -> Counts:
            settings = {"max_iter": steps, "memory": memory, "verbose": False, **further}
            call = scene.x[:, :frames], labels, metadata
            return count(make, lambda tracker: PatchAttack(tracker, **settings).generate(*call))

        return _slope(attack, STEPS)

    return {name: value / runs for name, value in _slope(step, FRAMES).items()}


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    trackers = make_trackers()
    rows = {f"tracking, {name}": count_tracking(make) for name, make in trackers.items()}
    mtl = trackers["SiamRPN (MTL)"]
    rows[f"tracking, SiamRPN (MTL), {LOCKSTEP} in lockstep"] = count_tracking(mtl, LOCKSTEP)
    rows |= {f"patch attack, {memory}": count_patch(mtl, memory) for memory in MEMORY}
    transformations = {"eot": {"brightness": 0.1, "samples": LOCKSTEP}}
    rows[f"patch attack, graph, {LOCKSTEP} transformations"] = count_patch(mtl, "graph", LOCKSTEP, **transformations)
    rows[f"patch attack, graph, {LOCKSTEP} restarts"] = count_patch(mtl, "graph", LOCKSTEP, restarts=LOCKSTEP)
    print_table(["", *next(iter(rows.values()))], [[name, *counts.values()] for name, counts in rows.items()])
    if options.json:
        print(json.dumps(rows))


def _slope(counted: Callable[[int], Counts], at: tuple[int, int]) -> Counts:
    """What one more of something adds to each count."""
    less, more = counted(at[0]), counted(at[1])
    return {name: (more[name] - less[name]) / (at[1] - at[0]) for name in less}


if __name__ == "__main__":
    main()
