"""Alarms: signs in what a tracker reports of a video that somebody attacks it. They change no box.

The signs are what detectors of the literature look at, in their simplest form: a score that falls, boxes that no body
would follow (PercepGuard, Man et al. 2023), and, with a keypoint head, a box that holds no whole person any more
(VOGUES, Muller et al. 2024). A sign counts if it lasts: its strength in a video is the highest median of three frames.

Convention: signs are (F,), 0 where nothing is known yet, and the higher, the more suspicious. Those of boxes and scores
are differentiable, for attackers who know them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from armory_skelevision.boxes import xyxy_to_cxcywh
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.tracking import TemplateMatcher, VideoFrames
from armory_skelevision.validation import InvalidValueError

LASTING = 3
"""Frames of the median: what a single frame shows, such as a blink of the score, raises no alarm."""


def box_signs(boxes_xyxy: Tensor, scores: Tensor) -> dict[str, Tensor]:
    """The signs in the boxes (F, 4), xyxy in pixels, and the scores (F,) of a tracked video.

    Returns:
        "score": by which share the score is below the median of those before it. "motion": how far the centre is from
        where constant velocity would have taken it, in sides of the box before. "size": the logarithm of the change of
        the box's side from the frame before. "drift": the logarithm of that change since frame 0.
    """
    boxes_cxcywh = xyxy_to_cxcywh(boxes_xyxy)
    centre, side = boxes_cxcywh[:, :2], boxes_cxcywh[:, 2:].clamp(min=1e-3).prod(dim=1).sqrt()
    usual = torch.stack([scores[: max(index, 1)].detach().quantile(0.5) for index in range(len(scores))])
    growth = side.log()
    motion = torch.zeros_like(side)
    if len(side) > 2:
        away = (centre[2:] - 2 * centre[1:-1] + centre[:-2]).norm(dim=1)
        motion = torch.cat([motion[:2], away / side[1:-1]])
    return {
        "score": 1 - scores / usual.clamp(min=1e-6),
        "motion": motion,
        "size": torch.cat([side[:1] * 0, growth.diff().abs()]),
        "drift": (growth - growth[0]).abs(),
    }


@torch.no_grad()
def pose_signs(tracker: SiamRPNEstimator, video: Tensor, boxes_xyxy: Tensor) -> dict[str, Tensor]:
    """The signs in the keypoints that the tracker's own head finds in each tracked box, on one more small crop a frame.

    Args:
        tracker: One with a keypoint head.
        video: (F, H, W, 3), RGB in [0, 1].
        boxes_xyxy: The tracked boxes (F, 4), pixels, on the CPU.

    Returns:
        "confidence": by which share the head is less sure of the keypoints than in frame 0, on average. "outside": the
        share of the keypoints' confidence that lies outside of the box, more than in frame 0.

    Raises:
        InvalidValueError: For a tracker without a keypoint head.
    """
    if tracker.model.keypoint_head is None:
        raise InvalidValueError("tracker", "one with a keypoint head, such as siamrpn_mtl", "one without")
    sure, outside = [], []
    for frame, box_xyxy in zip(video.to(tracker.device), boxes_xyxy, strict=True):
        crops = tracker.crops(VideoFrames(frame[None]), box_xyxy)
        x, y, confidence = tracker.find_keypoints(TemplateMatcher.embed_template(crops)).cpu().unbind(dim=1)
        x1, y1, x2, y2 = box_xyxy.unbind()
        is_outside = (x < x1) | (x > x2) | (y < y1) | (y > y2)
        sure.append(confidence.mean())
        outside.append((confidence * is_outside).sum() / confidence.sum())
    confidences, shares = torch.stack(sure), torch.stack(outside)
    return {"confidence": 1 - confidences / confidences[0], "outside": shares - shares[0]}


def strength(sign: Tensor) -> Tensor:
    """How strong a sign (F,) is in a whole video: the highest median of `LASTING` frames, a scalar."""
    return sign.unfold(0, min(LASTING, len(sign)), 1).median(dim=1).values.max()


def alarm_threshold(benign: Sequence[float], false_rate: float) -> float:
    """The least threshold above which at most a share ``false_rate`` of benign videos' strengths lies.

    Raises:
        InvalidValueError: If there are none.
    """
    if not benign:
        raise InvalidValueError("benign", "the strength in at least one benign video", "none")
    allowed = int(false_rate * len(benign) + 1e-9)
    return sorted(benign, reverse=True)[min(allowed, len(benign) - 1)]
