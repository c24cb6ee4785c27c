"""Results of an evaluation outside ARMORY as its result files, which `summary`, `report` and `compare` read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from armory_skelevision.evaluation.measuring import TrackedBoxes
from armory_skelevision.evaluation.table import METRIC, VIDEO_NAMES, VIDEO_SIZES
from armory_skelevision.models.origin import Origin

SHARES = ("average_overlap", "success_auc", "precision_20px", "normalised_precision")

TRUTH_BY_TRACKER = "the boxes of the benign run, but for the first"
"""What stands in the result of a video without true boxes as ``dataset.truth``."""


def record_video(name: str, size: Sequence[int]) -> dict[str, Any]:
    """The entries of a video's name, and of the width and height of its frames in pixels."""
    return {VIDEO_NAMES: [name], VIDEO_SIZES: [[*size]]}


def record_boxes(side: str, boxes_xyxy: NDArray[Any], scores: NDArray[Any] | None) -> dict[str, Any]:
    """The entries of boxes (F, 4) and scores (F,), if any, of one side: "benign" or "adversarial"."""
    values = {"frame_boxes": boxes_xyxy.tolist()}
    if scores is not None:
        values["frame_scores"] = scores.tolist()
    return {f"{side}_{name}": [[value]] for name, value in values.items()}


def record_side(side: str, tracked: TrackedBoxes, truth_xyxy: NDArray[Any]) -> dict[str, Any]:
    """All entries of one side, with true boxes (F, 4) and what was measured."""
    values: dict[str, Any] = {METRIC: tracked.mean_iou, **{name: getattr(tracked, name) for name in SHARES}}
    values |= {"frame_iou": tracked.frame_ious, "true_boxes": truth_xyxy.tolist()}
    measured = {f"{side}_{name}": [[value]] for name, value in values.items()}
    return {**measured, **record_boxes(side, tracked.boxes_xyxy, tracked.scores)}


def describe_parts(tracker: Any, attack: Any = None, defense: Any = None) -> dict[str, Any]:
    """The sections ``model``, ``attack`` and ``defense`` of a config.

    The model is described as in a config if `load_tracker` made it, else by its class.
    """
    origin = getattr(tracker, "origin", None)
    named = _describe(tracker, "", getattr(tracker, "name", None))
    return {
        "model": _plain(origin.section) if isinstance(origin, Origin) else named,
        "attack": _describe(attack, "attack_params"),
        "defense": _describe(defense, "params"),
    }


def describe_weights(tracker: Any) -> dict[str, str]:
    """SHA-256 of the tracker's weights file, by its name; {} where it is not known."""
    origin = getattr(tracker, "origin", None)
    return dict(origin.weights) if isinstance(origin, Origin) else {}


def _describe(made: Any, parameters: str, name: str | None = None) -> dict[str, Any] | None:
    """Class, or the name that it has itself, and settings of an ART estimator, attack or preprocessor."""
    if made is None:
        return None
    settings = {each: getattr(made, each, None) for each in getattr(made, parameters, [])}
    return {"module": type(made).__module__, "name": name or type(made).__name__, "kwargs": _plain(settings)}


def _plain(settings: Mapping[str, Any]) -> Any:
    """Settings as JSON has them, other objects as text."""
    return json.loads(json.dumps(settings, default=str))
