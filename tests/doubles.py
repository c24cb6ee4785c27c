"""Small stand-ins: a random tracker, trackers whose behaviour is known in closed form, and a scene with a screen."""

from copy import deepcopy
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.estimators.object_tracking.object_tracker import ObjectTrackerMixin
from safetensors.torch import save_file

from armory_skelevision.defenses import DuaLossDef
from armory_skelevision.models import SiameseEstimator, SiamRPNEstimator
from armory_skelevision.networks import NanoTrack, RPNOutput, SiamFCpp, SiamRPN, SiamRPNpp
from armory_skelevision.networks.heads import depthwise_xcorr
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.tracking import MultiLevelSettings, PointSettings, QualitySettings, TrackerSettings

SMALL = TrackerSettings(instance_size=191)
"""Search crops of less than half the pixels, for tests that do not ask for PySOT's."""


@cache
def _siamrpn(seed, keypoint_head):
    torch.manual_seed(seed)
    network = SiamRPN(keypoint_head=keypoint_head)
    with torch.no_grad():
        for branch in (network.rpn_head.cls, network.rpn_head.loc):
            branch.head[3].weight *= 0.01
            branch.head[3].bias.zero_()
    return network


def random_estimator(seed=0, keypoint_head=None, dtype=torch.float32, **kwargs):
    """Our estimator around random weights, on the CPU, whose answers are moderate as a trained network's are."""
    network = deepcopy(_siamrpn(seed, keypoint_head)).to(dtype)
    return SiamRPNEstimator(network, device_type="cpu", **kwargs)


@cache
def _nanotrack(version, dtype):
    torch.manual_seed(version)
    network = NanoTrack(version).to(dtype)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(*(torch.rand(4, 3, side, side, dtype=dtype) * 255 for side in (127, 255)))  # sets the normalisation
        network.ban_head.bbox_pred[0].bias.copy_(torch.tensor([20.0, 45, 20, 45]).log())
    return network.eval().requires_grad_(False)


def random_nanotrack(version=3, dtype=torch.float32):
    """Random weights whose answers are moderate, as a trained network's: standing boxes, and scores that differ."""
    return deepcopy(_nanotrack(version, dtype))


def random_nanotrack_estimator(version=3, **kwargs):
    """NanoTrack's estimator around random weights, on the CPU."""
    return SiameseEstimator(random_nanotrack(version), PointSettings(), device_type="cpu", **kwargs)


SMALL_LEVELS = MultiLevelSettings(instance_size=175)
"""Search crops of half the pixels, for tests that do not ask for PySOT's."""


@cache
def _siamrpnpp(architecture):
    torch.manual_seed(1)
    network = SiamRPNpp(architecture)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    frames = torch.from_numpy(screen_scene(frames=2)[0][0][..., ::-1].copy()).permute(0, 3, 1, 2) * 255
    with torch.no_grad():
        # Sets the normalisation. Pictures of another kind would have much larger features.
        network(*(F.interpolate(frames[:, :, 20:100, 30:110], size=(side, side)) for side in (127, 175)))
        for rpn in (network.rpn_head.rpn2, network.rpn_head.rpn3, network.rpn_head.rpn4):
            rpn.loc.head[3].weight *= 0.3
    return network.eval().requires_grad_(False)


def random_siamrpnpp(architecture="siamrpn_mobilev2_l234_dwxcorr", dtype=torch.float32):
    """SiamRPN++ with random weights whose answers are moderate, as a trained network's are."""
    return deepcopy(_siamrpnpp(architecture)).to(dtype)


def random_siamrpnpp_estimator(architecture="siamrpn_mobilev2_l234_dwxcorr", settings=SMALL_LEVELS, **kwargs):
    """Its estimator, on the CPU, with smaller search crops."""
    return SiamRPNEstimator(random_siamrpnpp(architecture), settings, device_type="cpu", **kwargs)


@cache
def _siamfcpp():
    torch.manual_seed(2)
    network = SiamFCpp()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    frames = torch.from_numpy(screen_scene(frames=2)[0][0][..., ::-1].copy()).permute(0, 3, 1, 2) * 255
    with torch.no_grad():
        network(*(F.interpolate(frames[:, :, 20:100, 30:110], size=(side, side)) for side in (127, 303)))
        network.head.bbox_offsets_p5.bn.weight *= 0.1
        network.head.bbox_offsets_p5.bn.bias.copy_(torch.tensor([20.0, 45, 20, 45]).log() - np.log(8))
    return network.eval().requires_grad_(False)


def random_siamfcpp(dtype=torch.float32):
    """SiamFC++ with random weights whose answers are moderate: standing boxes, and scores that differ."""
    return deepcopy(_siamfcpp()).to(dtype)


def random_siamfcpp_estimator(**kwargs):
    """Its estimator, on the CPU, with smaller search crops."""
    return SiameseEstimator(random_siamfcpp(), QualitySettings(instance_size=207), device_type="cpu", **kwargs)


class TinySiamRPN(SiamRPN):
    """A thousandth of the work, and smooth: one convolution for a backbone, and SiamRPN's answer by a correlation."""

    def __init__(self, seed=0):
        torch.nn.Module.__init__(self)
        torch.manual_seed(seed)
        convolution = torch.nn.Conv2d(3, 8, 15, stride=8)
        self.backbone = torch.nn.Sequential(convolution, torch.nn.Tanh())
        self.answer = torch.nn.Conv2d(8, 30, 1)
        self.keypoint_head = None
        with torch.no_grad():
            convolution.weight *= 1 / 64  # of colours from 0 to 255
            self.answer.bias.zero_()

    def forward_head(self, z_features, x_features):
        answer = self.answer(depthwise_xcorr(x_features, z_features) / 10)
        return RPNOutput(answer[:, :10], 0.05 * answer[:, 10:])


def tiny_estimator(*defenses, seed=0, dtype=torch.float32):
    """Our estimator around the tiny network, with smaller search crops, and with defenses set as ARMORY does."""
    estimator = SiamRPNEstimator(TinySiamRPN(seed).to(dtype), SMALL, device_type="cpu")
    estimator.set_params(preprocessing_defences=list(defenses))
    return estimator


def cleaner(folder, identity=False, **kwargs):
    """DuaLossDef on the CPU with weights from a file: random ones, or those that change nothing."""
    torch.manual_seed(0)
    network = UNETS["small"]()
    if not identity:
        torch.nn.init.normal_(network.last.weight, std=0.02)
    path = folder / ("identity.safetensors" if identity else "random.safetensors")
    save_file(network.state_dict(), path)
    return DuaLossDef(path, width="small", device_type="cpu", **kwargs)


class KnownTracker(ObjectTrackerMixin, LossGradientsMixin, BaseEstimator):
    """A third-party tracker: it gets whole frames only; subclasses define its boxes."""

    channels_first = False
    device = torch.device("cpu")
    estimator_params = BaseEstimator.estimator_params
    native_label_is_pytorch_format = True
    input_shape = (None, None, None, 3)

    def __init__(self):
        super().__init__(model=torch.nn.Identity(), clip_values=(0.0, 1.0))

    def predict(self, x, batch_size=1, *, y_init=None):
        is_array = isinstance(x, np.ndarray)
        videos = torch.tensor(x) if is_array else x
        boxes = [self.boxes(video, torch.as_tensor(box).float()) for video, box in zip(videos, y_init, strict=True)]
        return [{"boxes": box.numpy() if is_array else box} for box in boxes]

    def fit(self, x, y, **kwargs):
        raise NotImplementedError

    def loss_gradient(self, x, y, **kwargs):
        videos = torch.tensor(x, requires_grad=True)
        boxes = self.predict(videos, y_init=[label["boxes"][0] for label in y])
        loss = sum(
            (box["boxes"] - torch.tensor(label["boxes"])).abs().sum() for box, label in zip(boxes, y, strict=True)
        )
        return torch.autograd.grad(loss, videos)[0].numpy()


class IdentityTracker(KnownTracker):
    """Repeats the first box, whatever it sees."""

    def boxes(self, video, box_xyxy):
        return box_xyxy.repeat(len(video), 1) + 0 * video.sum()


class ColourTracker(KnownTracker):
    """Moves the first box by ``weights`` . (mean colour of the frame), so that the best patch is known: each channel of
    a positive weight at 1, each of a negative at 0."""

    weights = torch.tensor([40.0, -30.0, 20.0])

    def boxes(self, video, box_xyxy):
        return box_xyxy + (video.mean(dim=(1, 2)) @ self.weights)[:, None]


def unaligned(array):
    """A copy of an array whose numbers begin between those of its memory."""
    raw = np.empty(array.nbytes + 1, dtype=np.uint8)
    shifted = raw[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    return shifted


def overlaps(a_xyxy, b_xyxy):
    """Intersection over union of boxes (N, 4) with boxes (N, 4), in plain NumPy."""
    low, high = np.maximum(a_xyxy[:, :2], b_xyxy[:, :2]), np.minimum(a_xyxy[:, 2:], b_xyxy[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a_xyxy, b_xyxy)]
    return common / (areas[0] + areas[1] - common)


def screen_scene(frames=5, height=120, width=160, seed=0):
    """A video with a green screen that drifts behind a person-sized block.

    Returns:
        x (1, F, H, W, 3) float32, labels, and ARMORY's patch metadata.
    """
    rng = np.random.default_rng(seed)
    x = rng.random((1, frames, height, width, 3), dtype=np.float32) * 0.2 + 0.4
    corners = np.empty((frames, 4, 2), dtype=np.int64)
    masks = np.zeros((frames, height, width, 3), dtype=np.uint8)
    boxes = np.empty((frames, 4), dtype=np.float32)
    for t in range(frames):
        corners[t] = [[40 + t, 25], [110 + t, 30], [108 + t, 88], [42 + t, 92]]
        inside = (slice(30, 88), slice(44 + t, 108 + t))
        x[0, t][inside] = np.array([0, 0.5647, 0.2275], dtype=np.float32) * (0.9 + 0.02 * t)
        masks[t][slice(24, 93), slice(39 + t, 112 + t)] = 1
        boxes[t] = [60 + 2 * t, 40, 80 + 2 * t, 85]
        person = (slice(40, 85), slice(60 + 2 * t, 80 + 2 * t))
        x[0, t][person] = [0.8, 0.2, 0.3]
        masks[t][person] = 0
    return x, [{"boxes": boxes}], [{"gs_coords": corners, "masks": masks}]
