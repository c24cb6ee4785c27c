"""A tracker of images behind the method names that toolkits use for it: what is called, and what it may answer.

- ``initialize(image, box)`` and ``track(image)``, as here, and in pytracking, whose box is ``{"init_bbox": box}``;
- ``init(image, box)`` and ``update(image)``, as in OpenCV and the GOT-10k toolkit;
- ``init(image, box)`` and ``track(image)``, as in PySOT.

Images are (H, W, 3) uint8, a copy for each call. Boxes are (x, y, width, height) in pixels, counted from the upper left
corner of the frame. The first frame is given to ``initialize`` alone; every further one to ``track``, in order.
"""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args

import cv2
import numpy as np

from armory_skelevision.boxes import read_numbers
from armory_skelevision.models.opencv import OpenCVTracker
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, StructuredError, check_value

Color = Literal["RGB", "BGR"]

METHODS = (("initialize", "track"), ("init", "update"), ("init", "track"), ("initialize", "update"))
"""Pairs of names in the order in which they are looked for; a tracker of the GOT-10k toolkit has another ``track``."""

BOXES, SCORES = ("target_bbox", "bbox"), ("best_score", "object_presence_score", "conf_score")
"""Keys of answers that are dicts: those of pytracking and PySOT, and of their descendants."""

MAX_COORDINATE = 1e6
"""Of a box in pixels, beyond which it is nonsense, and areas in single precision are not exact."""


class TrackerFailedError(StructuredError, RuntimeError):
    """An exception in a third-party tracker; it is the cause of this one."""

    @classmethod
    def of(cls, name: str, expected: str, raised: Exception) -> TrackerFailedError:
        """The error on what was raised in place of what was ``expected``; says in which line of which file."""
        places = [each for each in traceback.extract_tb(raised.__traceback__) if each.filename != __file__]
        own = [each for each in places if "site-packages" not in each.filename]
        where = "".join(f" ({Path(each.filename).name}, line {each.lineno})" for each in (own or places)[-1:])
        fix = "the mistake is in the tracker's code, or in how it is called"
        return cls(name, expected, f"{type(raised).__name__}: {raised}{where}", fix)


class Answer(NamedTuple):
    """What a tracker says of one frame."""

    box_xywh: np.ndarray
    """(4,) float64, in pixels."""
    score: float | None
    """Its confidence, on a scale of its own; None where it gives none."""


class TrackerAdapter:
    """Calls a tracker of images by its own method names, and checks what it answers.

    Args:
        tracker: The object.
        name: What errors call it.
        color: Order of the channels of the images that it gets; None for that of its attribute ``color``, and where it
            has none for "BGR" with an object of PySOT's, else "RGB".

    Raises:
        InvalidTypeError: For an object without the methods, or a class in place of an object.
        InvalidValueError: For a color other than that of the tracker's attribute.
    """

    def __init__(self, tracker: Any, name: str, color: Color | None = None) -> None:
        if isinstance(tracker, cv2.Tracker):
            tracker = OpenCVTracker(tracker)
        self.tracker, self.name = tracker, name
        self._start, self._follow = _find_methods(tracker, name)
        self.color: Color = _find_color(tracker, name, color)
        self._last_xywh = np.zeros(4)

    def initialize(self, frame: np.ndarray, box_xywh: np.ndarray) -> None:
        """Start with a first frame (H, W, 3), RGB in [0, 1], and the target's box (4,) in it, in pixels.

        Raises:
            TrackerFailedError: If the tracker raises an exception.
        """
        self._last_xywh = np.asarray(box_xywh, np.float64)
        box: Any = [float(value) for value in self._last_xywh]
        if _takes_dict(getattr(self.tracker, self._start)):
            box = {"init_bbox": box}
        self._call(self._start, 0, self._image(frame), box)

    def track(self, frame: np.ndarray, index: int) -> Answer:
        """Find the target in the next frame (H, W, 3), RGB in [0, 1], which is that of number ``index``.

        Raises:
            TrackerFailedError: If the tracker raises an exception.
            InvalidValueError, InvalidTypeError: For an answer that is no box.
        """
        given = self._call(self._follow, index, self._image(frame))
        answer = read_answer(given, f"{self.name}, frame {index}", self._last_xywh)
        self._last_xywh = answer.box_xywh
        return answer

    def copy(self) -> TrackerAdapter | None:
        """The tracker with a state of its own, as it is now; None for one that Python cannot copy."""
        try:
            copied = TrackerAdapter(copy.deepcopy(self.tracker), self.name, self.color)
        except Exception:  # objects of other languages raise any kind
            return None
        copied._last_xywh = self._last_xywh
        return copied

    def _image(self, frame: np.ndarray) -> np.ndarray:
        image = np.rint(frame * 255).clip(0, 255).astype(np.uint8)
        return image if self.color == "RGB" else np.ascontiguousarray(image[..., ::-1])

    def _call(self, method: str, index: int, *arguments: Any) -> Any:
        try:
            return getattr(self.tracker, method)(*arguments)
        except Exception as raised:  # third-party code can raise anything
            raise TrackerFailedError.of(self.name, f"an answer of {method} for frame {index}", raised) from raised


def read_answer(answer: Any, key: str, last_xywh: np.ndarray) -> Answer:
    """What a tracker answered: a box, (box, score), OpenCV's (located, box), or a dict.

    Args:
        answer: Any of these; boxes are four numbers, x, y, width, height.
        key: What errors call it.
        last_xywh: The box before, which stays where OpenCV's answer says that the target is not located.

    Raises:
        InvalidValueError, InvalidTypeError: For anything else; NaN, infinity and negative sizes are no boxes.
    """
    if isinstance(answer, Mapping):
        boxes, scores = ([answer[name] for name in names if name in answer] for names in (BOXES, SCORES))
        if not boxes:
            raise InvalidValueError(key, f"a dict with {' or '.join(map(repr, BOXES))}", f"keys {list(answer)!r:.80}")
        return Answer(_read_box(boxes[0], key), _read_score(scores[0] if scores else None, key))
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        return Answer(_read_box(answer, key), None)
    first, second = answer
    if not isinstance(first, bool | np.bool_):
        return Answer(_read_box(first, key), _read_score(second, key))
    return Answer(_read_box(second, key) if first else last_xywh, None)


def _read_box(given: Any, key: str) -> np.ndarray:
    expected = "a box (x, y, width, height) in pixels"
    box_xywh = read_numbers(key, given, expected).astype(np.float64)
    got = f"{given!r:.80}" if box_xywh.size > 4 or box_xywh.ndim != 1 else str([round(v, 2) for v in box_xywh.tolist()])
    if box_xywh.shape != (4,):
        raise InvalidValueError(key, expected, got)
    if not (abs(box_xywh) <= MAX_COORDINATE).all():
        raise InvalidValueError(key, f"{expected}, finite", got)
    if box_xywh[2] < 0 or box_xywh[3] < 0:
        raise InvalidValueError(key, expected, got, "is this (x1, y1, x2, y2), or a negative width or height?")
    return box_xywh


def _read_score(given: Any, key: str) -> float | None:
    if given is None:
        return None
    score = read_numbers(key, given, "a score, one number")
    if score.size != 1 or not np.isfinite(score).all():
        raise InvalidValueError(key, "a score, one finite number", f"{given!r:.80}")
    return float(score.item())


def _find_methods(tracker: Any, name: str) -> tuple[str, str]:
    if isinstance(tracker, type):
        raise InvalidTypeError(name, "a tracker", f"the class {tracker.__name__}", "return an object of it")
    for pair in METHODS:
        if all(callable(getattr(tracker, method, None)) for method in pair):
            return pair
    known = ", or ".join(f"{start} and {follow}" for start, follow in METHODS[:3])
    raise InvalidTypeError(name, f"a tracker with the methods {known}", type(tracker).__name__)


def _find_color(tracker: Any, name: str, color: Color | None) -> Color:
    check_value("color", color, Color | None)
    own = getattr(tracker, "color", None)
    if not (isinstance(own, str) and own in get_args(Color)):  # none, or one of another meaning
        # PySOT's trackers take what cv2.imread reads. RGB would be tracked nearly as well, and patches fail on it.
        is_pysots = type(tracker).__module__.startswith("pysot.")
        return color or ("BGR" if is_pysots else "RGB")
    if color not in (None, own):
        raise InvalidValueError("color", f"{own!r}, which {name} says that it takes", repr(color), "leave it out")
    return cast(Color, own)


def _takes_dict(method: Callable[..., Any]) -> bool:
    """Whether the second parameter is called ``info``, as that of pytracking's ``initialize``."""
    try:
        names = list(inspect.signature(method).parameters)
    except (TypeError, ValueError):  # of a function in C
        return False
    return names[1:2] == ["info"]
