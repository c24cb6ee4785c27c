"""Several videos in lockstep: what each alone gives, in one call of the network per frame."""

import numpy as np
import pytest
import torch
from doubles import (
    SMALL,
    TinySiamRPN,
    random_estimator,
    random_nanotrack_estimator,
    random_siamfcpp_estimator,
    random_siamrpnpp_estimator,
)

from armory_skelevision.tracking import Crops, TemplateMatcher, VideoFrames
from armory_skelevision.tracking.lockstep import track_in_lockstep
from armory_skelevision.tracking.tracker import run_tracker
from armory_skelevision.validation import InvalidValueError

SHAPES = ((5, 60, 80), (3, 90, 70), (4, 60, 80))
"""Frames, height and width of the videos."""
BOXES_XYXY = torch.tensor([[20.0, 10, 40, 50], [30, 30, 44, 70], [1, 20, 20, 58]])


def make_videos():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(*shape, 3, generator=generator) for shape in SHAPES]


def make_matchers(network, videos):
    crops = [Crops(network, VideoFrames(*pair[:1]), pair[1], SMALL) for pair in zip(videos, BOXES_XYXY, strict=True)]
    return [TemplateMatcher.embed_template(each) for each in crops]


def test_steps_are_those_of_each_video_alone():
    matchers = make_matchers(TinySiamRPN().eval(), make_videos())
    found = [[] for _ in matchers]
    with torch.no_grad():
        for joint in track_in_lockstep(matchers):
            rows = list(joint.steps())
            assert [video for video, _ in rows] == joint.videos
            torch.testing.assert_close(joint.boxes_xyxy, torch.stack([step.box_xyxy for _, step in rows]))
            torch.testing.assert_close(joint.scores, torch.stack([step.score for _, step in rows]))
            for video, step in rows:
                found[video].append(step)
        expected = [list(run_tracker(matcher, matcher.crops)) for matcher in matchers]
    assert [len(steps) for steps in found] == [5, 3, 4]
    for steps, alone in zip(found, expected, strict=True):
        for step, other in zip(steps, alone, strict=True):
            assert (step.window, step.chosen) == (other.window, other.chosen)
            torch.testing.assert_close(step[1:4], other[1:4], rtol=1e-4, atol=1e-3)


def test_the_network_is_asked_once_a_frame():
    network = TinySiamRPN().eval()
    matchers, sizes = make_matchers(network, make_videos()), []
    network.backbone.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    with torch.no_grad():
        list(track_in_lockstep(matchers))
    assert sizes == [3, 3, 3, 2, 1]


def test_gradients_are_those_of_each_video_alone():
    network = TinySiamRPN().eval()

    def gradients(run):
        videos = [video.requires_grad_() for video in make_videos()]
        run(make_matchers(network, videos)).backward()
        return [video.grad for video in videos]

    def one_by_one(matchers):
        return sum(step.box_xyxy.sum() for each in matchers for step in run_tracker(each, each.crops))

    together = gradients(lambda matchers: sum(step.boxes_xyxy.sum() for step in track_in_lockstep(matchers)))
    for found, expected in zip(together, gradients(one_by_one), strict=True):
        assert expected.abs().sum() > 0
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: random_estimator(keypoint_head="shallow"),
        random_siamrpnpp_estimator,
        random_siamfcpp_estimator,
        random_nanotrack_estimator,
    ],
)
def test_estimators_predict_the_same_in_lockstep(make):
    estimator, videos = make(), [video.numpy() for video in make_videos()]
    estimator.model.double()  # random weights amplify the rounding of batches from frame to frame
    boxes = BOXES_XYXY.numpy()
    alone, together = (estimator.predict(videos, y_init=boxes, batch_size=size) for size in (1, 2))
    assert [len(result["boxes"]) for result in together] == [5, 3, 4]
    for one, other in zip(alone, together, strict=True):
        assert set(one) == set(other)
        for key, values in one.items():
            assert isinstance(other[key], np.ndarray) and other[key].dtype == values.dtype
            np.testing.assert_allclose(other[key], values, rtol=1e-5, atol=1e-4)


def test_tensors_keep_a_graph_beside_arrays():
    estimator, videos = random_estimator(), make_videos()
    videos[0].requires_grad_()
    mixed = [videos[0], videos[1].numpy(), videos[2]]
    first, second, third = estimator.predict(mixed, y_init=BOXES_XYXY.numpy(), batch_size=3)
    first["boxes"].sum().backward()
    assert videos[0].grad.abs().sum() > 0
    assert isinstance(second["boxes"], np.ndarray) and isinstance(third["boxes"], torch.Tensor)


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, "all"])
def test_wrong_batch_sizes_are_named(batch_size):
    with pytest.raises(InvalidValueError) as caught:
        random_estimator().predict(make_videos(), y_init=BOXES_XYXY.numpy(), batch_size=batch_size)
    assert caught.value.key == "batch_size"
