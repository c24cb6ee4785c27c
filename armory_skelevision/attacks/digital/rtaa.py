"""RTAA: the search crop perturbed frame by frame, with the tracker's gradient (Jia et al., ECCV 2020)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.attacks.digital.online import OnlineAttack, TrackingSession
from armory_skelevision.boxes import cxcywh_to_xyxy, iou
from armory_skelevision.models import SiamRPNEstimator
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import Window
from armory_skelevision.tracking.anchors import NEGATIVE_IOU, POSITIVE_IOU, anchors_cxcywh, decode, encode
from armory_skelevision.tracking.frames import inner_region
from armory_skelevision.tracking.windows import context_side, resize_crop, search_window
from armory_skelevision.validation import Count, Iterations, PositiveFraction, Seed

# Weight of the box terms of the loss relative to the score terms, from the published code.
REGRESSION_WEIGHT = 5.0


class RTAA(OnlineAttack):
    """Perturbs each search window so that the head scores background as target and regresses to a pseudo box.

    The published attack perturbs the resized crop. Here, the pixels of the frame inside the window are perturbed,
    through the resizing, so that tracking the finished video gives the boxes that the attack computed. Each frame
    starts with the perturbation of the one before, resampled where the window has another size.

    The loss is minimised in steps of ``eps / max_iter`` along the sign of the gradient; see `rtaa_loss`. The box
    predicted in the previous frame stands for the true one. The pseudo box is drawn at every step: its centre is .3 to
    .5 of the width and height away, its size is .7 to .9 of the box's. The side to which it is moved is drawn at every
    reset.

    Args:
        estimator: A SiamRPN or SiamRPN++ tracker, whose head has anchors, without preprocessors of whole frames.
        eps: Bound (l∞) of the perturbation, in (0, 1]; colours lie in [0, 1].
        max_iter: Steps per frame.
        reset_every: Number of frames after which the perturbation is reset to zero.
    """

    # The loss is one of anchors and offsets from them.
    _estimator_requirements = (SiamRPNEstimator,)

    def __init__(
        self,
        estimator: Any,
        eps: PositiveFraction = 10 / 255,
        max_iter: Iterations = 10,
        reset_every: Count = 30,
        seed: Seed = 0,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator, eps=eps, max_iter=max_iter, reset_every=reset_every, seed=seed, verbose=verbose)

    def _attack_frames(self, session: TrackingSession, generator: torch.Generator) -> None:
        for index in self._progress(range(1, len(session.video)), "RTAA", "frame"):
            if index == 1 or index % self.reset_every == 0:
                direction = torch.randint(0, 2, (2,), generator=generator) * 2.0 - 1
                perturbation = session.video.new_zeros(3, 1, 1)
            perturbation = self._attack_frame(session, index, perturbation, direction, generator)
            session.advance(index)

    def _attack_frame(
        self, session: TrackingSession, index: int, start: Tensor, direction: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Perturb frame ``index`` of the video, in place, and return the perturbation of its window (3, side, side).

        ``start`` is that of the previous window, and the pseudo box is moved by ``direction``, -1 or 1 along x and y.
        """
        window = search_window(session.state, session.settings)
        (rows, columns), place = inner_region(window, session.frames.width, session.frames.height)
        clean = session.frames.window(index, window).clone()
        inside = torch.zeros_like(clean[:1])
        inside[:, place[0], place[1]] = 1  # Beyond the frame's border there is nothing to write to.
        low, high = (clean - self.eps).clamp(min=0), (clean + self.eps).clamp(max=1)
        shown = (clean + inside * resize_crop(start, window.side)).clamp(low, high)
        for _ in range(self.max_iter):
            shown.requires_grad_()
            loss = self._loss(session, shown, window, direction, generator)
            (gradient,) = torch.autograd.grad(loss, shown)
            step = self.eps / self.max_iter * gradient.sign() * inside
            shown = (shown.detach() - step).clamp(low, high)
        session.video[index, rows, columns] = shown[:, place[0], place[1]].permute(1, 2, 0)
        return shown - clean

    def _loss(
        self, session: TrackingSession, shown: Tensor, window: Window, direction: Tensor, generator: torch.Generator
    ) -> Tensor:
        settings = session.settings
        output = session.match(shown, window)
        _, _, width, height = session.state.box_cxcywh
        scale = settings.exemplar_size / context_side(width, height, settings.context)
        size = (scale * session.state.box_cxcywh[2:]).float()
        shift, shrink = (torch.rand(count, generator=generator, dtype=torch.float32) for count in (2, 1))
        pseudo = torch.cat([direction * (0.3 + 0.2 * shift) * size, (0.7 + 0.2 * shrink) * size])
        box = torch.cat([torch.zeros_like(size), size])  # The window's centre is that of the previous box.
        anchors = anchors_cxcywh(output.cls.shape[-1])
        return rtaa_loss(output, anchors.to(shown.device), *torch.stack([box, pseudo]).to(shown.device))


def rtaa_loss(output: RPNOutput, anchors: Tensor, box_cxcywh: Tensor, pseudo_cxcywh: Tensor) -> Tensor:
    """The loss that RTAA minimises (Jia et al. 2020, section 3.1).

    It is CE(flipped labels) - CE(true labels) + 5 (SmoothL1(pseudo box) - SmoothL1(true box)). As in the published
    code, the labels are those of the current proposals: target above an IoU of .6 with the true box, background below
    .3. The cross-entropies are means over all labelled proposals, the distances sums over those of the target. The
    published code takes log(w) / anchor_w for the size of a box; here it is log(w / anchor_w), on which the head was
    trained.

    Args:
        output: ``cls`` (1, 2k, S, S) and ``loc`` (1, 4k, S, S).
        anchors: (K, 4) cxcywh, K = k * S * S, in pixels of the search crop, measured from its centre.
        box_cxcywh: The box that counts as the true one, (4,), in the anchors' coordinates.
        pseudo_cxcywh: The box to regress to, (4,), in the anchors' coordinates.

    Returns:
        A scalar; 0 where nothing is labelled.
    """
    found_xyxy = cxcywh_to_xyxy(decode(output, anchors).of(0).boxes_cxcywh.detach())
    overlap = iou(found_xyxy, cxcywh_to_xyxy(box_cxcywh))
    # Places instead of masks: a GPU would have to count a mask's places, and be waited for, wherever one is used.
    target, background = (labelled.nonzero()[:, 0] for labelled in (overlap > POSITIVE_IOU, overlap < NEGATIVE_IOU))
    logits = output.cls[0].reshape(2, -1)
    # With two classes the difference of the cross-entropies is that of the logits.
    margin = logits[1] - logits[0]
    scores = (margin[target].sum() - margin[background].sum()) / max(len(target) + len(background), 1)
    offsets = output.loc[0].reshape(4, -1)[:, target]
    to_pseudo, to_box = (
        F.smooth_l1_loss(offsets, encode(wanted_cxcywh, anchors)[:, target], reduction="sum")
        for wanted_cxcywh in (pseudo_cxcywh, box_cxcywh)
    )
    return scores + REGRESSION_WEIGHT * (to_pseudo - to_box)
