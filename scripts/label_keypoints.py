"""Keypoints of the people in pictures with boxes, by a teacher: MoveNet, which gives a confidence with each.

    python -m scripts.label_keypoints BOXES.json --out NEW.json --movenet movenet_single_pose_lightning.tflite
                                      [--images FOLDER] [--stretched] [--max-outside 0.3]

Writes the same entries with ``keypoints`` and ``teacher``, for ``skelevision data crops pictures``, which keeps the
confident ones. They count in the keypoint loss alone, and store and card of a training name the teacher. Keypoints of a
person are left out if more than ``--max-outside`` of the confident ones are outside of its box: they are somebody
else's. ``--stretched``: the pictures were squeezed to squares, which is undone before MoveNet sees them.

The teacher is not part of this package: github.com/google-coral/test_data has
movenet_single_pose_lightning_ptq.tflite (Apache 2.0). It is run by the interpreter of TensorFlow, or by that of the
package ai-edge-litert if TensorFlow is not installed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.datasets.picture_boxes import MIN_CONFIDENCE, read_picture_boxes
from armory_skelevision.io import atomic_write, progress, read_json, refuse_existing
from armory_skelevision.io.images import read_image

TEACHER = "MoveNet"
CONTEXT = 1.25
"""Side of the square that MoveNet sees, as a multiple of the box's longer side."""


class MoveNet:
    """Finds the 17 keypoints of one person.

    Args:
        path: The network as a tflite file that takes uint8.
    """

    def __init__(self, path: Path) -> None:
        self._interpreter = _open(path)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    def __call__(
        self, picture: NDArray[np.uint8], box_xywh: NDArray[np.float64], stretch: float = 1.0
    ) -> NDArray[np.float64]:
        """Keypoints (17, 3): x, y in pixels of the picture (H, W, 3) RGB, and confidence in [0, 1].

        ``stretch`` is the factor of the width that undoes the picture's squeezing; the box is in its own pixels.
        """
        side = int(self._input["shape"][1])
        x, y, width, height = box_xywh
        window = CONTEXT * max(width * stretch, height)
        scale = side / window * np.array([stretch, 1.0])
        shift = side / 2 - scale * (x + width / 2, y + height / 2)
        matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
        crop = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
        self._interpreter.set_tensor(self._input["index"], crop[None].astype(self._input["dtype"]))
        self._interpreter.invoke()
        rows = np.asarray(self._interpreter.get_tensor(self._output["index"]), np.float64).reshape(17, 3)
        found = (rows[:, 1::-1] * side - shift) / scale
        return np.concatenate([found, rows[:, 2:].clip(0, 1)], axis=1)


def _open(path: Path) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    return Interpreter(model_path=str(path))


def leave_out_others(
    keypoints: NDArray[np.float64], box_xywh: NDArray[np.float64], most: float, size_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """The keypoints, without confidence outside of box or picture; without any if too many confident ones are there."""
    confident = keypoints[:, 2] >= MIN_CONFIDENCE
    margin = 0.1 * box_xywh[2:]
    low = np.maximum(box_xywh[:2] - margin, 0)
    high = np.minimum(box_xywh[:2] + box_xywh[2:] + margin, size_wh)
    inside = ((keypoints[:, :2] >= low) & (keypoints[:, :2] <= high)).all(axis=1)
    if not confident.any() or (confident & ~inside).sum() > most * confident.sum():
        return keypoints * (1, 1, 0)
    return np.where(inside[:, None], keypoints, keypoints * (1, 1, 0))


def label(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The entries with keypoints for all boxes."""
    movenet = MoveNet(options.movenet)
    images = options.images or options.boxes.parent
    people = read_picture_boxes(options.boxes, images, "people", options.stretched)
    stretches = {person.picture: person.stretch for part in people.parts.values() for person in part}
    entries: list[dict[str, Any]] = read_json(options.boxes)
    for entry in progress(entries, TEACHER, unit="picture"):
        path = images / entry["file"]
        if path not in stretches:
            continue
        picture, stretch = read_image(path), stretches[path]
        found = []
        for box_xywh in np.array(entry["boxes_xywh"], np.float64):
            keypoints = movenet(picture, box_xywh, stretch)
            keypoints = leave_out_others(keypoints, box_xywh, options.max_outside, (picture.shape[1], picture.shape[0]))
            found.append(keypoints.round(3).tolist())
        entry["keypoints"] = found
        entry["teacher"] = ", ".join(filter(None, (entry.get("teacher"), TEACHER)))
    return entries


def main() -> None:
    """Label pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("boxes", type=Path, help="JSON file of pictures and boxes")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--movenet", type=Path, required=True, help="tflite file")
    parser.add_argument("--images", type=Path, help="folder of the pictures, by default that of the JSON file")
    parser.add_argument("--stretched", action="store_true", help="the pictures were squeezed to squares")
    parser.add_argument("--max-outside", type=float, default=0.3, help="default 0.3")
    options = parser.parse_args()
    refuse_existing(options.out)
    entries = label(options)
    atomic_write(options.out, json.dumps(entries).encode())
    points = np.array([person for entry in entries for person in entry.get("keypoints", [])]).reshape(-1, 17, 3)
    confident = points[..., 2] >= MIN_CONFIDENCE
    print(f"{confident.sum()} keypoints of {confident.any(axis=1).sum()} people of {len(points)} in {options.out}")


if __name__ == "__main__":
    main()
