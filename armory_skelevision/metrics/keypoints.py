"""Metrics of keypoints.

ARMORY calls each metric with true and predicted labels, one dict per person. A true label has ``boxes`` (F, 4) xyxy,
of which the first is the person's, ``keypoints`` (17, 3) as x, y and visibility in that frame, and ``areas``, the
person's area there in square pixels; a prediction needs only ``keypoints`` (17, 2 or more). Keypoints that are not
labelled (visibility 0) do not count.

PCK (Yang and Ramanan 2013) compares distances with the size of the person. COCO has no head sizes, which MPII uses, so
0.2 of the diagonal of the box is the threshold here.

Arguments and errors of all metrics are those of `pck`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from armory.metrics.task import populationwise
from numpy.typing import ArrayLike, NDArray
from pycocotools.cocoeval import Params

from armory_skelevision.boxes import read_numbers
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.validation import InvalidValueError

SHARE = 0.2
"""Distance up to which a keypoint counts as found, in diagonals of the true box."""

Labels = Sequence[Mapping[str, ArrayLike]]
Values = NDArray[np.float64]


def pck(y: Labels, y_pred: Labels) -> list[float]:
    """Share of each person's labelled keypoints that were found within 0.2 of the box's diagonal.

    Args:
        y: True labels, one for each person, in the form that the module describes.
        y_pred: Predicted labels, in the same order.

    Returns:
        Values in [0, 1].

    Raises:
        InvalidValueError: If labels and predictions differ in number or shape, or a person has no labelled keypoint.
    """
    return [float(value) for value in np.nanmean(hits(y, y_pred), axis=1)]


def oks(y: Labels, y_pred: Labels) -> list[float]:
    """Object keypoint similarity (OKS) of each person, as COCO's own evaluation computes it.

    Returns:
        Values in [0, 1]; 1 if every predicted keypoint is exactly right.

    Raises:
        InvalidValueError: Also if a person has no area above 0.
    """
    variances = (2 * np.asarray(Params(iouType="keypoints").kpt_oks_sigmas)) ** 2
    values = []
    for index, (truth, distances) in enumerate(zip(y, _distances(y, y_pred), strict=True)):
        areas = read_numbers(f"person {index}.areas", truth.get("areas", np.nan), "the person's area").reshape(-1)
        area = float(areas[0]) if len(areas) else np.nan
        if not 0 < area < np.inf:
            raise InvalidValueError(f"person {index}.areas", "the person's area in square pixels", str(area))
        likeness = np.exp(-(distances**2) / variances / (area + np.spacing(1)) / 2)
        values.append(float(np.nanmean(likeness)))
    return values


@populationwise  # type: ignore[untyped-decorator]
def keypoint_pck(y: Labels, y_pred: Labels) -> dict[str, float | None]:
    """PCK of each keypoint over all persons, in [0, 1] by its name; None for a keypoint that is never labelled."""
    found = hits(y, y_pred)
    labelled = ~np.isnan(found)
    counts, totals = np.nansum(found, axis=0), labelled.sum(axis=0)
    triples = zip(KEYPOINTS, counts, totals, strict=True)
    return {name: float(count / total) if total else None for name, count, total in triples}


def relative_pck(y: Labels, y_pred: Labels, y_pred_adv: Labels) -> float:
    """100 times the PCK under attack over the benign PCK, both over all labelled keypoints of all persons.

    Source: Jain et al., "On the Robustness of Human Pose Estimation", 2019, section 2.

    Raises:
        InvalidValueError: Also if no keypoint is found even without an attack.
    """
    clean, attacked = np.nansum(hits(y, y_pred)), np.nansum(hits(y, y_pred_adv))
    if clean == 0:
        raise InvalidValueError("relative_pck", "at least one keypoint found without an attack", "none")
    return float(100 * attacked / clean)


def hits(y: Labels, y_pred: Labels) -> Values:
    """Which keypoints of N persons were found, (N, 17): 1 for found, 0 for missed, NaN for not labelled."""
    distances = np.stack(_distances(y, y_pred))
    boxes_xyxy = np.stack([_first_box(index, label) for index, label in enumerate(y)])
    diagonals = np.hypot(*(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).T)
    return np.where(np.isnan(distances), np.nan, distances <= SHARE * diagonals[:, None])


def _first_box(index: int, label: Mapping[str, ArrayLike]) -> Values:
    key, expected = f"person {index}.boxes", "the person's finite box, x1 < x2 and y1 < y2"
    boxes_xyxy = read_numbers(key, label.get("boxes"), expected).astype(np.float64)
    if boxes_xyxy.shape[-1:] != (4,) or boxes_xyxy.size == 0:
        raise InvalidValueError(key, expected, f"shape {boxes_xyxy.shape}")
    first: Values = boxes_xyxy.reshape(-1, 4)[0]
    if not (np.isfinite(first).all() and (first[2:] > first[:2]).all()):
        raise InvalidValueError(key, expected, str(first.tolist()))
    return first


def _distances(y: Labels, y_pred: Labels) -> list[Values]:
    """Distances in pixels of each person's predicted keypoints from the true ones, (17,); NaN for not labelled."""
    if len(y) != len(y_pred) or not len(y):
        raise InvalidValueError("y_pred", f"predictions of {len(y)} persons, at least 1", str(len(y_pred)))
    distances = []
    for index, (label, prediction) in enumerate(zip(y, y_pred, strict=True)):
        key, expected = f"person {index}", "a true label and a prediction with keypoints"
        if not all(isinstance(given, Mapping) and "keypoints" in given for given in (label, prediction)):
            raise InvalidValueError(key, expected, f"{list(label)} and {list(prediction)}")
        truth, found = (
            read_numbers(key, given["keypoints"], expected).astype(np.float64) for given in (label, prediction)
        )
        if (
            truth.shape != (len(KEYPOINTS), 3)
            or found.shape[:1] != (len(KEYPOINTS),)
            or found.ndim != 2
            or found.shape[1] < 2
        ):
            expected = "true keypoints (17, 3) and predicted keypoints (17, 2 or 3)"
            raise InvalidValueError(f"person {index}", expected, f"{truth.shape} and {found.shape}")
        if not (np.isfinite(truth).all() and np.isfinite(found).all() and (truth[:, 2] > 0).any()):
            expected = "finite keypoints, at least one of them labelled"
            raise InvalidValueError(f"person {index}", expected, "none labelled, NaN or infinity")
        away = np.hypot(*(found[:, :2] - truth[:, :2]).T)
        distances.append(np.where(truth[:, 2] > 0, away, np.nan))
    return distances
