"""One perturbation that hides the keypoints of people it was not learnt from.

After Moosavi-Dezfooli et al. 2017, with the sign of the summed gradient in place of DeepFool, which needs classes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from armory_skelevision.attacks.interface import Metadata, check_call, dtype_of, stack_videos
from armory_skelevision.attacks.keypoints.gradient import KeypointIGSM
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, box_of_template, cut_template
from armory_skelevision.attacks.keypoints.poses import TruePose, read_true_poses
from armory_skelevision.io import atomic_write, printable, refuse_existing
from armory_skelevision.io.arrays import read_array
from armory_skelevision.tracking.frames import inner_region
from armory_skelevision.tracking.windows import initial_state, template_window
from armory_skelevision.validation import AnyPath, InvalidValueError, Iterations, PositiveFraction, StructuredError


class KeypointUniversal(KeypointIGSM):
    """One perturbation of template crops for all people, added where the template is cut from frame 0.

    The steps are those of `KeypointIGSM`, untargeted, along the gradient of the sum of all people's losses.
    It is learnt from all videos that one call of `generate` receives, in Python. ARMORY passes one video at a time, so
    a config gives the file of a perturbation that was learnt before.

    Args:
        max_iter: Number of steps, each over all people; a step is ``2.5 * eps / max_iter``, at most ``eps``.
        perturbation: A .npy file that ``export`` wrote, which is added unchanged; None learns a new one.
        export: A new file for the learnt perturbation (.npy); None writes nothing.

    Raises:
        InvalidValueError: For a setting out of range, a tracker without a keypoint head, or a perturbation of another
            size or beyond ``eps``.
        MissingFileError: If there is no file ``perturbation``.
    """

    def __init__(
        self,
        estimator: Any,
        eps: PositiveFraction = 8 / 255,
        max_iter: Iterations = 20,
        perturbation: AnyPath | None = None,
        export: AnyPath | None = None,
        verbose: bool = True,
    ) -> None:
        self.perturbation = perturbation
        self.export = export
        super().__init__(estimator, eps=eps, max_iter=max_iter, verbose=verbose)

    def generate(self, x: Any, y: Any = None, y_patch_metadata: Metadata = None, **kwargs: Any) -> np.ndarray:
        """Add one perturbation to all videos; arguments, result and errors are those of `KeypointIGSM.generate`.

        Raises:
            InvalidValueError: Also for a single video to learn from, or if there is a file ``export`` already.
        """
        if self._loaded is None and self.export is not None:
            refuse_existing(self.export, "export")
        given = check_call(x, kwargs, ["x", "y", "y_patch_metadata"], self.min_frames)
        poses = read_true_poses(given, y, y_patch_metadata)
        perturbation = self._loaded
        if perturbation is None:
            perturbation = self._learn_from_videos(given, poses)
            if self.export is not None:
                buffer = io.BytesIO()
                np.save(buffer, perturbation, allow_pickle=False)
                atomic_write(self.export, buffer.getvalue(), new=True)
        videos = [self._add(perturbation, np.array(video), pose) for video, pose in zip(given, poses, strict=True)]
        return stack_videos(videos, dtype_of(x, given))

    def learn(self, crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """Learn a perturbation; nothing here is random.

        Args:
            crops: Template crops (N, s, s, 3), RGB in [0, 1]; see `cut_template`.
            keypoints: The true keypoints (N, 17, 3), in pixels of the crops.

        Returns:
            (s, s, 3) float32 in [-eps, eps].
        """
        boxes_xyxy = np.repeat(box_of_template(self.estimator)[None], len(crops), axis=0)
        pose = PoseEstimator(self.estimator, boxes_xyxy, base=crops)
        pose.check_keypoints(keypoints)
        algorithm = self._algorithm(pose, 1)
        start = np.zeros_like(crops[:1], dtype=np.float32)
        return np.asarray(self._run_steps(algorithm, type(self).__name__, start, keypoints[None])[0])

    def _learn_from_videos(self, x: Any, poses: Sequence[TruePose]) -> np.ndarray:
        if len(poses) < 2:
            expected = "a file where there is a single video, from which nothing universal can be learnt"
            fix = "learn one in Python from many videos, with 'export', and give that file; see docs/keypoints.md"
            raise InvalidValueError("perturbation", expected, "none", fix)
        cuts = [cut_template(self.estimator, video[0], *pose) for video, pose in zip(x, poses, strict=True)]
        return self.learn(*(np.stack(parts) for parts in zip(*cuts, strict=True)))

    def _check_params(self) -> None:
        super()._check_params()
        self._loaded = None if self.perturbation is None else self._load(self.perturbation)

    def _add(self, perturbation: np.ndarray, video: np.ndarray, pose: TruePose) -> np.ndarray:
        """Add a perturbation (s, s, 3) to frame 0 of a video (F, H, W, 3), in place."""
        height, width = video.shape[1:3]
        settings = self.estimator.settings
        window = template_window(initial_state(torch.from_numpy(pose.box_xyxy), settings), settings)
        planes = torch.from_numpy(perturbation).permute(2, 0, 1)[None]
        resized = F.interpolate(planes, size=(window.side, window.side), mode="bilinear", align_corners=False)
        (rows, columns), (inner_rows, inner_columns) = inner_region(window, width, height)
        change = resized[0].permute(1, 2, 0).numpy()[inner_rows, inner_columns]
        video[0, rows, columns] = (video[0, rows, columns] + change).clip(0, 1)
        return video

    def _load(self, path: str | os.PathLike[str]) -> np.ndarray:
        try:
            perturbation: np.ndarray = read_array(path)
        except StructuredError as error:
            raise error.named_by("perturbation") from None
        size = self.estimator.settings.exemplar_size
        if perturbation.shape != (size, size, 3) or perturbation.dtype.kind != "f":
            got = f"{perturbation.dtype} {perturbation.shape} in {printable(path)}"
            raise InvalidValueError("perturbation", f"floats ({size}, {size}, 3)", got)
        largest = float(np.abs(perturbation).max())
        if not largest <= self.eps * (1 + 1e-5):  # not so for NaN
            expected = f"finite values within the bound eps = {self.eps:.4g}"
            raise InvalidValueError("perturbation", expected, f"{largest:.4g} in {printable(path)}")
        return np.asarray(perturbation, np.float32)
