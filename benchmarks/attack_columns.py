"""The columns of `attack.py`: how each drives the tracker, measured in the process that calls it."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.common import NotAvailableError, Setting
from benchmarks.measuring import Crops, PeakMemory, fastest, network_crops, wait_for
from benchmarks.scene import Scene

STEP_SIZE = 0.1


@dataclass(frozen=True)
class Column:
    """What was measured of one way to attack; None where it was not.

    Attributes:
        seconds: Of one iteration.
        outside: Seconds of a whole attack that are not spent in iterations: what comes before the first and after the
            last.
        peak_mb: Memory above the start.
        loss_before: Sum of absolute box errors on the clean video.
        loss_after: The same on the attacked video.
        note: What else there is to say.
    """

    seconds: float | None = None
    outside: float | None = None
    peak_mb: float | None = None
    loss_before: float | None = None
    loss_after: float | None = None
    note: str = ""


def measure_ours(setting: Setting, memory: str, precision: str) -> Column:
    """`PatchAttack` in one of its memory modes and precisions."""
    from armory_skelevision.attacks import PatchAttack

    estimator, scene = setting.load()
    how: dict[str, Any] = {"memory": memory, "precision": precision, "keep": "last"}
    steps = setting.iterations + 1
    attack = PatchAttack(estimator, step_size=STEP_SIZE, max_iter=steps, verbose=False, **how)
    return _drive(attack, estimator, scene)


def measure_armory(setting: Setting, torchvision: str) -> Column:
    """ARMORY's attack on green screens, with torchvision from a folder of its own."""
    import_torchvision(torchvision)
    from armory.art_experimental.attacks.carla_adversarial_texture import AdversarialPhysicalTexture

    estimator, scene = setting.load()
    steps = setting.iterations + 1
    attack = AdversarialPhysicalTexture(estimator, step_size=STEP_SIZE, max_iter=steps, batch_size=1, verbose=False)
    return _drive(attack, estimator, scene)


def measure_floor(setting: Setting) -> Column:
    """The bare network, forward and backward to its crops."""
    estimator, scene = setting.load()
    crops = network_crops(estimator, scene)
    ways = {
        "frame by frame": partial(_differentiate_frames, estimator.model, crops),
        "in one batch": partial(_differentiate_batch, estimator.model, crops),
    }
    way = fastest(ways, setting.iterations, estimator.device)
    return Column(seconds=way.seconds, peak_mb=way.peak_mb, note=way.name)


@contextlib.contextmanager
def watch_laps() -> Iterator[list[float]]:
    """Have loops that count with tqdm note the seconds of each round in the list.

    Neither attack tells when an iteration ends, but both count so.
    """
    laps: list[float] = []

    def iterate(bar: Any) -> Iterator[Any]:
        start = time.perf_counter()
        for item in bar.iterable:
            yield item
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.synchronize()
            now = time.perf_counter()
            laps.append(now - start)
            start = now

    before, tqdm.__iter__ = tqdm.__iter__, iterate
    try:
        yield laps
    finally:
        tqdm.__iter__ = before


def _drive(attack: Any, estimator: Any, scene: Scene) -> Column:
    memory = PeakMemory(estimator.device)
    start = time.perf_counter()
    with watch_laps() as laps:
        x_adv = attack.generate(x=scene.x, y=scene.y, y_patch_metadata=scene.metadata)
    wait_for(estimator.device)
    total = time.perf_counter() - start
    peak_mb = memory.megabytes()
    if len(laps) != attack.max_iter:
        raise RuntimeError(f"expected {attack.max_iter} iterations counted with tqdm, saw {len(laps)}")
    before, after = (float(estimator.compute_loss(video, scene.y)[0]) for video in (scene.x, x_adv))
    return Column(statistics.median(laps[1:]), total - sum(laps), peak_mb, before, after)


def _differentiate_batch(network: Any, crops: Crops) -> None:
    template, search = (part.clone().requires_grad_() for part in crops)
    output = network(template, search)
    torch.autograd.grad(output.cls.sum() + output.loc.sum(), [template, search])


def _differentiate_frames(network: Any, crops: Crops) -> None:
    """Frame by frame, as far as the template's features, whose gradients meet there."""
    template = crops.template.clone().requires_grad_()
    z_features = network.embed(template)
    leaf = z_features.detach().requires_grad_()
    total = torch.zeros_like(leaf)
    for crop in torch.split(crops.search, 1):
        search = crop.clone().requires_grad_()
        output = network.predict_head(leaf, network.embed(search))
        total += torch.autograd.grad(output.cls.sum() + output.loc.sum(), [leaf, search])[0]
    torch.autograd.grad(z_features, template, total)


def import_torchvision(folder: str) -> None:
    """Import torchvision from a folder, even beside a CPU torch, where its compiled operators cannot be loaded."""
    sys.path.append(folder)
    if find_spec("torchvision") is None:
        raise NotAvailableError(f"there is no torchvision in {folder}; see the top of benchmarks/attack.py")
    try:
        import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise NotAvailableError(f"torchvision does not fit torch {torch.__version__}: {error}") from None
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        # The import asks whether these are known; the attack never calls them.
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import_module("torchvision")
