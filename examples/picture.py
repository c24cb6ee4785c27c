"""Draw the README's picture: a person tracked in an embedded video, and the same frames with an adversarial patch.

python examples/picture.py docs/tracked_and_attacked.png [--video 0] [--steps 10]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import armory_skelevision.walkers
from armory_skelevision.attacks import PatchAttack
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.models import siamrpn_mtl

SPLIT = Path(armory_skelevision.walkers.__file__).parent / "splits" / "mini"


def draw(path: Path, rows: list[tuple[str, Any, Any]], truth_xyxy: Any, frames: list[int]) -> None:
    """Write the frames of some videos, one video a row, with true and tracked boxes.

    Args:
        path: The picture.
        rows: Of each video its title, its frames (F, H, W, 3) in [0, 1], and its tracked boxes (F, 4).
        truth_xyxy: True boxes (F, 4).
        frames: Which to show.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(4 * len(frames), 3.25 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(frames), squeeze=False)
    for row, (title, video, boxes_xyxy) in zip(axes, rows, strict=True):
        row[0].set_ylabel(title, fontsize=14)
        for axis, frame in zip(row, frames, strict=True):
            axis.imshow(video[frame])
            for (x1, y1, x2, y2), colour, style in (
                (truth_xyxy[frame], "white", "--"),
                (boxes_xyxy[frame], "#ff9d00", "-"),
            ):
                axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, ls=style, lw=2))
            axis.set(xticks=[], yticks=[])
    for axis, frame in zip(axes[0], frames, strict=True):
        axis.set_title(f"frame {frame}", fontsize=14)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main() -> None:
    """Track, attack, track again, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--video", type=int, default=0, help="number of the video in the split mini")
    parser.add_argument("--steps", type=int, default=10, help="steps of the attack")
    choice = parser.parse_args()

    video = read_split(SPLIT)[choice.video]
    x = video.read_frames()[None].astype(np.float32) / 255
    y = [{"boxes": video.boxes_xyxy}]
    metadata = [{"gs_coords": video.gs_coords, "masks": video.decode_masks()}]
    estimator = siamrpn_mtl({}, {})
    x_adv = PatchAttack(estimator, max_iter=choice.steps).generate(x=x, y=y, y_patch_metadata=metadata)
    rows = [
        (title, frames[0], estimator.predict(frames, y_init=y[0]["boxes"][:1])[0]["boxes"])
        for title, frames in (("tracked", x), ("attacked", x_adv))
    ]
    draw(choice.path, rows, video.boxes_xyxy, [0, len(x[0]) // 2, len(x[0]) - 1])


if __name__ == "__main__":
    main()
