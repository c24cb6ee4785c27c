"""Tracking side by side with a loop in its authors' manner, with an OpenCV tracker, and with the bare network.

    python -m benchmarks.tracker [--json] [--tracker "SiamRPN (MTL)"] [--frames 20] …

The columns follow the same person through the same video:

- ours: the estimator's ``predict``, keypoints included.
- authors: a frame-by-frame loop, which takes crops with NumPy and OpenCV, around our network; in PySOT's manner
  (tests/pysot_loop.py), or for SiamFC++ in video_analyst's (tests/video_analyst_loop.py). NanoTrack has none.
- mil: OpenCV's ``TrackerMIL``, on the CPU, for scale.
- floor: the bare network on the crops that our tracker shows it; frame by frame or in one batch, whichever is faster.
- frames: the bare network frame by frame, as a tracker must use it.

Seconds are the median over whole videos, after a warm-up. Memory is the peak above what model and video take: the
process's, or the GPU's where one is used. In the JSON ``speedup`` is the authors' time over ours, ``over_floor`` and
``over_frames`` our time over that of these two. Weights are random, except those of SiamRPN, so other trackers lose the
person at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.common import NotAvailableError, Setting, make_parser, measure_columns, print_table, ratio, read_setting
from benchmarks.measuring import Crops, fastest, network_crops
from benchmarks.scene import Scene, draw_scene
from benchmarks.trackers import make_trackers

TESTS = Path(__file__).parent.parent / "tests"
DEFAULT = "SiamRPN (MTL)"


@dataclass(frozen=True)
class Column:
    """What was measured of one tracker; None where it was not.

    Attributes:
        frames_per_second: Over the whole video, the first frame included.
        peak_mb: Memory above the start.
        mean_iou: Overlap with the true boxes, without frame 0.
        note: What else there is to say.
    """

    frames_per_second: float | None = None
    peak_mb: float | None = None
    mean_iou: float | None = None
    note: str = ""


def load(setting: Setting, name: str) -> tuple[Any, Scene]:
    """A tracker and the video."""
    return make_trackers(setting.device)[name](), draw_scene(
        setting.frames, setting.height, setting.width, setting.seed
    )


def measure_ours(setting: Setting, name: str) -> Column:
    """The estimator."""
    estimator, scene = load(setting, name)

    def track() -> Any:
        return estimator.predict(scene.x, y_init=scene.y[0]["boxes"][:1])[0]["boxes"]

    return _measure({"": track}, scene, setting, estimator.device)


def measure_authors(setting: Setting, name: str) -> Column:
    """The loop of the tracker's authors, fed with BGR bytes as it is there."""
    estimator, scene = load(setting, name)
    follow = _authors_loop(estimator.settings)
    network, frames_bgr, box_xywh = _OnDevice(estimator.model), _as_bgr(scene), _first_xywh(scene)

    def track() -> Any:
        return _as_xyxy(follow(network, frames_bgr, box_xywh))

    return _measure({"": track}, scene, setting, estimator.device)


def measure_mil(setting: Setting) -> Column:
    """OpenCV's tracker by multiple instance learning."""
    if not hasattr(cv2, "TrackerMIL"):
        raise NotAvailableError(f"OpenCV {cv2.__version__} comes without TrackerMIL")
    scene = draw_scene(setting.frames, setting.height, setting.width, setting.seed)
    frames_bgr, box_xywh = _as_bgr(scene), [int(value) for value in _first_xywh(scene)]

    def track() -> Any:
        cv2.setRNGSeed(setting.seed)
        tracker = cv2.TrackerMIL.create()
        tracker.init(frames_bgr[0], box_xywh)
        return _as_xyxy(np.array([box_xywh, *(tracker.update(frame)[1] for frame in frames_bgr[1:])]))

    return _measure({"": track}, scene, setting, torch.device("cpu"))


def measure_floor(setting: Setting, name: str, in_batch: bool = True) -> Column:
    """The network alone, frame by frame, or as fast as it goes."""
    estimator, scene = load(setting, name)
    crops = network_crops(estimator, scene)
    ways = {"frame by frame": partial(_respond, estimator.model, crops, 1)}
    if in_batch:
        ways["in one batch"] = partial(_respond, estimator.model, crops, len(crops.search))
    return _measure(ways, scene, setting, estimator.device)


def compare(columns: Mapping[str, Column]) -> dict[str, Any]:
    """The figures at the top of the JSON."""
    speed = {name: column.frames_per_second for name, column in columns.items()}
    return {
        "frames_per_second": speed,
        "speedup": ratio(speed["ours"], speed["authors"]),
        "over_floor": ratio(speed["floor"], speed["ours"]),
        "over_frames": ratio(speed["frames"], speed["ours"]),
    }


def main() -> None:
    """Measure, print, and sum up."""
    parser = make_parser(__doc__)
    parser.add_argument("--tracker", default=DEFAULT, choices=list(make_trackers()), help="default %(default)s")
    options = parser.parse_args()
    setting, name = read_setting(options), options.tracker
    work: dict[str, Callable[[Setting], Column]] = {
        "ours": partial(measure_ours, name=name),
        "authors": partial(measure_authors, name=name),
        "mil": measure_mil,
        "floor": partial(measure_floor, name=name),
        "frames": partial(measure_floor, name=name, in_batch=False),
    }
    columns = measure_columns(work, setting, absent=lambda note: Column(note=note))
    result = compare(columns)
    print_table(
        ["", "frames/s", "peak MB", "mean IoU", ""],
        [[name, *asdict(column).values()] for name, column in columns.items()],
    )
    print_table(
        ["speedup", "over floor", "over frames"], [[result[key] for key in ("speedup", "over_floor", "over_frames")]]
    )
    if options.json:
        measured = {name: asdict(column) for name, column in columns.items()}
        print(json.dumps({"tracker": name, **asdict(setting), **result, "columns": measured}))


class _OnDevice:
    """A network for a loop that lives on the CPU: crops go to the network's device, outputs come back."""

    def __init__(self, network: Any) -> None:
        self.parameters = network.parameters
        self.network = network
        self.device = next(network.parameters()).device

    def embed(self, crops: Tensor) -> Any:
        return self.network.embed(crops.to(self.device))

    def predict_head(self, z_features: Tensor, x_features: Tensor) -> list[Tensor]:
        return [part.cpu() for part in self.network.predict_head(z_features, x_features)]


def _authors_loop(settings: Any) -> Callable[..., Any]:
    """What follows a box (x, y, w, h) through frames, given the network, with the constants of our tracker."""
    from armory_skelevision.tracking import MultiLevelSettings, PointSettings, QualitySettings

    constants = {name: getattr(settings, name) for name in ("penalty_k", "window_influence", "learning_rate")}
    match settings:
        case PointSettings():
            raise NotAvailableError("there is no loop in the manner of NanoTrack's author")
        case QualitySettings():
            loop = run_path(str(TESTS / "video_analyst_loop.py"))["track_like_video_analyst"]
            return partial(loop, **constants, search_size=settings.instance_size)
        case _:
            loop = run_path(str(TESTS / "pysot_loop.py"))["track_like_pysot"]
            base_size = 8 if isinstance(settings, MultiLevelSettings) else 0
            return partial(loop, **constants, instance=settings.instance_size, base_size=base_size)


def _measure(ways: Mapping[str, Callable[[], Any]], scene: Scene, setting: Setting, device: torch.device) -> Column:
    from armory_skelevision.boxes import iou

    way = fastest(ways, setting.iterations, device)
    mean_iou = None
    if way.result is not None:
        boxes_xyxy, true_xyxy = (torch.as_tensor(boxes).double() for boxes in (way.result, scene.y[0]["boxes"]))
        mean_iou = float(iou(boxes_xyxy, true_xyxy)[1:].mean())
    return Column(setting.frames / way.seconds, way.peak_mb, mean_iou, way.name)


def _respond(network: Any, crops: Crops, batch_size: int) -> None:
    with torch.no_grad():
        z_features = network.embed(crops.template)
        for search in torch.split(crops.search, batch_size):
            network.predict_head(z_features, network.embed(search))


def _as_bgr(scene: Scene) -> list[NDArray[np.uint8]]:
    return [np.ascontiguousarray(np.round(frame[..., ::-1] * 255).astype(np.uint8)) for frame in scene.x[0]]


def _first_xywh(scene: Scene) -> NDArray[np.float64]:
    x1, y1, x2, y2 = scene.y[0]["boxes"][0].astype(np.float64)
    return np.array([x1, y1, x2 - x1, y2 - y1])


def _as_xyxy(boxes_xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


if __name__ == "__main__":
    main()
