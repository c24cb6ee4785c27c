"""Cut-outs of real people for composed pairs, from videos with masks such as DAVIS.

    python -m scripts.cut_out_people ROOT --store store/train --source NAME [--only SEQUENCE …] [--every 5]
                                     [--min-height 80]

``ROOT/SEQUENCE`` holds ``img/*.jpg`` and ``mask/*.png``, one mask for each image; the person's value in it is K if
there is a file ``objectK_rect.txt``, else any but 0. A frame becomes a cut-out if the whole person is in it, away from
the picture's border, and of at least ``--min-height`` pixels. They are added to the rendered people of a store, as
further people without keypoints; running it again changes nothing. Weights that are trained on the store name the
source.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.image_folders import numbered_images
from armory_skelevision.io import atomic_write, list_folder, parse_json, printable, progress, read_text
from armory_skelevision.io.images import read_image, read_label_image
from armory_skelevision.validation import InvalidValueError

MARGIN = 4
"""Transparent pixels around a person."""
SOFT = 0.7
"""Standard deviation, in pixels, of the blur of the outline: masks have stairs."""


def cut_out(picture: NDArray[np.uint8], mask: NDArray[np.bool_], min_height: int) -> NDArray[np.uint8] | None:
    """The person of a mask (H, W) as RGBA, with straight alpha; None if it is small, or cut off by the border."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(rows) or rows[-1] - rows[0] + 1 < min_height:
        return None
    left, top, right, bottom = columns[0] - MARGIN, rows[0] - MARGIN, columns[-1] + 1 + MARGIN, rows[-1] + 1 + MARGIN
    if left < 0 or top < 0 or right > mask.shape[1] or bottom > mask.shape[0]:
        return None
    inside = mask[top:bottom, left:right].astype(np.uint8) * 255
    alpha = np.asarray(cv2.GaussianBlur(inside, (0, 0), SOFT), np.uint8)
    return np.dstack([picture[top:bottom, left:right], alpha])


def read_cutouts(folder: Path, every: int, min_height: int) -> Iterator[NDArray[np.uint8]]:
    """The cut-outs of a sequence."""
    images, masks = numbered_images(folder / "img"), numbered_images(folder / "mask")
    if images.keys() != masks.keys():
        got = f"{len(masks)} masks for {len(images)} images, or other numbers"
        raise InvalidValueError(printable(folder), "a mask for each image", got)
    named = [re.fullmatch(r"object([0-9]+)_rect\.txt", path.name) for path in list_folder(folder)]
    values = [int(match[1]) for match in named if match]
    for number in list(images)[::every]:
        labels = read_label_image(masks[number], folder)
        picture = read_image(images[number])
        if labels.shape != picture.shape[:2]:
            raise InvalidValueError(printable(masks[number]), f"a mask {picture.shape[:2]}", str(labels.shape))
        found = cut_out(picture, np.isin(labels, values) if values else labels > 0, min_height)
        if found is not None:
            yield found


def add_people(options: argparse.Namespace) -> int:
    """Add the cut-outs to the store; returns how many were new."""
    path = options.store / "people.jsonl"
    lines = read_text(path).splitlines() if path.is_file() else []
    known = [parse_json(line) for line in lines]
    persons = {line.get("sequence"): line["person"] for line in known if line.get("source") == options.source}
    (options.store / "people").mkdir(parents=True, exist_ok=True)
    following, added = max([line["person"] for line in known], default=-1) + 1, 0
    folders = [folder for folder in list_folder(options.root) if (folder / "mask").is_dir()]
    for folder in progress([each for each in folders if not options.only or each.name in options.only], "Cutting out"):
        if folder.name in persons:
            continue
        for view, rgba in enumerate(read_cutouts(folder, options.every, options.min_height)):
            name = f"people/{following:05d}_{view:02d}.png"
            atomic_write(options.store / name, cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])[1].tobytes())
            lines.append(json.dumps(_describe(name, following, view, rgba, folder.name, options.source)))
            added += 1
        following += 1
    if added:
        atomic_write(path, "".join(f"{line}\n" for line in lines).encode())
    return added


def _describe(name: str, person: int, view: int, rgba: NDArray[np.uint8], sequence: str, source: str) -> dict[str, Any]:
    height, width = rgba.shape[:2]
    box_xyxy = [MARGIN, MARGIN, width - MARGIN, height - MARGIN]
    keypoints = [[0, 0, 0]] * 17
    where = {"source": source, "sequence": sequence}
    return {"file": name, "person": person, "view": view, "box_xyxy": box_xyxy, "keypoints": keypoints, **where}


def main() -> None:
    """Cut people out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of sequences with masks")
    parser.add_argument("--store", type=Path, required=True, help="of rendered people and scenes")
    parser.add_argument("--source", required=True, help="name of the data set, whose terms the weights state")
    parser.add_argument("--only", nargs="+", help="sequences, by default all")
    parser.add_argument("--every", type=int, default=5, help="take every so many frames, default 5")
    parser.add_argument("--min-height", type=int, default=80, help="in pixels, default 80")
    print(f"{add_people(parser.parse_args())} cut-outs added")


if __name__ == "__main__":
    main()
