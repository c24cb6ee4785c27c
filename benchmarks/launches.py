"""What tracking and the patch attack ask of a GPU, counted on an emulated one; see tests/emulated_device.py.

    python -m benchmarks.launches [--json]

For each further frame, and in the attack for each frame of a further step:

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

import torch

from benchmarks.common import print_table
from benchmarks.scene import draw_scene

EMULATED_DEVICE = Path(__file__).parent.parent / "tests" / "emulated_device.py"
FRAMES = (3, 5)
STEPS = (1, 2)
MEMORY = ("graph", "recompute")

Counts = dict[str, float]
Make = Callable[[], Any]


def make_trackers() -> dict[str, Make]:
    """The trackers that are counted, on the CPU."""
    from armory_skelevision.models import SiameseEstimator, SiamRPNEstimator, siamrpn_mtl
    from armory_skelevision.networks import NanoTrack, SiamFCpp, SiamRPNpp
    from armory_skelevision.tracking import MultiLevelSettings, PointSettings, QualitySettings

    def wrap(kind: type[SiameseEstimator], network: Callable[[], Any], settings: Any) -> Make:
        def make() -> SiameseEstimator:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return kind(network(), settings, device_type="cpu")

        return make

    return {
        "SiamRPN (MTL)": lambda: siamrpn_mtl({}, {"device_type": "cpu"}),
        "SiamRPN++ (ResNet-50)": wrap(SiamRPNEstimator, SiamRPNpp, MultiLevelSettings()),
        "SiamFC++": wrap(SiameseEstimator, SiamFCpp, QualitySettings()),
        "NanoTrack": wrap(SiameseEstimator, NanoTrack, PointSettings()),
    }


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


def count_tracking(make: Make) -> Counts:
    """The counts of one more frame."""
    scene = draw_scene(FRAMES[1], 240, 320)

    def track(frames: int) -> Counts:
        return count(make, lambda tracker: tracker.predict(scene.x[:, :frames], y_init=scene.y[0]["boxes"][:1]))

    return _slope(track, FRAMES)


def count_patch(make: Make, memory: str) -> Counts:
    """The counts of one more frame in one more step."""
    from armory_skelevision.attacks import PatchAttack

    scene = draw_scene(FRAMES[1], 240, 320)

    def step(frames: int) -> Counts:
        labels = [{"boxes": scene.y[0]["boxes"][:frames]}]
        metadata = [{key: values[:frames] for key, values in scene.metadata[0].items()}]

        def attack(steps: int) -> Counts:
            settings: dict[str, Any] = {"max_iter": steps, "memory": memory, "verbose": False}
            call = scene.x[:, :frames], labels, metadata
            return count(make, lambda tracker: PatchAttack(tracker, **settings).generate(*call))

        return _slope(attack, STEPS)

    return _slope(step, FRAMES)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    trackers = make_trackers()
    rows = {f"tracking, {name}": count_tracking(make) for name, make in trackers.items()}
    rows |= {f"patch attack, {memory}": count_patch(trackers["SiamRPN (MTL)"], memory) for memory in MEMORY}
    print_table(["", *next(iter(rows.values()))], [[name, *counts.values()] for name, counts in rows.items()])
    if options.json:
        print(json.dumps(rows))


def _slope(counted: Callable[[int], Counts], at: tuple[int, int]) -> Counts:
    """What one more of something adds to each count."""
    less, more = counted(at[0]), counted(at[1])
    return {name: (more[name] - less[name]) / (at[1] - at[0]) for name in less}


if __name__ == "__main__":
    main()
