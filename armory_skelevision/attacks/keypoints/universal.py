"""One perturbation that hides the keypoints of people it has never seen.

After Moosavi-Dezfooli et al. 2017, with the sign of the summed gradient in place of DeepFool, which needs classes.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from art.attacks.attack import EvasionAttack
from art.attacks.evasion import ProjectedGradientDescentNumpy
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin

from armory_skelevision.attacks.interface import stack_videos
from armory_skelevision.attacks.keypoints.persons import Person, read_persons
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, box_of_template, check_pose_tracker, cut_template
from armory_skelevision.io import atomic_write
from armory_skelevision.models.inputs import check_flag, check_positive, check_whole
from armory_skelevision.tracking.frames import inner_region
from armory_skelevision.tracking.state import initial_state, template_window


class KeypointUniversal(EvasionAttack):  # type: ignore[misc]
    """One perturbation of template crops for all people, laid over the place in frame 0 that the template is cut from.

    It is learnt from all videos that `generate` is given together, in Python; ARMORY hands over one at a time, so a
    config names a file in which it was kept.

    Args:
        estimator: A tracker of ours with a keypoint head.
        eps_255: Largest change of a colour, in units of 1/255.
        max_iter: Number of steps, each over all people.
        perturbation: A file (.npy) that `export` wrote, to be shown as it is; None learns one.
        export: Where to write what was learnt (.npy), or None.
        verbose: Show a progress bar (on terminals).

    Raises:
        ValueError: For a setting out of range, a tracker without a keypoint head, or a file that does not fit.
        FileNotFoundError: If there is no such file.
    """

    attack_params = [
        *EvasionAttack.attack_params,
        *("eps_255", "max_iter", "perturbation", "export", "verbose"),
    ]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin, ObjectTrackerMixin)

    def __init__(
        self,
        estimator: Any,
        eps_255: float = 8,
        max_iter: int = 20,
        perturbation: str | os.PathLike[str] | None = None,
        export: str | os.PathLike[str] | None = None,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps_255 = eps_255
        self.max_iter = max_iter
        self.perturbation = perturbation
        self.export = export
        self.verbose = verbose
        self._check_params()
        self._shown = None if perturbation is None else self._read(Path(perturbation))

    def generate(
        self, x: Any, y: Any = None, y_patch_metadata: Sequence[Mapping[str, Any]] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Lay one perturbation over all videos; see `KeypointIGSM.generate`.

        Raises:
            ValueError, TypeError: As there, or if it is to be learnt from a single video.
        """
        persons = read_persons(x, y, y_patch_metadata, kwargs)
        shown = self._shown
        if shown is None:
            shown = self._learn_from(x, persons)
            if self.export is not None:
                buffer = io.BytesIO()
                np.save(buffer, shown, allow_pickle=False)
                atomic_write(self.export, buffer.getvalue())
        videos = [self._lay(np.array(video), person, shown) for video, person in zip(x, persons, strict=True)]
        return stack_videos(videos, videos[0].dtype)

    def learn(self, crops: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        """The perturbation (s, s, 3), in [-eps, eps], that hides keypoints (N, 17, 3) in template crops (N, s, s, 3).

        The same for the same crops: nothing here is random.
        """
        boxes = np.repeat(box_of_template(self.estimator)[None], len(crops), axis=0)
        eps = self.eps_255 / 255
        algorithm = ProjectedGradientDescentNumpy(
            PoseEstimator(self.estimator, boxes, base=crops),
            eps=eps,
            eps_step=min(2.5 * eps / self.max_iter, eps),
            max_iter=self.max_iter,
            batch_size=1,
            verbose=self.verbose and sys.stderr.isatty(),
        )
        start = np.zeros_like(crops[:1], dtype=np.float32)
        return np.asarray(algorithm.generate(x=start, y=keypoints[None])[0])

    def _learn_from(self, x: Any, persons: Sequence[Person]) -> np.ndarray:
        if len(persons) < 2:
            raise ValueError(
                "perturbation: one video teaches nothing universal. Learn from many in Python, with 'export', and "
                "name that file as 'perturbation'; see docs/keypoints.md"
            )
        cut = [
            cut_template(self.estimator, video[0], person.box_xyxy, person.keypoints)
            for video, person in zip(x, persons, strict=True)
        ]
        return self.learn(np.stack([crop for crop, _ in cut]), np.stack([points for _, points in cut]))

    def _lay(self, video: np.ndarray, person: Person, shown: np.ndarray) -> np.ndarray:
        height, width = video.shape[1:3]
        window = template_window(initial_state(torch.from_numpy(person.box_xyxy)), self.estimator.settings)
        planes = torch.from_numpy(shown).permute(2, 0, 1)[None]
        fitted = F.interpolate(planes, size=(window.side, window.side), mode="bilinear", align_corners=False)
        (rows, columns), (inner_rows, inner_columns) = inner_region(window, width, height)
        change = fitted[0].permute(1, 2, 0).numpy()[inner_rows, inner_columns]
        video[0, rows, columns] = (video[0, rows, columns] + change).clip(0, 1)
        return video

    def _read(self, path: Path) -> np.ndarray:
        shown = np.load(path, allow_pickle=False)
        size = self.estimator.settings.exemplar_size
        if shown.shape != (size, size, 3) or not np.isfinite(shown).all():
            raise ValueError(f"{path}: expected a finite perturbation ({size}, {size}, 3), got {shown.shape}")
        largest = float(np.abs(shown).max()) * 255
        if largest > self.eps_255 * (1 + 1e-5):
            raise ValueError(f"{path}: changes colours by {largest:.3g}/255, more than eps_255 {self.eps_255:g} allows")
        return np.asarray(shown, np.float32)

    def _check_params(self) -> None:
        super()._check_params()
        check_pose_tracker(self.estimator)
        check_positive("eps_255", self.eps_255)
        check_whole("max_iter", self.max_iter)
        check_flag("verbose", self.verbose)
