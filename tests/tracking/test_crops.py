"""The crops that a network sees, the defenses on the way, and the network that compares them."""

import pytest
import torch
from doubles import SMALL, TinySiamRPN

from armory_skelevision.tracking import CropDefense, Crops, TemplateMatcher, VideoFrames, Window, track
from armory_skelevision.tracking.tracker import run_tracker
from armory_skelevision.tracking.windows import resize_crop, search_window
from armory_skelevision.validation import InvalidValueError

VIDEO = torch.rand(3, 60, 80, 3, generator=torch.Generator().manual_seed(0))
BOX_XYXY = torch.tensor([20.0, 10, 40, 50])


class Affine(CropDefense):
    """Scales and shifts the colours of template and search crops, by numbers of their own."""

    def __init__(self, factor, shift):
        self.factor, self.shift = factor, shift
        self.videos = []

    def defend_template(self, crop, crops):
        self.videos.append(crops)
        return crop * self.factor + self.shift

    def defend_search(self, crop):
        return crop * self.factor - self.shift


def crops_of(*defenses, seed=0):
    return Crops(TinySiamRPN(seed).eval(), VideoFrames(VIDEO), BOX_XYXY, SMALL, defenses)


def bgr(pixels, size):
    return resize_crop(pixels, size)[None].flip(1) * 255


def test_the_template_is_the_targets_window_of_frame_0():
    frames, crops = VideoFrames(VIDEO), crops_of()
    # sqrt((20 + 30) * (40 + 30)) is 59.16; the middle pixel of the box is (29.5, 29.5).
    window = Window(0, 0, 59)
    torch.testing.assert_close(crops.template, bgr(frames.window(0, window), 127))
    assert crops.template is crops.template


def test_search_crops_are_windows_of_their_frame():
    frames, crops, window = VideoFrames(VIDEO), crops_of(), Window(-5, 3, 30)
    torch.testing.assert_close(crops.search(2, window), bgr(frames.window(2, window), 191))
    assert torch.equal(crops.search_input(frames.window(2, window), window), crops.search(2, window))


def test_defenses_act_on_rgb_crops_in_their_order():
    first, second = Affine(0.5, 0.25), Affine(0.75, 0.125)
    bare, defended, window = crops_of(), crops_of(first, second), Window(-5, 3, 30)
    template = (bare.template / 255 * 0.5 + 0.25) * 0.75 + 0.125
    torch.testing.assert_close(defended.template, template * 255)
    assert [id(crops) for crops in first.videos + second.videos] == [id(defended)] * 2
    search = (bare.search(1, window) / 255 * 0.5 - 0.25) * 0.75 - 0.125
    torch.testing.assert_close(defended.search(1, window), search * 255, atol=1e-4, rtol=1e-5)


def test_a_defense_that_is_not_written_changes_nothing():
    bare, defended, window = crops_of(), crops_of(CropDefense()), Window(-5, 3, 30)
    assert torch.equal(defended.template, bare.template)
    assert torch.equal(defended.search(1, window), bare.search(1, window))


def test_the_matcher_compares_with_the_network_it_is_given():
    crops, other, window = crops_of(), TinySiamRPN(1).eval(), Window(0, 0, 90)
    for given, network in ((None, crops.network), (other, other)):
        matcher = TemplateMatcher.embed_template(crops, given)
        expected = network.predict_head(network.embed(crops.template), network.embed(crops.search(1, window)))
        torch.testing.assert_close(torch.cat(matcher(1, window), 1), torch.cat(expected, 1))


def test_tracking_runs_the_network_it_is_given():
    crops, other = crops_of(), TinySiamRPN(1).eval()
    steps, steps_of_other = list(track(crops)), list(track(crops, other))
    assert not torch.equal(steps[2].box_xyxy, steps_of_other[2].box_xyxy)
    expected = list(run_tracker(TemplateMatcher.embed_template(crops, other), crops))
    assert torch.equal(steps_of_other[2].box_xyxy, expected[2].box_xyxy)


def test_an_output_that_is_not_finite_is_named_with_its_frame():
    crops = crops_of()
    matcher = TemplateMatcher.embed_template(crops)

    def match(index, window):
        output = matcher(index, window)
        return output._replace(loc=output.loc * float("inf")) if index == 1 else output

    tracked = run_tracker(match, crops)
    next(tracked)
    with pytest.raises(InvalidValueError) as caught:
        next(tracked)
    assert (caught.value.key, caught.value.got) == ("model", "NaN or infinity in the heads' output, frame 1")


def test_steps_say_what_was_found_where():
    steps = list(track(crops_of()))
    assert len(steps) == 3
    for step, following in zip(steps, steps[1:], strict=False):
        assert following.previous is step.state
    for step in steps:
        assert step.window == search_window(step.previous, SMALL)
        cx, cy, width, height = step.state.box_cxcywh.tolist()
        corners = torch.tensor([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])
        torch.testing.assert_close(step.box_xyxy, corners)
        assert step.score == step.proposals.scores[step.chosen]
