"""What an evaluation's result file says, in a few numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

METRIC = "video_tracking_mean_iou"


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
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a result file of ARMORY: not JSON ({error})") from error
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise ValueError(f'{path} is not a result file of ARMORY: it has no "results"')
    summary = Summary(
        benign=_read_mean(results, f"benign_mean_{METRIC}"),
        adversarial=_read_mean(results, f"adversarial_mean_{METRIC}"),
    )
    if summary == Summary(None, None):
        raise ValueError(f'{path} holds no {METRIC}: the config\'s metric "task" must name it; found {sorted(results)}')
    return summary


def _read_mean(results: dict[str, Any], key: str) -> float | None:
    value = results.get(key)
    while isinstance(value, list):  # ARMORY records every result as a list of records
        value = value[-1] if value else None
    return None if value is None else float(value)
