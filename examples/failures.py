"""Draw the videos on which a packaged tracker fails worst, without an attack.

python -m examples.failures docs/failures.jpg [--model mtl] [--videos 3]
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from armory_skelevision.boxes import iou
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.models import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl
from examples.picture import Row, draw

SPLIT = SPLITS / "dev"
LOST = 0.2  # overlap below which a person counts as lost


def fail(estimator: SiamRPNEstimator, number: int, video: WalkerVideo) -> tuple[float, Row]:
    """Mean IoU of a video, and its frames before, when and after the person was lost, or where the box is worst."""
    x = video.read_frames()[None].astype(np.float32) / 255
    boxes_xyxy = estimator.predict(x, y_init=video.boxes_xyxy[:1])[0]["boxes"]
    overlaps = iou(torch.from_numpy(boxes_xyxy), torch.from_numpy(video.boxes_xyxy)).numpy()
    lost = np.flatnonzero(overlaps < LOST)
    last = len(overlaps) - 1
    moment = min(max(2, int(lost[0] if len(lost) else overlaps.argmin())), last - 1)
    shown = {frame: x[0, frame] for frame in (0, max(1, moment - 3), moment, min(last, moment + 5))}
    mean = float(overlaps[1:].mean())
    return mean, Row(f"video {number}: {mean:.2f}", shown, video.boxes_xyxy, boxes_xyxy)


def main() -> None:
    """Track all videos and draw the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--model", default="stl", choices=["stl", "mtl"])
    parser.add_argument("--videos", type=int, default=3, help="how many")
    choice = parser.parse_args()

    estimator = {"stl": siamrpn_stl, "mtl": siamrpn_mtl}[choice.model]({}, {})
    found = [fail(estimator, number, video) for number, video in enumerate(read_split(SPLIT))]
    worst = sorted(found, key=lambda entry: entry[0])[: choice.videos]
    draw(choice.path, [row for _, row in worst])


if __name__ == "__main__":
    main()
