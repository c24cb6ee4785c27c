"""Region defenses before the trackers of this package, and DuaLossDef before a third-party tracker."""

import hashlib

import numpy as np
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.object_tracking import PyTorchGoturn
from doubles import cleaner, random_estimator, screen_scene, tiny_estimator

from armory_skelevision.attacks.digital.online import TrackingSession
from armory_skelevision.boxes import cxcywh_to_xyxy
from armory_skelevision.defenses import DuaLossDef
from armory_skelevision.tracking import VideoFrames, track
from armory_skelevision.validation import InvalidValueError

SCENE = screen_scene(frames=3)


def predict(estimator, x=SCENE[0]):
    return estimator.predict(x, y_init=SCENE[1][0]["boxes"][:1])[0]["boxes"]


def shown(estimator):
    """What the network's backbone got to see while a video was tracked, and the boxes."""
    seen = []
    hook = estimator.model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    boxes = predict(estimator)
    hook.remove()
    return seen, boxes


@pytest.mark.parametrize("branches", ["template", "search", "both"])
def test_the_chosen_crops_are_cleaned_and_nothing_else_is(tmp_path, branches):
    defense = cleaner(tmp_path, branches=branches)
    estimator = tiny_estimator(defense)
    assert not estimator.frame_operations
    seen, _ = shown(estimator)
    clean, _ = shown(tiny_estimator())
    # Template and first search crop; later ones lie where the boxes before them were.
    for name, crop, bare in zip(("template", "search"), seen, clean, strict=False):
        rgb = bare.flip(1) / 255
        wanted = defense.network(rgb) if branches in (name, "both") else rgb
        torch.testing.assert_close(crop, wanted.flip(1) * 255, rtol=1e-5, atol=1e-3)
        assert (crop != bare).any() == (branches in (name, "both"))
    assert len(seen) == len(clean) == 4


def test_identity_weights_give_bit_equal_boxes(tmp_path):
    np.testing.assert_array_equal(predict(tiny_estimator(cleaner(tmp_path, identity=True))), predict(tiny_estimator()))


def test_a_defense_that_is_switched_off_changes_nothing(tmp_path):
    estimator = tiny_estimator(cleaner(tmp_path, apply_predict=False))
    assert not estimator.region_defenses and not estimator.frame_operations
    np.testing.assert_array_equal(predict(estimator), predict(tiny_estimator()))


def test_region_defenses_are_known_in_any_order_beside_others(tmp_path):
    region, frames = cleaner(tmp_path), SpatialSmoothing(window_size=3)
    first, second = tiny_estimator(region, frames), tiny_estimator(frames, region)
    for estimator in (first, second):
        assert estimator.region_defenses == [region] and estimator.frame_operations == [frames]
    boxes = predict(first)
    np.testing.assert_array_equal(predict(second), boxes)
    assert np.abs(boxes - predict(tiny_estimator(region))).max() > 1e-3
    assert np.abs(boxes - predict(tiny_estimator(frames))).max() > 1e-3


def test_keypoints_are_found_in_the_cleaned_template(tmp_path):
    def confidences(*defenses):
        estimator = random_estimator(keypoint_head="shallow", preprocessing_defences=list(defenses))
        return estimator.predict(SCENE[0], y_init=SCENE[1][0]["boxes"][:1])[0]["keypoints"][:, 2]

    bare = confidences()
    np.testing.assert_array_equal(confidences(cleaner(tmp_path, branches="search")), bare)
    assert np.abs(confidences(cleaner(tmp_path, branches="template")) / bare - 1).max() > 1e-3


def test_gradient_agrees_with_finite_differences(tmp_path):
    x, _, _ = screen_scene(frames=2, height=48, width=64)
    truth = torch.tensor([[20.0, 10, 40, 40], [21, 11, 41, 41]], dtype=torch.float64)
    defense = cleaner(tmp_path)
    defense.network.double()
    estimator = tiny_estimator(defense, dtype=torch.float64)
    video = torch.from_numpy(x[0].astype(np.float64)).requires_grad_()

    def loss(video):
        steps = track(estimator.crops(VideoFrames(video), truth[0]))
        return (cxcywh_to_xyxy(torch.stack([step.state.box_cxcywh for step in steps])) - truth).abs().sum()

    gradient = torch.autograd.grad(loss(video), video)[0]
    step = 1e-5 / gradient.abs().max()
    with torch.no_grad():
        difference = (loss(video + step * gradient) - loss(video - step * gradient)) / (2 * step)
    assert difference.item() == pytest.approx(gradient.square().sum().item(), rel=2e-3)


def test_attacks_that_run_with_the_tracker_see_what_it_sees(tmp_path):
    estimator = tiny_estimator(cleaner(tmp_path))
    session = TrackingSession(estimator, torch.from_numpy(SCENE[0][0]), torch.from_numpy(SCENE[1][0]["boxes"][0]))
    boxes = [cxcywh_to_xyxy(session.state.box_cxcywh)]
    for index in (1, 2):
        session.advance(index)
        boxes.append(cxcywh_to_xyxy(session.state.box_cxcywh))
    np.testing.assert_allclose(torch.stack(boxes).numpy(), predict(estimator), atol=1e-3)


class TinyGoturn(torch.nn.Module):
    """A regressor with GOTURN's interface, steered by the mean colours."""

    def forward(self, previous, current):
        colour = current.mean(dim=(2, 3)) - 0.5 * previous.mean(dim=(2, 3))
        return torch.tensor([[2.5, 2.5, 7.5, 7.5]]) + torch.cat([colour, colour[:, :1]], dim=1)


def goturn(*defenses):
    return PyTorchGoturn(
        TinyGoturn(), input_shape=(3, 64, 64), clip_values=(0, 1), device_type="cpu", preprocessing_defences=defenses
    )


def test_arts_goturn_takes_it_for_a_preprocessor_of_whole_frames(tmp_path):
    defense = cleaner(tmp_path)
    bare = predict(goturn())
    np.testing.assert_array_equal(predict(goturn(cleaner(tmp_path, identity=True))), bare)
    boxes = predict(goturn(defense))
    frames = torch.from_numpy(SCENE[0][0]).movedim(-1, 1)
    cleaned = defense.network(frames).clamp(0, 1).movedim(1, -1).numpy()[None]
    np.testing.assert_allclose(boxes, predict(goturn(), cleaned), atol=1e-3)
    assert np.abs(boxes - bare).max() > 1e-3
    video = torch.from_numpy(SCENE[0]).requires_grad_()
    predict(goturn(defense), video).sum().backward()
    assert video.grad.abs().sum() > 0


def test_whole_frames_come_in_any_number(tmp_path):
    defense = cleaner(tmp_path)
    videos, _ = defense(SCENE[0])
    image, label = defense(SCENE[0][0, 1], np.array([1]))
    assert videos.shape == SCENE[0].shape and videos.dtype == np.float32 and videos.min() >= 0 and videos.max() <= 1
    np.testing.assert_allclose(videos[0, 1], image, atol=1e-5)
    assert label.tolist() == [1]
    for wrong, expected in ((SCENE[0] * 255, "[0, 1]"), (SCENE[0][:, :, :, :, 0], "(..., H, W, 3)")):
        with pytest.raises(InvalidValueError) as refused:
            defense(wrong)
        assert refused.value.key == "x" and expected in refused.value.expected


def test_wrong_weights_and_settings_are_named(tmp_path):
    cleaner(tmp_path)
    path = tmp_path / "random.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert DuaLossDef(path, width="small", sha256=digest).branches == "both"
    for key, value in (("sha256", "00"), ("width", "wide"), ("branches", "all"), ("device_type", "tpu")):
        with pytest.raises(InvalidValueError) as refused:
            DuaLossDef(path, **{"width": "small", key: value})
        assert refused.value.key == key and value in refused.value.got
        assert key != "sha256" or digest in refused.value.expected
    with pytest.raises(InvalidValueError) as refused:
        DuaLossDef(path, width="base")
    assert refused.value.key == str(path) and "misshapen" in refused.value.got
    with pytest.raises(InvalidValueError) as refused:
        DuaLossDef(path)
    assert refused.value.key == str(path) and "width" in refused.value.fix
