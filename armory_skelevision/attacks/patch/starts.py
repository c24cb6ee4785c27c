"""First patches: grey, random colours, or decoys that look like the target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from armory_skelevision.attacks.patch.scene import PatchScene

Start = Literal["grey", "random", "decoy"]

# Around the target in a decoy, as a share of its width and height: the tracker's template shows some of it too.
DECOY_MARGIN = 0.15


def make_start(kind: Start, scenes: Sequence[PatchScene], seed: int, number: int = 0) -> Tensor:
    """A first patch (h, w, 3), RGB in [0, 1], as large as the largest screen of the scenes, on the CPU.

    Args:
        kind: "grey" (.5 everywhere), "random" (uniform colours) or "decoy" (see `make_decoy`).
        scenes: The videos; a decoy shows the target of the first one.
        seed: Seed of random colours.
        number: Of the start, of several with the same seed; no two seeds share their further starts.
    """
    patch_hw = max(scene.patch_hw[0] for scene in scenes), max(scene.patch_hw[1] for scene in scenes)
    if kind == "decoy":
        return make_decoy(scenes[0], patch_hw)
    if kind == "grey":
        return torch.full((*patch_hw, 3), 0.5, dtype=torch.float32)
    mixed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1) if number else seed
    return torch.rand((*patch_hw, 3), generator=torch.Generator().manual_seed(mixed), dtype=torch.float32)


def make_decoy(scene: PatchScene, patch_hw: tuple[int, int]) -> Tensor:
    """A patch (h, w, 3), RGB in [0, 1], full of pictures of the target in frame 0, in its size in that frame.

    To a tracker that compares with frame 0 they look like the target from the first step on.
    """
    x1, y1, x2, y2 = scene.truth_xyxy[0].tolist()
    margin_x, margin_y = DECOY_MARGIN * (x2 - x1), DECOY_MARGIN * (y2 - y1)
    rows = slice(max(int(y1 - margin_y), 0), max(min(int(y2 + margin_y), scene.video.height), 1))
    columns = slice(max(int(x1 - margin_x), 0), max(min(int(x2 + margin_x), scene.video.width), 1))
    picture = scene.video.pixels(0, (rows, columns)).permute(1, 2, 0).cpu()
    times = [math.ceil(side / length) for side, length in zip(patch_hw, picture.shape[:2], strict=True)]
    tiled = picture.repeat(*times, 1)
    top, left = ((length - side) // 2 for length, side in zip(tiled.shape[:2], patch_hw, strict=True))
    return tiled[top : top + patch_hw[0], left : left + patch_hw[1]].clone()
