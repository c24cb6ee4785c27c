"""Memory and time of some work in this process, and the crops that the tracker's network works on."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.scene import Scene

if TYPE_CHECKING:
    from armory_skelevision.models import SiamRPNEstimator


class PeakMemory:
    """How far memory rises above what is in use now: the GPU's where the work is done there, else the process's."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        gc.collect()
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self.start = torch.cuda.memory_allocated() / 1e6
            return
        with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # From here the peak that Linux remembers starts anew.
        self.start = self._of_process("VmRSS")

    def megabytes(self) -> float:
        """The rise up to now, in MB."""
        peak = torch.cuda.max_memory_allocated() / 1e6 if self.on_gpu else self._of_process("VmHWM")
        return peak - self.start

    def _of_process(self, key: str) -> float:
        return read_kilobytes("/proc/self/status", key) * 1024 / 1e6


class Way(NamedTuple):
    """One way to do a piece of work, measured."""

    name: str
    seconds: float
    peak_mb: float
    result: Any
    """What the work returned."""


def fastest(ways: Mapping[str, Callable[[], object]], times: int, device: torch.device) -> Way:
    """Measure each way some times after a warm-up, and return the one with the lowest median."""
    measured = []
    for name, work in ways.items():
        memory = PeakMemory(device)
        result = work()
        seconds = statistics.median(clock(work, device) for _ in range(times))
        measured.append(Way(name, seconds, memory.megabytes(), result))
    return min(measured, key=lambda way: way.seconds)


class Crops(NamedTuple):
    """What the network is shown when it tracks a video."""

    template: Tensor
    """(1, 3, 127, 127)."""
    search: Tensor
    """(F, 3, side, side), 287 a side with SiamRPN."""


def network_crops(estimator: SiamRPNEstimator, scene: Scene) -> Crops:
    """The very crops that our tracker shows its network in a video."""
    seen: list[Tensor] = []
    network = estimator.model
    embed = network.embed

    def watch(crops: Tensor) -> Tensor:
        seen.append(crops.detach())
        features: Tensor = embed(crops)
        return features

    with patch.object(network, "embed", watch):
        estimator.predict(scene.x, y_init=scene.y[0]["boxes"][:1])
    sizes = (estimator.settings.exemplar_size, estimator.settings.instance_size)
    template, search = (torch.cat([crops for crops in seen if crops.shape[-1] == size]) for size in sizes)
    return Crops(template[:1], search)


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def read_kilobytes(path: str, key: str) -> int:
    """A value in kB from one of Linux's status files."""
    for line in Path(path).read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.removesuffix("kB"))
    raise OSError(f"{path} has no line {key}")


def clock(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that some work takes."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start
