"""An evaluation from Python: track a video, attack it, track it again, and measure both as `armory run` does."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from torch import Tensor

from armory_skelevision.boxes import read_numbers
from armory_skelevision.datasets.video import Video
from armory_skelevision.evaluation.measuring import read_prediction
from armory_skelevision.evaluation.result import EvaluationResult, measure
from armory_skelevision.validation import InvalidTypeError, InvalidValueError

# A defense belongs to the tracker while it is evaluated, and other threads must not see it.
_LOCK = threading.RLock()


@overload
def evaluate(tracker: Any, video: Video, attack: Any = None, defense: Any = None) -> EvaluationResult: ...
@overload
def evaluate(
    tracker: Any, video: Sequence[Video], attack: Any = None, defense: Any = None
) -> list[EvaluationResult]: ...
def evaluate(
    tracker: Any, video: Video | Sequence[Video], attack: Any = None, defense: Any = None
) -> EvaluationResult | list[EvaluationResult]:
    """Track a video as it is, and again under an attack.

    The steps are those of ARMORY's scenario ``CarlaVideoTracking``, so the numbers are those of `armory run` with the
    same tracker, video and attack. An attack shows its own progress.

    Args:
        tracker: An ART estimator of a tracker: from `load_tracker`, or any other whose ``predict(x, y_init=…)`` returns
            ``[{"boxes": (F, 4) xyxy}]``, with ``"scores"`` (F,) if it has them.
        video: From `load_video`; or several, each of which is attacked on its own. Where only the first true box is
            known, the boxes of the benign run stand in for the others, and the result says so.
        attack: Any ART attack on ``tracker`` that takes ``generate(x=…, y=…)``, such as those of
            `armory_skelevision.attacks`. It is given the true boxes, and what is known of the screen if it asks for
            ``y_patch_metadata``. None only tracks.
        defense: An ART preprocessor, such as those of `armory_skelevision.defenses`. It stands behind the tracker's
            own preprocessors during this call, in benign and attacked videos alike; adaptive attacks see it.

    Returns:
        One result for a video, a list of results for several.

    Raises:
        InvalidTypeError: If ``video`` is neither, or tracker or attack are of another kind.
        ValueError, TypeError: For a video that the tracker or the attack refuses.

    Evaluations in several threads wait for each other.

    Example:
        >>> result = evaluate(tracker, load_video("walkers/mini/0"), attack=PatchAttack(tracker, max_iter=10))
        >>> result.benign.mean_iou, result.adversarial.mean_iou
    """
    if isinstance(tracker, type) or not hasattr(tracker, "predict"):
        raise InvalidTypeError("tracker", "a tracker, such as from load_tracker", f"{tracker!r:.80}")
    if attack is not None and (isinstance(attack, type) or not hasattr(attack, "generate")):
        raise InvalidTypeError("attack", "an attack that was made, such as PGD(tracker), or none", f"{attack!r:.80}")
    if not isinstance(video, Video):
        if not (isinstance(video, Sequence) and all(isinstance(each, Video) for each in video)):
            raise InvalidTypeError("video", "a video from load_video, or a list of them", type(video).__name__)
        return [evaluate(tracker, each, attack, defense) for each in video]
    if len(video) < 2:
        raise InvalidValueError("video", "2 frames or more", f"{len(video)} in {video.name}")
    frames = video.frames.view()
    frames.flags.writeable = False  # as ARMORY does, since an attack or a tracker might work in place
    with _LOCK, _defended(tracker, defense):
        found = _predict(tracker, frames, video)
        by_tracker = not video.is_annotated
        if by_tracker:
            video = _take_as_truth(video, found)
        benign = measure(frames, found, video.boxes_xyxy)
        if attack is None:
            return EvaluationResult(tracker, video, benign, defense=defense, truth_by_tracker=by_tracker)
        start = time.perf_counter()
        attacked = _attack(attack, frames, video)
        seconds = time.perf_counter() - start
        adversarial = measure(attacked, _predict(tracker, attacked, video), video.boxes_xyxy, benign.scores)
        reach = _read_reach(attack)
        return EvaluationResult(tracker, video, benign, adversarial, attack, defense, seconds, reach, by_tracker)


@contextlib.contextmanager
def _defended(tracker: Any, defense: Any) -> Iterator[None]:
    """The tracker behind a defense, and as it was afterwards."""
    if defense is None:
        yield
        return
    before = tracker.preprocessing_defences
    tracker.set_params(preprocessing_defences=[*(before or []), defense])
    try:
        yield
    finally:
        tracker.set_params(preprocessing_defences=before)


def _predict(tracker: Any, frames: np.ndarray, video: Video) -> Mapping[str, Any]:
    predictions = tracker.predict(frames[None], y_init=video.boxes_xyxy[:1])
    if not isinstance(predictions, Sequence) or len(predictions) != 1:
        raise InvalidTypeError("tracker", "a list of one prediction for one video", f"{predictions!r:.80}")
    prediction: Mapping[str, Any] = predictions[0]
    return prediction


def _take_as_truth(video: Video, found: Mapping[str, Any]) -> Video:
    """The video with what the tracker found as its true boxes, but for the first one."""
    boxes_xyxy = read_prediction(found, len(video))[0].astype(np.float32)
    return dataclasses.replace(video, boxes_xyxy=np.concatenate([video.boxes_xyxy[:1], boxes_xyxy[1:]]))


def _read_reach(attack: Any) -> float | None:
    """What an attack that shows a patch recorded of the video that it attacked last."""
    from armory_skelevision.attacks.patch.base import ScreenAttack  # ART takes seconds, and whoever attacks has it

    return attack.reach[-1] if isinstance(attack, ScreenAttack) else None


def _attack(attack: Any, frames: np.ndarray, video: Video) -> np.ndarray:
    arguments: dict[str, Any] = {"x": frames[None], "y": [{"boxes": video.boxes_xyxy}]}
    if "y_patch_metadata" in inspect.signature(attack.generate).parameters:
        arguments["y_patch_metadata"] = [video.patch_metadata]
    made = attack.generate(**arguments)
    if not isinstance(made, np.ndarray | Tensor | Sequence) or len(made) != 1:
        raise InvalidTypeError("attack", "one video for one video", f"{type(made).__name__}")
    attacked = read_numbers("attack", made[0], f"a video of shape {frames.shape}")
    if attacked.shape != frames.shape:
        raise InvalidValueError("attack", f"a video of shape {frames.shape}", f"shape {attacked.shape}")
    return attacked
