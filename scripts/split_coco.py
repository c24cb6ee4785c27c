"""Splits COCO's annotations into two files by picture, one for training and one to keep out of it.

    python -m scripts.split_coco ANNOTATIONS.json --out FOLDER [--every 4]

Pictures whose id is divisible by ``--every`` are kept out, with all their people. Writes ``NAME_train.json`` and
``NAME_val.json``, which ``skelevision data crops coco`` reads like the original.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from armory_skelevision.io import atomic_write, read_json, refuse_existing


def split(annotations: dict[str, Any], every: int) -> dict[str, dict[str, Any]]:
    """The annotations of the pictures for training and of those kept out, by the ending of their file's name."""
    parts: dict[str, dict[str, Any]] = {}
    for name, kept_out in (("train", False), ("val", True)):
        images = [image for image in annotations["images"] if (image["id"] % every == 0) == kept_out]
        ids = {image["id"] for image in images}
        people = [person for person in annotations["annotations"] if person["image_id"] in ids]
        parts[name] = {**annotations, "images": images, "annotations": people}
    return parts


def main() -> None:
    """Split a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path, help="COCO's person keypoints, JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder of the two files")
    parser.add_argument("--every", type=int, default=4, help="default %(default)s")
    options = parser.parse_args()
    if options.every < 2:
        parser.error("--every must be at least 2: with 1 all pictures would be kept out")
    parts = split(read_json(options.annotations), options.every)
    for name, part in parts.items():
        path = options.out / f"{options.annotations.stem}_{name}.json"
        refuse_existing(path)
        options.out.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps(part).encode())
        print(f"{len(part['annotations'])} people in {len(part['images'])} pictures in {path}")


if __name__ == "__main__":
    main()
