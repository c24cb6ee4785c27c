"""Draw the README's picture: a person tracked in a packaged video, and the same frames with an adversarial patch.

python examples/picture.py docs/tracked_and_attacked.png [--video 0] [--steps 10]
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import PatchAttack


class Row(NamedTuple):
    """Some frames of a video, beside each other.

    Attributes:
        title: What stands before them.
        shown: Frames (H, W, 3) in [0, 1], by their numbers.
        truth_xyxy: True boxes (F, 4).
        boxes_xyxy: Tracked boxes (F, 4).
    """

    title: str
    shown: dict[int, Any]
    truth_xyxy: Any
    boxes_xyxy: Any


def draw(path: Path, rows: list[Row]) -> None:
    """Write a picture of some videos, one a row, with true boxes (white, dashed) and tracked ones (orange).

    Args:
        path: The picture.
        rows: All with as many frames.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    columns = len(rows[0].shown)
    figure = Figure(figsize=(4 * columns, 3.25 * len(rows)), layout="constrained")
    for row, axes in zip(rows, figure.subplots(len(rows), columns, squeeze=False), strict=True):
        axes[0].set_ylabel(row.title, fontsize=14)
        for axis, (frame, picture) in zip(axes, row.shown.items(), strict=True):
            axis.imshow(picture)
            axis.set_title(f"frame {frame}", fontsize=14)
            for (x1, y1, x2, y2), colour, style in (
                (row.truth_xyxy[frame], "white", "--"),
                (row.boxes_xyxy[frame], "#ff9d00", "-"),
            ):
                axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, ls=style, lw=2))
            axis.set(xticks=[], yticks=[])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main() -> None:
    """Track, attack, track again, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--video", type=int, default=0, help="number of the video in the split mini")
    parser.add_argument("--steps", type=int, default=10, help="steps of the attack")
    choice = parser.parse_args()

    tracker, video = load_tracker("siamrpn_mtl"), load_video(f"walkers/mini/{choice.video}")
    result = evaluate(tracker, video, attack=PatchAttack(tracker, max_iter=choice.steps))
    numbers = [0, len(video) // 2, len(video) - 1]
    rows = [
        Row(title, {number: tracked.frames[number] for number in numbers}, video.boxes_xyxy, tracked.boxes_xyxy)
        for title, tracked in (("tracked", result.benign), ("attacked", result.adversarial))
        if tracked is not None
    ]
    draw(choice.path, rows)


if __name__ == "__main__":
    main()
