"""What a defense costs per frame, beside the tracker's own time."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from armory_skelevision.models import RegionDefense, SiameseEstimator
from armory_skelevision.models.preprocessing import preprocess
from armory_skelevision.tracking import VideoFrames
from armory_skelevision.tracking.windows import initial_state, search_window
from benchmarks.measuring import PeakMemory, clock
from benchmarks.scene import Scene

TIMES = 5


class Cost(NamedTuple):
    """What was measured of a defense."""

    overhead: float
    """Its time over the tracker's own."""
    defense_ms: float
    """Per frame; what it does once per video is shared among the frames."""
    tracker_ms: float
    """The bare tracker's, per frame."""
    peak_mb: float
    """Memory of the defense alone, above what tracker and video take."""


def measure_cost(estimator: SiameseEstimator, defense: Any, scene: Scene) -> Cost:
    """Measure a defense and the bare tracker in turns, after a warm-up; medians count.

    Args:
        estimator: The tracker, without defenses.
        defense: The defense, of crops or of whole frames.
        scene: A video.
    """
    device = estimator.device
    work = _defend_crops if isinstance(defense, RegionDefense) else _defend_frames
    defend = work(estimator, defense, scene)

    def track() -> Any:
        return estimator.predict(scene.x, y_init=scene.y[0]["boxes"][:1])

    track()
    memory = PeakMemory(device)
    with torch.no_grad():
        defend()
        peak_mb = memory.megabytes()
        # In turns, so that whatever else the machine does slows both.
        seconds = [(clock(defend, device), clock(track, device)) for _ in range(TIMES)]
    count = scene.x.shape[1]
    of_defense, of_tracker = (1000 * statistics.median(times) / count for times in zip(*seconds, strict=True))
    return Cost(of_defense / of_tracker, of_defense, of_tracker, peak_mb)


def _defend_crops(estimator: SiameseEstimator, defense: RegionDefense, scene: Scene) -> Callable[[], object]:
    """One template, and as many search crops as there are frames."""
    video = torch.from_numpy(scene.x[0]).to(estimator.device)
    box_xyxy = torch.from_numpy(scene.y[0]["boxes"][0])
    window = search_window(initial_state(box_xyxy, estimator.settings), estimator.settings)

    def defend() -> None:
        crops = estimator.crops(VideoFrames(video), box_xyxy)
        template, search = (crop.flip(1) / 255 for crop in (crops.template, crops.search(0, window)))
        defense.defend_template(template, crops)
        for _ in range(len(video)):
            defense.defend_search(search)

    return defend


def _defend_frames(estimator: SiameseEstimator, defense: Any, scene: Scene) -> Callable[[], object]:
    video = torch.from_numpy(scene.x[0]).to(estimator.device)
    return lambda: preprocess(video, [defense])
