"""What the benchmarks share: their settings, a process for each column, ratios and the table.

Ratios are taken within one run. Columns are measured one after the other, never at once, each in a process of its
own, so that none finds memory that another has left behind.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from benchmarks.measuring import read_kilobytes
from benchmarks.scene import Scene, draw_scene

if TYPE_CHECKING:
    from armory_skelevision.models import SiamRPNEstimator

T = TypeVar("T")


class NotAvailableError(RuntimeError):
    """A column cannot be had on this machine; the message says why."""


@dataclass(frozen=True)
class Setting:
    """What is measured on, the same for all columns.

    Attributes:
        frames: Number of frames.
        height: Frame height in pixels.
        width: Frame width in pixels.
        iterations: How often the work is timed, after one warm-up; the median counts.
        device: "gpu" (used where there is one) or "cpu".
        seed: Seed of the scene.
    """

    frames: int = 20
    height: int = 960
    width: int = 1280
    iterations: int = 3
    device: Literal["gpu", "cpu"] = "gpu"
    seed: int = 0

    def load(self) -> tuple[SiamRPNEstimator, Scene]:
        """The packaged multi-task tracker and the video."""
        from armory_skelevision.models import siamrpn_mtl

        scene = draw_scene(self.frames, self.height, self.width, self.seed)
        return siamrpn_mtl({}, {"device_type": self.device}), scene


def make_parser(guide: str | None) -> argparse.ArgumentParser:
    """A parser with a `Setting`'s options and ``--json``; ``guide`` is the script's docstring."""
    parser = argparse.ArgumentParser(description=guide, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Setting):
        kind: dict[str, Any] = {"choices": ["gpu", "cpu"]} if field.name == "device" else {"type": int}
        parser.add_argument(f"--{field.name}", default=field.default, help="default %(default)s", **kind)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    return parser


def read_setting(options: argparse.Namespace) -> Setting:
    """The `Setting` among parsed options."""
    return Setting(**{field.name: getattr(options, field.name) for field in fields(Setting)})


def measure_columns(
    work: Mapping[str, Callable[[Setting], T]], setting: Setting, absent: Callable[[str], T]
) -> dict[str, T]:
    """Measure columns one after the other, each in a process of its own.

    Args:
        work: How to measure each column, by name.
        setting: What to measure on.
        absent: Makes the column that stands for one which cannot be had, from a note that says why.
    """
    columns = {}
    for name, measure in work.items():
        if sys.stderr.isatty():
            print(f"measuring {name} …", file=sys.stderr)
        try:
            columns[name] = in_own_process(measure, setting)
        except NotAvailableError as error:
            columns[name] = absent(f"not available: {error}")
    return columns


def in_own_process(work: Callable[[Setting], T], setting: Setting) -> T:
    """Do some work in a new process and return what it returns.

    Raises:
        NotAvailableError: If the work says so, or needs more memory than there is.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start_process) as pool:
        try:
            return pool.submit(work, setting).result()
        except BrokenProcessPool:
            raise NotAvailableError("its process was ended from outside, maybe for want of memory") from None
        except (RuntimeError, MemoryError) as error:
            if "allocate" not in str(error):
                raise
            raise NotAvailableError(f"more memory is needed than there is: {str(error).splitlines()[0]}") from None


def ratio(above: float | None, below: float | None) -> float | None:
    """One measured value over another, None where one is missing."""
    return above / below if above is not None and below else None


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns, numbers with three digits."""
    cells = [list(header), *([_show(value) for value in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(header))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _start_process() -> None:
    """Keep greetings of libraries off the output, and let allocations fail before the machine is out of memory."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # TensorFlow writes past Python's own; errors come back as exceptions.
        os.dup2(nowhere, stream)
    if not torch.cuda.is_available():
        free = 1024 * read_kilobytes("/proc/meminfo", "MemAvailable")
        resource.setrlimit(resource.RLIMIT_DATA, (free, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _show(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
