"""Metrics of keypoints.

ARMORY calls them with true and predicted labels, one dict per person: ``boxes`` (F, 4) xyxy, of which the first is the
person's, ``keypoints`` (17, 3) x, y and visibility in that frame, and ``areas``, the person's area there; predictions
need ``keypoints`` (17, 2 or more) alone. What is not labelled (visibility 0) does not count.

PCK (Yang and Ramanan 2013) asks for a size of the person to measure by. Head sizes, as MPII has, are not known of
COCO's persons; 0.2 of the box's diagonal stands in their stead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from armory.metrics.task import populationwise
from numpy.typing import ArrayLike, NDArray
from pycocotools.cocoeval import Params

from armory_skelevision.keypoints import KEYPOINTS

SHARE = 0.2
"""How far off a keypoint may be that counts as found, in diagonals of the true box."""

Labels = Sequence[Mapping[str, ArrayLike]]
Values = NDArray[np.float64]


def pck(y: Labels, y_pred: Labels) -> list[float]:
    """Share of each person's labelled keypoints that were found within 0.2 of the box's diagonal.

    Args:
        y: True labels, see the module.
        y_pred: Predicted ones.

    Returns:
        Values in [0, 1].

    Raises:
        ValueError: For labels that do not fit together, or a person without a labelled keypoint; says which.
    """
    return [float(value) for value in np.nanmean(hits(y, y_pred), axis=1)]


def oks(y: Labels, y_pred: Labels) -> list[float]:
    """Object keypoint similarity of each person, as COCO's own evaluation takes it; see `pck`.

    Returns:
        Values in [0, 1]; 1 if all keypoints are met exactly.
    """
    variances = (2 * np.asarray(Params(iouType="keypoints").kpt_oks_sigmas)) ** 2
    values = []
    for index, (truth, distances) in enumerate(zip(y, _distances(y, y_pred), strict=True)):
        area = float(np.asarray(truth.get("areas", np.nan)).reshape(-1)[0])
        if not 0 < area < np.inf:
            raise ValueError(f'person {index}: OKS needs "areas", the person\'s area in square pixels, got {area}')
        likeness = np.exp(-(distances**2) / variances / (area + np.spacing(1)) / 2)
        values.append(float(np.nanmean(likeness)))
    return values


@populationwise  # type: ignore[untyped-decorator]
def keypoint_pck(y: Labels, y_pred: Labels) -> dict[str, float | None]:
    """PCK of each keypoint over all persons, by its name; None where it is never labelled. See `pck`."""
    found = hits(y, y_pred)
    labelled = ~np.isnan(found)
    counts, totals = np.nansum(found, axis=0), labelled.sum(axis=0)
    return {
        name: float(count / total) if total else None
        for name, count, total in zip(KEYPOINTS, counts, totals, strict=True)
    }


def relative_pck(y: Labels, y_pred: Labels, y_pred_adv: Labels) -> float:
    """100 times the PCK under attack over the PCK without, both over all labelled keypoints of all persons.

    Jain et al., "On the Robustness of Human Pose Estimation", 2019, section 2.

    Raises:
        ValueError: As for `pck`, or if nothing is found even without an attack.
    """
    clean, attacked = np.nansum(hits(y, y_pred)), np.nansum(hits(y, y_pred_adv))
    if clean == 0:
        raise ValueError("relative PCK: no keypoint is found without an attack, so there is nothing to lose")
    return float(100 * attacked / clean)


def hits(y: Labels, y_pred: Labels) -> Values:
    """Which keypoints were found, (N, 17): 1, 0, or NaN where it is not labelled. See `pck`."""
    boxes_xyxy = np.stack([np.asarray(label["boxes"], np.float64).reshape(-1, 4)[0] for label in y])
    diagonals = np.hypot(*(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).T)
    distances = np.stack(_distances(y, y_pred))
    return np.where(np.isnan(distances), np.nan, distances <= SHARE * diagonals[:, None])


def _distances(y: Labels, y_pred: Labels) -> list[Values]:
    """Of each person's predicted keypoints from the true ones, pixels, (17,); NaN where it is not labelled."""
    if len(y) != len(y_pred) or not len(y):
        raise ValueError(f"expected predictions of {len(y)} persons, at least 1, got {len(y_pred)}")
    distances = []
    for index, (label, prediction) in enumerate(zip(y, y_pred, strict=True)):
        for name, given in (("true label", label), ("prediction", prediction)):
            if "keypoints" not in given:
                raise ValueError(f"person {index}: the {name} has no keypoints, only {sorted(given)}")
        truth = np.asarray(label["keypoints"], np.float64)
        found = np.asarray(prediction["keypoints"], np.float64)
        if truth.shape != (len(KEYPOINTS), 3) or found.shape[:1] != (len(KEYPOINTS),) or found.ndim != 2:
            raise ValueError(
                f"person {index}: expected true keypoints (17, 3) and predicted ones (17, 2 or 3), "
                f"got {truth.shape} and {found.shape}"
            )
        if not (np.isfinite(truth).all() and np.isfinite(found).all() and (truth[:, 2] > 0).any()):
            raise ValueError(f"person {index}: expected finite keypoints, at least one of them labelled")
        away = np.hypot(*(found[:, :2] - truth[:, :2]).T)
        distances.append(np.where(truth[:, 2] > 0, away, np.nan))
    return distances
