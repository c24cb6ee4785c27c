"""Training losses on given targets: the two branches of the RPN, and the keypoint head. Pure functions.

Li et al. 2018, section 3.2, with PySOT's reductions; Das et al. 2022, section 3.2.

Convention: channels of ``cls`` are ordered (class, anchor), those of ``loc`` (dx dy dw dh, anchor), as in
`networks.heads`. Keypoints are (x, y, visibility) in pixels of the template crop, measured from its left and upper
edge, so that the pixel in column c covers c <= x < c + 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# PySOT's weights of the two in the tracking loss.
CLASSIFICATION_WEIGHT = 1.0
LOCALISATION_WEIGHT = 1.2


def classification_loss(cls: Tensor, labels: Tensor) -> Tensor:
    """Half the mean cross-entropy over the positive anchors plus half of that over the negative ones.

    The halves are averaged separately, since there are many more negatives; a half without anchors counts 0.

    Args:
        cls: Logits (N, 2k, S, S).
        labels: (N, k, S, S): 1 target, 0 background, -1 ignored.

    Returns:
        A scalar of at least 0.
    """
    count, _, *size = cls.shape
    log_probabilities = cls.reshape(count, 2, -1, *size).log_softmax(dim=1)
    positive = _mean(-log_probabilities[:, 1][labels == 1])
    negative = _mean(-log_probabilities[:, 0][labels == 0])
    return 0.5 * positive + 0.5 * negative


def localisation_loss(loc: Tensor, deltas: Tensor, weights: Tensor) -> Tensor:
    """Weighted L1 distance between predicted and target offsets, summed over anchors, averaged over pairs.

    Args:
        loc: Predicted offsets, (N, 4k, S, S).
        deltas: Target offsets, (N, 4, k, S, S).
        weights: Per anchor, (N, k, S, S); 1 / (number of positives) at the positive ones of a pair, else 0.

    Returns:
        A scalar of at least 0.
    """
    distances = (loc.reshape(deltas.shape) - deltas).abs().sum(dim=1)
    return (distances * weights).sum() / len(loc)


def keypoint_softmax(logits: Tensor, keypoints: Tensor) -> Tensor:
    """Softmax cross-entropy over the positions of each keypoint's map: the published code's loss.

    Args:
        logits: (N, 17, 127, 127).
        keypoints: (N, 17, 3). Those with visibility 0 or outside the crop do not count.

    Returns:
        The mean over all keypoints that count, a scalar of at least 0; 0 if none does.
    """
    valid, position = _positions(keypoints, logits.shape[-2], logits.shape[-1])
    return _mean(F.cross_entropy(logits[valid].flatten(1), position[valid], reduction="none"))


def keypoint_bce(logits: Tensor, keypoints: Tensor) -> Tensor:
    """Binary cross-entropy at each position of each keypoint's map: the loss as described in the paper.

    The paper leaves open how positions are weighted. Here all have the same weight, the keypoint's position included.
    The paper also mentions leaving out occluded keypoints; as in the published code, those with visibility 1 do count:
    set it to 0 to leave them out.

    Arguments are those of `keypoint_softmax`. Returns the mean over all positions of all keypoints that count.
    """
    valid, position = _positions(keypoints, logits.shape[-2], logits.shape[-1])
    maps = logits[valid].flatten(1)
    targets = torch.zeros_like(maps).scatter_(1, position[valid][:, None], 1)
    return _mean(F.binary_cross_entropy_with_logits(maps, targets, reduction="none"))


def keypoint_distance(coordinates: Tensor, keypoints: Tensor, size: int) -> Tensor:
    """Squared distance of coordinates from the keypoints, in units of the crop's side (Toshev and Szegedy 2014).

    Args:
        coordinates: (N, 17, 2), x and y in pixels of the template crop.
        keypoints: As in `keypoint_softmax`.
        size: Side of the template crop in pixels.

    Returns:
        The mean over all keypoints that count, a scalar of at least 0; 0 if none does.
    """
    valid, _ = _positions(keypoints, size, size)
    return _mean(((coordinates - keypoints[..., :2])[valid] / size).square().sum(dim=1))


def _positions(keypoints: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which keypoints count (N, K), and the flat index (N, K) of the pixel that each of these lies in."""
    x, y, visibility = keypoints.unbind(-1)
    valid = (visibility > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return valid, y.floor().long() * width + x.floor().long()


def _mean(values: Tensor) -> Tensor:
    """The mean, but 0, still with a graph, where there are no values."""
    return values.sum() / max(values.numel(), 1)
