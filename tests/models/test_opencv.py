"""OpenCV's trackers as they come, and NanoTrack 2 in OpenCV's beside ours."""

import copy
import warnings

import cv2
import numpy as np
import pytest
import torch
from doubles import overlaps, random_nanotrack
from own_trackers import red_video
from torch.onnx._internal.torchscript_exporter import onnx_proto_utils

from armory_skelevision.datasets import load_video
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.models import load_tracker
from armory_skelevision.models.adapter import TrackerFailedError
from armory_skelevision.models.opencv import OpenCVTracker
from armory_skelevision.validation import InvalidValueError, MissingFileError

MODULE = "armory_skelevision.models.opencv"
X, BOXES = red_video(frames=4, height=120, width=160)


def predict(tracker, x=X, boxes=BOXES):
    return tracker.predict(x, y_init=boxes[:1])[0]


def export(module, inputs, path, input_names, output_names):
    """Write a module as ONNX; PyTorch's exporter asks for the package onnx to add functions that there are none of."""
    patch = pytest.MonkeyPatch()
    patch.setattr(onnx_proto_utils, "_add_onnxscript_fn", lambda model, functions: model)
    names = {"input_names": input_names, "output_names": output_names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter that is on its way out, and of shapes that are constants here
        torch.onnx.export(module, inputs, path, dynamo=False, opset_version=14, **names)
    patch.undo()


class Head(torch.nn.Module):
    """NanoTrack's head as its author exports it: distances instead of their logarithms."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, z_features, x_features):
        output = self.head(z_features, x_features)
        return output.cls, output.loc.exp()


def export_nanotrack(network, folder):
    """The two files of a NanoTrack 2, as arguments of the factory."""
    network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    files = {"backbone": str(folder / "backbone.onnx"), "neckhead": str(folder / "neckhead.onnx")}
    export(network.backbone, torch.zeros(1, 3, 255, 255), files["backbone"], ["input"], ["output"])
    features = torch.zeros(1, 48, 8, 8), torch.zeros(1, 48, 16, 16)
    export(Head(network.ban_head), features, files["neckhead"], ["input1", "input2"], ["output1", "output2"])
    return files


@pytest.mark.parametrize("factory", [f"{MODULE}:mil", "cv2:TrackerMIL_create"])
def test_mil_tracks_without_weights(factory):
    video = load_video("walkers/mini/0")[:4]
    found = predict(load_tracker(factory), video.frames[None], video.boxes_xyxy)
    assert overlaps(found["boxes"], video.boxes_xyxy).min() > 0.6
    assert "scores" not in found


@pytest.mark.parametrize("size", [(3, 5), (4, 4), (2, 10), (1, 60)])
def test_mil_refuses_boxes_in_which_it_would_search_for_ever(size):
    with pytest.raises(TrackerFailedError, match="TrackerMIL"):
        predict(load_tracker(f"{MODULE}:mil"), boxes=np.array([[40.0, 30, 40 + size[0], 30 + size[1]]]))


def test_mil_finds_the_same_whatever_was_tracked_before():
    tracker = load_tracker(f"{MODULE}:mil")
    first, _, again = predict(tracker)["boxes"], predict(tracker, X[:, :2]), predict(tracker)["boxes"]
    np.testing.assert_array_equal(first, again)
    other = predict(load_tracker(f"{MODULE}:mil", kwargs={"seed": 1}))["boxes"]
    assert (other != first).any()


class Located:
    """Stands in for an object of OpenCV."""

    def __init__(self, answers):
        self.answers = iter(answers)

    def init(self, image, box_xywh):
        self.first = box_xywh

    def update(self, image):
        return next(self.answers)

    def getTrackingScore(self):  # noqa: N802 - OpenCV's name
        return 0.25


def test_first_boxes_are_whole_numbers_and_lost_targets_stay_where_they_were():
    inner = Located([(True, (1, 2, 3, 4)), (False, (0, 0, 0, 0))])
    tracker = OpenCVTracker(inner)
    tracker.initialize(np.zeros((9, 9, 3), np.uint8), [2.6, 3.4, 0.2, 5.5])
    assert inner.first == (3, 3, 1, 6)
    assert [tracker.track(None), tracker.track(None)] == [((1, 2, 3, 4), 0.25)] * 2


def test_nano_runs_from_files(tmp_path):
    files = export_nanotrack(random_nanotrack(2), tmp_path)
    tracker = load_tracker(f"{MODULE}:nano", kwargs=files)
    assert tracker.adapter.color == "BGR"
    found = predict(tracker)
    assert found["boxes"].shape == (4, 4) and 0 <= found["scores"].min() <= found["scores"].max() <= 1


class VitLike(torch.nn.Module):
    """Inputs and outputs as OpenCV's TrackerVit wants them: score, size and offset for each of 16 x 16 places."""

    def forward(self, template, search):
        seen = torch.nn.functional.avg_pool2d(search, 16).mean(dim=1, keepdim=True) + 0 * template.mean()
        return torch.sigmoid(seen), torch.sigmoid(torch.cat([seen, seen], 1)), torch.sigmoid(torch.cat([seen, seen], 1))


def test_vit_runs_from_a_file(tmp_path):
    net = str(tmp_path / "vit.onnx")
    inputs = torch.zeros(1, 3, 128, 128), torch.zeros(1, 3, 256, 256)
    export(VitLike(), inputs, net, ["template", "search"], ["output1", "output2", "output3"])
    found = predict(load_tracker(f"{MODULE}:vit", kwargs={"net": net}))
    assert found["boxes"].shape == (4, 4) and found["scores"].min() >= 0


@pytest.mark.parametrize(
    ("name", "keys"),
    [("nano", ("backbone", "neckhead")), ("vit", ("net",)), ("dasiamrpn", ("model", "kernel_cls1", "kernel_r1"))],
)
def test_files_that_are_missing_or_no_networks_are_named(name, keys, tmp_path):
    files = {key: str(tmp_path / f"{key}.onnx") for key in keys}
    with pytest.raises(MissingFileError) as missing:
        load_tracker(f"{MODULE}:{name}", kwargs=files)
    assert missing.value.key == f"model_kwargs.kwargs.{keys[0]}"
    for file in files.values():
        with open(file, "wb") as opened:
            opened.write(b"no network")
    with pytest.raises(InvalidValueError) as caught:
        load_tracker(f"{MODULE}:{name}", kwargs=files)
    assert caught.value.key.startswith(f"model_kwargs.kwargs.{keys[0]}")
    assert isinstance(caught.value.__cause__, cv2.error)
    with pytest.raises(InvalidValueError) as wrong:
        load_tracker(f"{MODULE}:{name}", kwargs={**files, keys[0]: 3})
    assert wrong.value.key == f"model_kwargs.kwargs.{keys[0]}"


@pytest.mark.slow
@pytest.mark.parametrize("sequence", ["Crossing", "Human7"])
def test_nanotrack_in_opencv_is_as_good_as_ours(sequence, shared_data, tmp_path):
    """OpenCV cuts its boxes to whole pixels, and so are ours cut here; without, it is 4.6 points on Crossing."""
    ours = load_tracker("nanotrack", shared_data / "weights" / "nanotrackv2.pth", device="cpu")
    theirs = load_tracker(f"{MODULE}:nano", kwargs=export_nanotrack(ours.model, tmp_path))
    (found,) = find_sequences(shared_data / "otb", [sequence])
    x = np.stack([cv2.imread(str(path))[..., ::-1] for path in found.images])[None].astype(np.float32) / 255
    truth = found.boxes_xyxy
    cut, boxes = (predict(tracker, x, truth)["boxes"] for tracker in (ours, theirs))
    x1, y1, x2, y2 = cut.T
    left, top = np.trunc(x1), np.trunc(y1)
    cut = np.stack([left, top, left + np.trunc(x2 - x1), top + np.trunc(y2 - y1)], axis=1)
    means = [float(overlaps(each[1:], truth[1:]).mean()) for each in (cut, boxes)]
    assert abs(means[0] - means[1]) < 0.02
    assert min(means) > 0.7
