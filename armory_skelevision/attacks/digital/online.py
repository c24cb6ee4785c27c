"""Attacks that act while the tracker runs: each frame is attacked knowing what the tracker made of those before it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from art.attacks.attack import EvasionAttack
from torch import Tensor

from armory_skelevision.attacks.interface import check_call, stack_videos
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.models.inputs import check_box, check_flag, check_labels, check_whole
from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import State, VideoFrames, Window
from armory_skelevision.tracking.frames import as_tensor
from armory_skelevision.tracking.state import initial_state, search_window
from armory_skelevision.tracking.tracker import propose, update


class Pursuit:
    """One target followed through a video while an attack rewrites the frames to come.

    Frames are read as they stand, by the tracker's own functions. Once a frame is final, `advance` finds the same box
    that tracking the finished video will find.

    Args:
        estimator: Our tracker.
        video: (F, H, W, 3) float32 RGB on the estimator's device; frames from 1 on may be written to.
        box_xyxy: The target in frame 0, (4,), pixels. Frame 0 gives the template, and is tracked at once.
    """

    def __init__(self, estimator: SiameseEstimator, video: Tensor, box_xyxy: Tensor) -> None:
        self.video = video
        self.frames = VideoFrames(video)
        self.settings = estimator.settings
        # As in the tracker, what passes from frame to frame is kept and computed on the CPU.
        self.state = initial_state(box_xyxy.cpu())
        self.crops = estimator.crops(self.frames, box_xyxy)
        self._network = estimator.model
        with torch.no_grad():
            self._template = self._network.embed(self.crops.template)
        self.advance(0)

    @property
    def window(self) -> Window:
        """Where the tracker looks in the next frame."""
        return search_window(self.state, self.settings)

    def predict_head(self, crop: Tensor) -> RPNOutput:
        """The heads' output for a search crop (1, 3, size, size), the network's input; keeps a graph."""
        output: RPNOutput = self._network.predict_head(self._template, self._network.embed(crop))
        return output

    @torch.no_grad()
    def look(self, index: int) -> State:
        """Where the tracker would find the target in frame ``index``, the next one, as it stands."""
        output = self.predict_head(self.crops.search(index, self.window))
        return update(
            self.state, propose(output, self.settings), (self.frames.width, self.frames.height), self.settings
        )

    def advance(self, index: int) -> None:
        """Track frame ``index``, which is final."""
        self.state = self.look(index)


class OnlineAttack(EvasionAttack):  # type: ignore[misc]
    """What attacks have in common that act frame by frame, as the tracker runs.

    Frame 0 stays clean: it gives the template, and the published attacks start with the first frame searched after it.
    No true boxes are needed but that of frame 0.

    Args:
        estimator: Our tracker, without preprocessors of whole frames.
        seed: Seed of what is drawn; each video starts from it anew.
        verbose: Show a progress bar (on terminals).
    """

    attack_params = [*EvasionAttack.attack_params, "seed", "verbose"]
    _estimator_requirements: tuple[type, ...] = (SiameseEstimator,)

    def __init__(self, estimator: SiameseEstimator, seed: int, verbose: bool) -> None:
        super().__init__(estimator=estimator)
        self.seed = seed
        self.verbose = verbose

    def generate(
        self,
        x: Any,
        y: Any = None,
        y_patch_metadata: Sequence[Mapping[str, Any]] | None = None,
        y_init: Any = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Attack each video on its own.

        Args:
            x: Videos (N, F, H, W, 3), RGB in [0, 1].
            y: True boxes, ``[{"boxes": (F, 4)}, …]``, of which only the first of each video is used.
            y_patch_metadata: What ARMORY hands to every attack; not used here.
            y_init: The targets in frame 0, (N, 4), instead of ``y``.

        Returns:
            The perturbed videos, same shape and dtype as ``x``.

        Raises:
            ValueError, TypeError: For input that does not fit together, or an estimator with preprocessors.
        """
        check_call(x, kwargs, ["x", "y", "y_init", "y_patch_metadata"])
        self._check_reach()
        first_boxes = [boxes[0] for boxes in check_labels(y, x)] if y_init is None else y_init
        if len(first_boxes) != len(x):
            raise ValueError(f"y_init: expected {len(x)} boxes, one per video, got {len(first_boxes)}")
        attacked = []
        for index, (video, box) in enumerate(zip(x, first_boxes, strict=True)):
            box_xyxy = check_box(box, video.shape[2], video.shape[1], f"first box of video {index}")
            written = as_tensor(video, self.estimator.device).float().clone()
            generator = torch.Generator().manual_seed(self.seed)
            self._attack_frames(Pursuit(self.estimator, written, box_xyxy), generator)
            attacked.append(written.cpu().numpy())
        return stack_videos(attacked, x.dtype)

    @abstractmethod
    def _attack_frames(self, pursuit: Pursuit, generator: torch.Generator) -> None:
        """Write to the video's frames from 1 on, in order, and advance after each."""

    def _check_reach(self) -> None:
        names = [type(operation).__name__ for operation in self.estimator.frame_operations]
        if names:
            raise ValueError(
                f"{type(self).__name__} works frame by frame and cannot see through preprocessors of whole videos "
                f"({', '.join(names)}); use PGD, which can, or attack an estimator without them"
            )

    def _check_params(self) -> None:
        super()._check_params()
        check_whole("seed", self.seed, least=0)
        check_flag("verbose", self.verbose)
