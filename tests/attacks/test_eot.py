import numpy as np
import pytest
import torch

from armory_skelevision.attacks.patch.eot import EOT, EOTSample, transform_patch
from armory_skelevision.validation import InvalidValueError

PATCH = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(1))
PLAIN = EOTSample(1.0, 0.0, None, np.zeros((4, 4, 2)), [0, 1, 2, 3])


def test_eot_of_zero_shows_the_patch_as_it_is():
    sample = EOT().sample(np.random.default_rng(0), (20, 30), 4)
    assert sample.frames == [0, 1, 2, 3] and not sample.corner_offsets_xy.any()
    torch.testing.assert_close(transform_patch(PATCH, sample), PATCH)


def test_samples_follow_the_seed():
    eot = EOT(brightness=0.3, blur=2, noise=0.1, corners=3, frames=0.5)
    first, again, other = (eot.sample(np.random.default_rng(seed), (20, 30), 40) for seed in (5, 5, 6))
    assert first.brightness == again.brightness != other.brightness
    assert torch.equal(first.noise, again.noise) and not torch.equal(first.noise, other.noise)
    assert first.frames == again.frames != other.frames
    assert len(first.frames) == 20 and first.frames[0] == 0 and first.frames == sorted(set(first.frames))
    assert first.corner_offsets_xy.std() == pytest.approx(3, rel=0.2)


def test_each_change_does_what_it_says():
    torch.testing.assert_close(transform_patch(PATCH * 0.5, PLAIN._replace(brightness=1.5)), PATCH * 0.75)
    blurred = transform_patch(PATCH, PLAIN._replace(blur=2.0))
    assert blurred.diff(dim=0).abs().mean() < 0.3 * PATCH.diff(dim=0).abs().mean()
    assert blurred.mean() == pytest.approx(PATCH.mean().item(), abs=0.02)
    noise = torch.full_like(PATCH, 0.1)
    torch.testing.assert_close(transform_patch(PATCH * 0.5, PLAIN._replace(noise=noise)), PATCH * 0.5 + 0.1)


def test_a_wide_blur_on_a_small_patch_is_no_error():
    assert torch.isfinite(transform_patch(PATCH[:3, :2], PLAIN._replace(blur=4.0))).all()


def test_gradcheck_of_a_view():
    patch = (PATCH[:5, :4].double() * 0.5 + 0.2).requires_grad_()
    noise = torch.full_like(patch, 0.01)
    sample = PLAIN._replace(brightness=1.1, blur=0.8, noise=noise.detach())
    assert torch.autograd.gradcheck(lambda p: transform_patch(p, sample), (patch,))


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ({"rotation": 3}, "eot.rotation", "a known key"),
        ({"noise": -1}, "eot.noise", "a number in [0, 10]"),
        ({"brightness": 1.0}, "eot.brightness", "a number in [0, 1)"),
        ({"frames": 0}, "eot.frames", "a number in (0, 1]"),
        ({"samples": 0}, "eot.samples", "a whole number in [1, 1000]"),
    ],
)
def test_settings_out_of_range_are_refused(values, key, expected):
    with pytest.raises(InvalidValueError) as caught:
        EOT.from_dict(values, "eot")
    assert (caught.value.key, caught.value.expected) == (key, expected)
