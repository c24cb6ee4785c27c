"""What an evaluation's result file says, in a few numbers."""

from __future__ import annotations

import os
from typing import NamedTuple

from armory_skelevision.results.records import read_run


class Summary(NamedTuple):
    """Mean IoU over the videos of a run, in [0, 1]; None where that part of the run was skipped."""

    benign: float | None
    adversarial: float | None

    def __str__(self) -> str:
        """One line, as `make demo` ends with."""
        parts = [("benign", self.benign), ("adversarial", self.adversarial)]
        return "  ".join(f"{name} mIoU " + ("skipped" if value is None else f"{value:.2f}") for name, value in parts)


def read_summary(path: str | os.PathLike[str]) -> Summary:
    """Read the mean IoU from a result file of ARMORY.

    Args:
        path: A JSON file as ARMORY writes it, of a run whose metrics include `video_tracking_mean_iou`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON, or holds no mean IoU.
    """
    run = read_run(path)
    return Summary(run.benign.mean_iou, run.adversarial.mean_iou)
