"""Whether the loader keeps up: pairs per second that it makes, that the network could learn from, and that a run does.

    python -m benchmarks.loader SETTINGS.json [--batches 50] [--json]

- loader: reading, augmenting and labelling pairs of ``store`` in ``workers`` processes, nobody else working.
- step: forward, backward and optimiser on one batch over and over, on the GPU where there is one.
- training: both together, in a run as `skelevision train multitask` makes it, before its validation.

All are measured one after the other and take store, batch size, search side, head and precision from a training's
settings. ``ratio`` is the loader's rate over the step's: above 1 the network never waits, unless both use the
same cores; ``reached`` is the training's rate over the step's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice

import torch

from armory_skelevision.training.data.loading import Batch, training_pairs
from armory_skelevision.training.fitting import fit
from armory_skelevision.training.multitask import MultitaskTraining
from armory_skelevision.training.settings import MultitaskSettings, read_settings
from benchmarks.common import print_table

WARM_UP = 3  # batches


def measure_loader(settings: MultitaskSettings, batches: int) -> tuple[float, Batch]:
    """Pairs per second, and one of the batches."""
    pairs = iter(training_pairs(replace(settings, steps=WARM_UP + batches)))
    batch = list(islice(pairs, WARM_UP))[-1]
    start = time.perf_counter()
    for _ in pairs:
        pass
    return batches * settings.batch_size / (time.perf_counter() - start), batch


def measure_step(settings: MultitaskSettings, batches: int, batch: Batch, on: str = "cuda") -> float:
    """Pairs per second on a device, or on the CPU where there is no GPU; the median over batches."""
    gpu = on == "cuda" and torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    training = MultitaskTraining(settings).to(device)
    optimiser = torch.optim.AdamW(training.parameters(), lr=settings.learning_rate)
    batch = Batch(*(tensor.to(device) for tensor in batch))
    half = torch.autocast(device.type, torch.bfloat16) if settings.precision == "bf16" else nullcontext()
    seconds = []
    for _ in range(WARM_UP + batches):
        start = time.perf_counter()
        optimiser.zero_grad()
        with half:
            loss = training.training_step(batch, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if gpu:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return settings.batch_size / statistics.median(seconds[WARM_UP:])


class TimedTraining(MultitaskTraining):
    """Notes when each batch is done."""

    def __init__(self, settings: MultitaskSettings) -> None:
        super().__init__(settings)
        self.monitor = None
        self.moments: list[float] = []

    def on_train_batch_end(self, *_: object) -> None:
        """Note the time."""
        self.moments.append(time.perf_counter())


def measure_training(settings: MultitaskSettings, batches: int) -> float:
    """Pairs per second of a run, from its third batch on."""
    with tempfile.TemporaryDirectory() as folder:
        steps = WARM_UP + batches
        settings = replace(settings, folder=folder, steps=steps, tensorboard=False)
        settings = replace(
            settings, validation_steps=steps, validation_pairs=1, validation_videos={}
        )  # after the last moment
        training = TimedTraining(settings)
        fit(training)
    start, *_, end = training.moments[WARM_UP - 1 :]
    return batches * settings.batch_size / (end - start)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", help="of a training, JSON")
    parser.add_argument("--batches", type=int, default=50, help="default %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*self.log.*")  # there is no trainer to log to
    settings = read_settings(options.settings, MultitaskSettings)
    loader, batch = measure_loader(settings, options.batches)
    step = measure_step(settings, options.batches, batch)
    processor = "GPU" if torch.cuda.is_available() else "CPU"
    training = measure_training(settings, options.batches)
    workers = f"{settings.workers} workers"
    rows = [("loader", loader, workers), ("step", step, processor), ("training", training, f"{processor}, {workers}")]
    print_table(("", "pairs/s", "on"), rows)
    ratios = {"ratio": loader / step, "reached": training / step}
    print(", ".join(f"{name}: {value:.2f}" for name, value in ratios.items()))
    if options.json:
        print(json.dumps({"loader": loader, "step": step, "training": training, **ratios}))


if __name__ == "__main__":
    main()
