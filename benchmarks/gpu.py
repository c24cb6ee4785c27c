"""Everything worth knowing of one GPU, in one call: tracking, the patch attack, DuaLossDef and training.

    python -m benchmarks.gpu [--out benchmarks] [--seconds 480] [--frames 20] …

Writes ``RESULTS-DEVICE.json`` and ``.md`` into ``--out``, DEVICE being the GPU's name, or ``cpu`` where there is none.
All is measured one after the other; what would begin after ``--seconds`` is left out, and the files say so.

- tracking: each kind of tracker on one video, and on ``--lockstep`` of them; frames of each video per second.
- patch attack: seconds of one iteration and memory in both memory modes and precisions, of ARMORY's attack if there is
  torchvision in ``--torchvision`` (see `benchmarks.attack`), and of the bare network forward and backward; and seconds
  of one iteration for each of ``--lockstep`` transformations.
- defense: milliseconds per frame of DuaLossDef, beside the tracker's own.
- training: pairs per second in both precisions, forward, backward and optimiser on one batch over and over.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from armory_skelevision.io import atomic_write, progress
from armory_skelevision.training.data.loading import Batch
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.training.targets import TargetMaker
from benchmarks.attack import TORCHVISION
from benchmarks.attack_columns import measure_armory, measure_floor, measure_ours
from benchmarks.common import Setting, make_parser, measure_columns, read_setting
from benchmarks.loader import measure_step
from benchmarks.measuring import PeakMemory, clock
from benchmarks.scene import draw_scene
from benchmarks.trackers import make_trackers

Row = dict[str, Any]


def measure_tracking(setting: Setting, name: str, videos: int) -> Row:
    """Frames per second of a kind of tracker on several videos in lockstep, and the memory."""
    estimator = make_trackers(setting.device)[name]()
    scene = draw_scene(setting.frames, setting.height, setting.width, setting.seed)
    x, boxes = [scene.x[0]] * videos, scene.y[0]["boxes"][:1].repeat(videos, 0)

    def track() -> Any:
        return estimator.predict(x, videos, y_init=boxes)

    track()
    memory = PeakMemory(estimator.device)
    seconds = min(clock(track, estimator.device) for _ in range(setting.iterations))
    return {"videos": videos, "frames per second": videos * setting.frames / seconds, "MB": memory.megabytes()}


def measure_transformations(setting: Setting, samples: int) -> Row:
    """Seconds of an iteration of the patch attack for each of several transformations."""
    from armory_skelevision.attacks import PatchAttack

    estimator, scene = setting.load()
    eot = {"brightness": 0.1, "samples": samples}

    def attack(steps: int) -> float:
        made = PatchAttack(estimator, max_iter=steps, eot=eot, keep="last", verbose=False)
        return clock(lambda: made.generate(scene.x, scene.y, scene.metadata), estimator.device)

    attack(1)
    short, long = attack(1), attack(1 + setting.iterations)
    return {"seconds": (long - short) / setting.iterations / samples}


def measure_defense(setting: Setting) -> Row:
    """What DuaLossDef costs."""
    from armory_skelevision.defenses import DuaLossDef
    from experiments.defense_costs import measure_cost

    estimator, scene = setting.load()
    cost = measure_cost(estimator, DuaLossDef("dualossdef_small.safetensors", device_type=setting.device), scene)
    return {"ms per frame": cost.defense_ms, "tracker's own": cost.tracker_ms, "MB": cost.peak_mb}


def measure_training(setting: Setting, precision: Literal["float32", "bf16"], options: argparse.Namespace) -> Row:
    """Pairs per second of noise."""
    settings = MultitaskSettings(
        store="noise",
        validation_store="noise",
        folder="nowhere",
        keypoint_head="shallow",
        lambda_k=0.2,
        batch_size=options.batch_size,
        search_side=options.side,
        precision=precision,
    )
    device = "cuda" if setting.device == "gpu" and torch.cuda.is_available() else "cpu"
    rate = measure_step(settings, options.batches, draw_batch(settings), device)
    return {"batch": options.batch_size, "pairs per second": rate}


def draw_batch(settings: MultitaskSettings) -> Batch:
    """Pairs of noise with the target in the middle."""
    rng, side = np.random.default_rng(0), settings.search_side
    targets, box_xyxy = TargetMaker(side), np.array([-20, -40, 20, 40], np.float32) + side / 2
    pairs = []
    for _ in range(settings.batch_size):
        template, search = (rng.integers(0, 256, (size, size, 3), np.uint8) for size in (127, side))
        made = targets.make(box_xyxy, rng, True, np.zeros((0, 4), np.float32))
        keypoints = np.full((17, 3), 60, np.float32)
        pairs.append(Batch(*map(torch.as_tensor, (template, search, box_xyxy, keypoints, *made, 0))))
    return Batch(*(torch.stack(values) for values in zip(*pairs, strict=True)))


def plan(options: argparse.Namespace) -> dict[str, dict[str, Callable[[Setting], Any]]]:
    """The parts, and what is measured in each."""
    attacks: dict[str, Callable[[Setting], Any]] = {
        f"{memory}, {precision}": partial(measure_ours, memory=memory, precision=precision)
        for memory in ("graph", "recompute")
        for precision in ("float32", "bf16")
    }
    attacks |= {"ARMORY's": partial(measure_armory, torchvision=options.torchvision), "bare network": measure_floor}
    transformations = partial(measure_transformations, samples=options.lockstep)
    names = list(make_trackers())
    return {
        "tracking": {
            f"{name}, {videos}": partial(measure_tracking, name=name, videos=videos)
            for name in names
            for videos in (1, options.lockstep)
        },
        "patch attack": {**attacks, f"{options.lockstep} transformations": transformations},
        "defense": {"DuaLossDef": measure_defense},
        "training": {
            precision: partial(measure_training, precision=precision, options=options)
            for precision in ("float32", "bf16")
        },
    }


def measure(options: argparse.Namespace) -> dict[str, dict[str, Row]]:
    """All parts: rows by name."""
    setting, end = read_setting(options), time.monotonic() + options.seconds
    work = [(part, name, one) for part, rows in plan(options).items() for name, one in rows.items()]
    found: dict[str, dict[str, Row]] = {}
    for part, name, one in progress(work, "Measuring", unit="row"):
        row: Any = {"note": f"left out: more than {options.seconds} seconds were over"}
        if time.monotonic() < end:
            row = measure_columns({name: one}, setting, absent=lambda note: {"note": note})[name]
        found.setdefault(part, {})[name] = row if isinstance(row, dict) else asdict(row)
    return found


def device_name(device: str) -> str:
    """The GPU's name for a file, or "cpu"."""
    name = torch.cuda.get_device_name() if device == "gpu" and torch.cuda.is_available() else "cpu"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def write_markdown(result: Mapping[str, Any]) -> str:
    """The result for readers, a table for each part."""
    by = f"By `{result['command']}`, PyTorch {result['torch']}, {result['cores']} cores."
    lines = [f"# {result['device']}", "", by, ""]
    for part, rows in result["parts"].items():
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        lines += [f"## {part.capitalize()}", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
        for name, row in rows.items():
            lines.append(f"| {name} | " + " | ".join(_show(row.get(column)) for column in columns) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder; default %(default)s")
    parser.add_argument("--seconds", type=int, default=480, help="default %(default)s")
    parser.add_argument("--lockstep", type=int, default=8, help="videos at a time; default %(default)s")
    parser.add_argument("--batches", type=int, default=20, help="of training; default %(default)s")
    parser.add_argument("--batch-size", type=int, default=64, help="pairs of each; default %(default)s")
    parser.add_argument("--side", type=int, default=255, help="of its search crops; default %(default)s")
    parser.add_argument("--torchvision", default=str(TORCHVISION), help="its folder; default %(default)s")
    options = parser.parse_args()
    parts = measure(options)
    result = {
        "device": device_name(options.device),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "command": " ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
        "setting": asdict(read_setting(options)),
        "parts": parts,
    }
    print(write_markdown(result))
    path = options.out / f"RESULTS-{result['device']}.json"
    atomic_write(path, json.dumps(result, indent=1).encode())
    atomic_write(path.with_suffix(".md"), write_markdown(result).encode())
    if options.json:
        print(json.dumps(result))


def _show(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
