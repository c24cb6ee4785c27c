"""The weights that come with the package, on videos of seeds that they were not trained on."""

import numpy as np
import pytest
import torch

from armory_skelevision.attacks import PGD
from armory_skelevision.boxes import iou
from armory_skelevision.datasets.walker_files import WalkerVideo, read_split
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.defenses import DuaLossDef
from armory_skelevision.models import SiamRPNEstimator, siamrpn_mtl, siamrpn_stl

pytestmark = pytest.mark.slow

VIDEOS = read_split(SPLITS / "mini")


def track(estimator: SiamRPNEstimator, video: WalkerVideo) -> dict[str, np.ndarray]:
    frames = video.read_frames()[None].astype(np.float32) / 255
    (result,) = estimator.predict(frames, y_init=video.boxes_xyxy[:1])
    return result


@pytest.mark.parametrize("model", [siamrpn_stl, siamrpn_mtl])
def test_people_are_tracked(model) -> None:
    estimator = model({}, {})
    for video in VIDEOS:
        boxes_xyxy = track(estimator, video)["boxes"]
        overlap = iou(torch.as_tensor(boxes_xyxy), torch.as_tensor(video.boxes_xyxy))
        assert overlap[1:].mean() > 0.65
        assert overlap[-1] > 0.3, "lost on the way"


def test_dualossdef_wins_back_some_of_what_pgd_took() -> None:
    bare, defended = siamrpn_stl({}, {}), siamrpn_stl({}, {})
    defended.set_params(preprocessing_defences=[DuaLossDef("dualossdef_small.safetensors")])
    video = VIDEOS[2]
    x = video.read_frames()[None, :8].astype(np.float32) / 255
    y = [{"boxes": video.boxes_xyxy[:8]}]
    attack = PGD(bare, eps=8 / 255, eps_step=2 / 255, max_iter=5, verbose=False)
    shown = {"clean": x, "attacked": attack.generate(x=x, y=y)}

    def mean_iou(estimator: SiamRPNEstimator, frames: np.ndarray) -> float:
        (found,) = estimator.predict(frames, y_init=y[0]["boxes"][:1])
        return float(iou(torch.as_tensor(found["boxes"]), torch.as_tensor(y[0]["boxes"]))[1:].mean())

    before = {name: mean_iou(bare, frames) for name, frames in shown.items()}
    after = {name: mean_iou(defended, frames) for name, frames in shown.items()}
    assert before["attacked"] < before["clean"] - 0.1
    assert after["clean"] > before["clean"] - 0.05
    assert after["attacked"] > before["attacked"] + 0.02  # it was trained in front of another tracker


def test_keypoints_lie_on_the_body() -> None:
    estimator, errors = siamrpn_mtl({}, {}), []
    for video in VIDEOS:
        keypoints, truth = track(estimator, video)["keypoints"], video.keypoints[0]
        width, height = video.boxes_xyxy[0, 2:] - video.boxes_xyxy[0, :2]
        distance = np.linalg.norm(keypoints[:, :2] - truth[:, :2], axis=1) / max(width, height)
        errors.extend(distance[truth[:, 2] > 0])
    assert np.mean(np.array(errors) < 0.2) > 0.7
