"""FastestDet (github.com/dog-qiuqiu/FastestDet, BSD 3): finds people, to begin tracks with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import printable
from armory_skelevision.validation import MissingFileError

SIDE = 352
"""Side of the network's input in pixels."""
OVERLAP = 0.45
"""IoU above which the less certain one of two boxes is left out."""


class PersonDetector:
    """Finds people in pictures.

    Args:
        path: ``FastestDet.onnx`` as published.
        confidence: Least score of a person, in [0, 1].

    Raises:
        MissingFileError: If there is no such file.
    """

    def __init__(self, path: Path, confidence: float = 0.6) -> None:
        if not path.is_file():
            raise MissingFileError(printable(path), "FastestDet.onnx", "no such file")
        self._network = cv2.dnn.readNet(str(path))
        self._confidence = confidence

    def __call__(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The boxes (n, 4) xyxy, in pixels, of the people in a picture (H, W, 3) RGB, the most certain first."""
        height, width = picture.shape[:2]
        blob = cv2.dnn.blobFromImage(picture, 1 / 255, (SIDE, SIDE), swapRB=True)
        self._network.setInput(blob)
        boxes_xywh, scores = decode(np.asarray(self._network.forward())[0])
        kept = cv2.dnn.NMSBoxes(boxes_xywh.tolist(), scores.tolist(), self._confidence, OVERLAP)
        chosen = boxes_xywh[np.asarray(kept, np.int64).ravel()] * (width, height, width, height)
        corners = np.concatenate([chosen[:, :2], chosen[:, :2] + chosen[:, 2:]], axis=1)
        return np.asarray(corners.clip(0, (width, height, width, height)), np.float32)


def decode(output: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4) x, y, w, h as shares of the picture, and scores (n,), of the cells that show a person most likely.

    Args:
        output: (85, S, S): at each cell whether there is an object, four offsets, and COCO's 80 classes, person first.
    """
    side = output.shape[-1]
    rows, columns = np.mgrid[:side, :side]
    centre = np.stack([np.tanh(output[1]) + columns, np.tanh(output[2]) + rows]) / side
    size = 1 / (1 + np.exp(-output[3:5]))
    scores = output[0] ** 0.6 * output[5:].max(axis=0) ** 0.4
    people = output[5:].argmax(axis=0) == 0
    boxes_xywh = np.concatenate([centre - size / 2, size])[:, people].T
    return boxes_xywh.astype(np.float32), scores[people].astype(np.float32)
