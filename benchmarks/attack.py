"""The patch attack side by side with ARMORY's, and with the least that the network alone can cost.

    python -m benchmarks.attack [--json] [--frames 20] [--scaling] …

The columns drive the same tracker on the same video, with the same steps from the same grey patch:

- graph, recompute: `PatchAttack` in its two memory modes; bf16: that of ``--mode``, with ``precision="bf16"``.
- armory: ARMORY's ``AdversarialPhysicalTexture``, which composes whole frames with torchvision. Nothing else here
  needs torchvision, so it is installed into a separate folder, without its dependencies; 0.(x + 15) fits torch 2.x:

      pip install --no-deps --target .venv-torchvision torchvision==0.28.0

- floor: the bare network forward and backward to the crops that the tracker shows it, weights frozen; frame by frame
  or in one batch, whichever is faster.

Seconds are those of one iteration, the median after a warm-up; `outside` is the rest of an attack. Memory is the peak
above what model and video take: the process's, or the GPU's where one is used. The losses are sums of absolute box
errors on the clean video and after all steps, the warm-up being one.

The JSON's ``speedup`` and ``memory_ratio`` are ARMORY's seconds and memory over ours, ``over_floor`` our seconds over
the floor's, all in the mode of ``--mode``; ``speedup_bf16`` are ARMORY's seconds over ours with bf16. ``--scaling``
also measures our modes on longer videos and on larger frames.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.attack_columns import Column, measure_armory, measure_floor, measure_ours
from benchmarks.common import Setting, make_parser, measure_columns, print_table, ratio, read_setting

TORCHVISION = Path(__file__).parent.parent / ".venv-torchvision"
MODES = ("graph", "recompute")
SCALES = (
    (20, 960, 1280),
    (40, 960, 1280),
    (80, 960, 1280),
    (20, 480, 640),
    (20, 1920, 2560),
)  # frames, height, width


def measure_attacks(setting: Setting, mode: str, torchvision: str) -> dict[str, Column]:
    """Measure all columns."""
    work: dict[str, Callable[[Setting], Column]] = {
        "graph": partial(measure_ours, memory="graph", precision="float32"),
        "recompute": partial(measure_ours, memory="recompute", precision="float32"),
        "bf16": partial(measure_ours, memory=mode, precision="bf16"),
        "armory": partial(measure_armory, torchvision=torchvision),
        "floor": measure_floor,
    }
    return measure_columns(work, setting, _absent)


def measure_scales(setting: Setting) -> list[dict[str, Any]]:
    """Seconds per frame and memory of our modes on videos of several lengths and frame sizes."""
    work = {mode: partial(measure_ours, memory=mode, precision="float32") for mode in MODES}
    rows = []
    for frames, height, width in SCALES:
        columns = measure_columns(work, replace(setting, frames=frames, height=height, width=width), _absent)
        for mode, column in columns.items():
            size = {"frames": frames, "height": height, "width": width}
            figures = {"seconds_per_frame": ratio(column.seconds, frames), "peak_mb": column.peak_mb}
            rows.append({"mode": mode, **size, **figures, "note": column.note})
    return rows


def compare(columns: Mapping[str, Column], mode: str) -> dict[str, Any]:
    """The figures at the top of the JSON."""
    ours, bf16, armory = columns[mode], columns["bf16"], columns["armory"]
    return {
        "speedup": ratio(armory.seconds, ours.seconds),
        "memory_ratio": ratio(armory.peak_mb, ours.peak_mb),
        "over_floor": ratio(ours.seconds, columns["floor"].seconds),
        "speedup_bf16": ratio(armory.seconds, bf16.seconds),
        "loss_before": ours.loss_before,
        "loss_ours": ours.loss_after,
        "loss_bf16": bf16.loss_after,
        "loss_armory": armory.loss_after,
    }


def print_columns(columns: Mapping[str, Column]) -> None:
    """Print all columns, one a line, with their ratios."""
    header = ["", "s/iteration", "outside", "peak MB", "loss", "attacked", "speedup", "memory", "over floor", ""]
    armory, floor = columns["armory"], columns["floor"]
    rows = []
    for name, column in columns.items():
        *measured, note = asdict(column).values()
        ratios = [
            ratio(armory.seconds, column.seconds),
            ratio(armory.peak_mb, column.peak_mb),
            ratio(column.seconds, floor.seconds),
        ]
        rows.append([name, *measured, *ratios, note])
    print_table(header, rows)


def main() -> None:
    """Measure, print, and sum up."""
    parser = make_parser(__doc__)
    parser.add_argument("--mode", choices=MODES, default="graph", help="ours in the ratios; default %(default)s")
    parser.add_argument("--torchvision", default=str(TORCHVISION), help="its folder; default %(default)s")
    parser.add_argument("--scaling", action="store_true", help="also longer videos and larger frames")
    options: argparse.Namespace = parser.parse_args()
    setting = read_setting(options)

    columns = measure_attacks(setting, options.mode, options.torchvision)
    print_columns(columns)
    scaling = measure_scales(setting) if options.scaling else None
    if scaling:
        print()
        print_table(list(scaling[0]), [list(row.values()) for row in scaling])
    if options.json:
        measured = {name: asdict(column) for name, column in columns.items()}
        result = {**asdict(setting), "mode": options.mode, **compare(columns, options.mode)}
        print(json.dumps({**result, "columns": measured, "scaling": scaling}))


def _absent(note: str) -> Column:
    return Column(note=note)


if __name__ == "__main__":
    main()
