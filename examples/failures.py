"""Draw the videos on which a packaged tracker fails worst, without an attack: of the split dev, and of your sequences.

python -m examples.failures docs/failures.jpg [--model mtl] [--videos 3] [--sequences otb/Crossing otb/Human7]
"""

import argparse
from pathlib import Path

import numpy as np

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.models import SiameseEstimator
from examples.picture import Row, draw

VIDEOS = 20  # of the split dev
LOST = 0.2  # overlap below which a person counts as lost


def fail(tracker: SiameseEstimator, name: str) -> tuple[float, Row]:
    """Mean IoU of a video, and its frames before, when and after the person was lost, or where the box is worst."""
    video = load_video(name)
    tracked = evaluate(tracker, video).benign
    overlaps = np.array(tracked.frame_ious)
    lost = np.flatnonzero(overlaps < LOST)
    last = len(overlaps) - 1
    moment = min(max(2, int(lost[0] if len(lost) else overlaps.argmin())), last - 1)
    shown = {frame: video.frames[frame] for frame in (0, max(1, moment - 3), moment, min(last, moment + 5))}
    title = f"{'video ' * name.startswith('walkers/')}{Path(name).name}: {tracked.mean_iou:.2f}"
    return tracked.mean_iou, Row(title, shown, video.boxes_xyxy, tracked.boxes_xyxy)


def main() -> None:
    """Track all videos and draw the worst."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--model", default="stl", choices=["stl", "mtl"])
    parser.add_argument("--videos", type=int, default=3, help="how many")
    parser.add_argument("--sequences", nargs="*", default=[], help="folders of sequences with true boxes")
    choice = parser.parse_args()

    tracker = load_tracker(f"siamrpn_{choice.model}")
    found = [
        fail(tracker, name) for name in [*(f"walkers/dev/{number}" for number in range(VIDEOS)), *choice.sequences]
    ]
    worst = sorted(found, key=lambda entry: entry[0])[: choice.videos]
    draw(choice.path, [row for _, row in worst])


if __name__ == "__main__":
    main()
