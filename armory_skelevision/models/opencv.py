"""OpenCV's trackers, ready-made for `external`: ``"factory": "armory_skelevision.models.opencv:mil"``."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import cv2
import numpy as np

from armory_skelevision.validation import InvalidValueError, MissingFileError, PathText, Range, check_arguments
from armory_skelevision.weights.resolve import resolve


class OpenCVTracker:
    """One of OpenCV's trackers: takes boxes of any numbers, which OpenCV does not, and asks for its score.

    Where it does not locate the target, the last box stays.

    Args:
        tracker: The tracker, an object of OpenCV.
        seed: Seed of the C library's ``rand``, from which TrackerMIL draws its features; None for trackers that do not.
    """

    color = "BGR"

    def __init__(self, tracker: Any, seed: int | None = None) -> None:
        self._tracker = tracker
        self._seed = seed
        self._box_xywh: Sequence[float] = ()

    def initialize(self, image: np.ndarray, box_xywh: Sequence[float]) -> None:
        """Start with a first image (H, W, 3) uint8 BGR, and the target's box in it, rounded to whole pixels.

        Raises:
            InvalidValueError: For a box that is too small for TrackerMIL.
        """
        if self._seed is not None:
            # OpenCV has no other way: without it, each video's result would depend on those before it.
            ctypes.CDLL(None).srand(self._seed + 1)  # 0 is often the same as 1
        x, y, width, height = map(round, box_xywh)
        self._box_xywh = (x, y, max(width, 1), max(height, 1))
        if isinstance(self._tracker, cv2.TrackerMIL) and (width - 1) * (height - 1) < 10:
            # its random features have an area of 9 at least: where none fits, it draws for ever
            raise InvalidValueError("box", "5×4 pixels or more for TrackerMIL", f"{width}×{height}")
        self._tracker.init(image, self._box_xywh)

    def track(self, image: np.ndarray) -> Any:
        """The box in the next image, with the score if the tracker has one."""
        located, box_xywh = self._tracker.update(image)
        if located:
            self._box_xywh = box_xywh
        score = self._tracker.getTrackingScore()
        return self._box_xywh, score if score >= 0 else None  # TrackerMIL has none, and says -1


def mil(seed: Annotated[int, Range(0, 2**32 - 2)] = 0) -> OpenCVTracker:
    """OpenCV's ``TrackerMIL`` (Babenko et al. 2009), which learns as it tracks; it has no weights and no score.

    Args:
        seed: Seed of its random features.
    """
    check_arguments(mil, {"seed": seed})
    return OpenCVTracker(cv2.TrackerMIL.create(), seed)


def nano(backbone: PathText, neckhead: PathText) -> OpenCVTracker:
    """OpenCV's ``TrackerNano``: NanoTrack, versions 1 and 2, with constants of OpenCV's, and boxes of whole pixels.

    Args:
        backbone: ONNX file of the backbone: a path, or the name of a file in ARMORY's ``saved_model_dir``.
        neckhead: ONNX file of the head, likewise.
    """
    return _load(nano, cv2.TrackerNano, {"backbone": backbone, "neckhead": neckhead})


def vit(net: PathText) -> OpenCVTracker:
    """OpenCV's ``TrackerVit``.

    Args:
        net: ONNX file of the network: a path, or the name of a file in ARMORY's ``saved_model_dir``.
    """
    return _load(vit, cv2.TrackerVit, {"net": net})


def dasiamrpn(model: PathText, kernel_cls1: PathText, kernel_r1: PathText) -> OpenCVTracker:
    """OpenCV's ``TrackerDaSiamRPN`` (Zhu et al. 2018).

    Args:
        model: ONNX file of the network: a path, or the name of a file in ARMORY's ``saved_model_dir``.
        kernel_cls1: ONNX file of the template's branch of the classification, likewise.
        kernel_r1: ONNX file of the template's branch of the regression, likewise.
    """
    files = {"model": model, "kernel_cls1": kernel_cls1, "kernel_r1": kernel_r1}
    return _load(dasiamrpn, cv2.TrackerDaSiamRPN, files)


def _load(factory: Callable[..., OpenCVTracker], kind: Any, files: Mapping[str, str]) -> OpenCVTracker:
    """A tracker of OpenCV with networks in ONNX files, by the names of its parameters.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: For something that is no path, or files that OpenCV cannot read.
    """
    check_arguments(factory, files)
    parameters = getattr(cv2, f"{kind.__name__}_Params")()
    for name, file in files.items():
        try:
            setattr(parameters, name, os.fspath(resolve(file)))
        except MissingFileError as error:
            raise MissingFileError(
                name, error.expected, repr(file), "put the file there, or correct its path"
            ) from None
    try:
        with _quiet():
            return OpenCVTracker(kind.create(parameters))
    except cv2.error as error:
        got = f"{', '.join(files.values())} ({error.err})"
        raise InvalidValueError(", ".join(files), f"ONNX files that OpenCV's {kind.__name__} reads", got) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's warnings that the processor is the only device."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
