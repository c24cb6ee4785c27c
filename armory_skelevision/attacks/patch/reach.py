"""How far a patch can reach: in which frames a perfect distractor on the screen could win at all.

A tracker ranks proposals by ``(1 - w) * score + w * hann``, w being its window influence and hann a cosine window
around the previous position. Against a target in the middle (hann 1) whose score is 0, a distractor of score 1 wins
only where ``hann > 1 - (1 - w) / w``. A target that has moved since the frame before has a lower hann itself, so fast
ones are easier to draw away than this says. Elsewhere a patch can still bend the chosen box, and let it drift until it
comes into reach; but a heavy window is no robustness of the weights.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.patch.scene import PatchScene
from armory_skelevision.attacks.patch.screen import coverage
from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.tracking import TrackerSettings, TrackerState
from armory_skelevision.tracking.tracker import crop_scale
from armory_skelevision.tracking.windows import initial_state


def frames_in_reach(scene: PatchScene, settings: TrackerSettings, score_size: int) -> np.ndarray:
    """Whether a perfect distractor on the visible screen could win against the target, for each frame but the first.

    The tracker is taken to have held the target until then: each window follows from the true box before.

    Args:
        scene: The video, its target and its screen, F frames.
        settings: Constants of the tracker.
        score_size: Side of its response map; see `response_size`.

    Returns:
        (F - 1,) bool.
    """
    needed = 2 - 1 / settings.window_influence if settings.window_influence else -np.inf
    states = [initial_state(box_xyxy, settings) for box_xyxy in scene.truth_xyxy[:-1]]
    windows = [_highest_window(scene, index, state, settings, score_size) for index, state in enumerate(states, 1)]
    return np.array(windows) > needed


def response_size(network: SiameseNetwork, settings: TrackerSettings) -> int:
    """Side of the response map of a network for search crops of the size in ``settings``."""
    # On the device "meta", shapes are all that is computed.
    weights = {name: values.to("meta") for name, values in network.state_dict().items()}
    crops = (torch.empty(1, 3, side, side, device="meta") for side in (settings.exemplar_size, settings.instance_size))
    with torch.no_grad():
        output = torch.func.functional_call(network, weights, tuple(crops))
    return int(output.cls.shape[-1])


def _highest_window(
    scene: PatchScene, index: int, state: TrackerState, settings: TrackerSettings, score_size: int
) -> float:
    """The highest value of the cosine window among the positions whose cell shows the screen in frame ``index``.

    Minus infinity where none does.
    """
    view = scene.views[index]
    if view is None:
        return -np.inf
    painted = coverage(view.edges, view.region, scene.truth_xyxy).numpy() > 0
    rows, columns = np.nonzero(painted & view.mask[view.region])
    visible_xy = torch.from_numpy(np.stack([columns + view.region[1].start, rows + view.region[0].start], axis=1) + 0.5)
    in_crop = (visible_xy - state.box_cxcywh[:2]) * crop_scale(state, settings)
    position = (in_crop / settings.stride).round().long() + score_size // 2
    inside = position[((position >= 0) & (position < score_size)).all(dim=1)]
    hann: Tensor = torch.hann_window(score_size, periodic=False, dtype=torch.float64)
    return float(hann[inside].prod(dim=1).max()) if len(inside) else -np.inf
