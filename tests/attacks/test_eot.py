import numpy as np
import pytest
import torch

from armory_skelevision.attacks.patch.eot import EOT, EOTSample, transform_patch
from armory_skelevision.validation import InvalidValueError

PATCH = torch.rand(20, 30, 3, generator=torch.Generator().manual_seed(1))
PLAIN = EOTSample(1.0, 0.0, None, np.zeros((4, 4, 2)), [0, 1, 2, 3])


def test_eot_of_zero_shows_the_patch_as_it_is():
    sample = EOT().sample(np.random.default_rng(0), (20, 30), 4)
    assert sample.frames == [0, 1, 2, 3] and sample.noise is None and not sample.corner_offsets_xy.any()
    torch.testing.assert_close(transform_patch(PATCH, sample), PATCH)


def test_samples_follow_the_seed():
    eot = EOT(brightness=0.3, blur=2, noise=0.1, corners=3, frames=0.5)
    first, again, other = (eot.sample(np.random.default_rng(seed), (20, 30), 40) for seed in (5, 5, 6))
    assert first.brightness == again.brightness != other.brightness
    assert torch.equal(first.noise, again.noise) and not torch.equal(first.noise, other.noise)
    assert first.frames == again.frames != other.frames
    assert len(first.frames) == 20 and first.frames[0] == 0 and first.frames == sorted(set(first.frames))
    assert first.corner_offsets_xy.std() == pytest.approx(3, rel=0.2)


def test_samples_cover_their_ranges():
    eot, rng = EOT(brightness=0.3, blur=2, noise=0.1, corners=3, frames=0.5), np.random.default_rng(0)
    samples = [eot.sample(rng, (4, 6), 6) for _ in range(300)]
    for values, low, high in (
        ([sample.brightness for sample in samples], 0.7, 1.3),
        ([sample.blur for sample in samples], 0.0, 2.0),
    ):
        assert low <= min(values) < low + 0.05 * (high - low) and high - 0.05 * (high - low) < max(values) <= high
    noise = torch.stack([sample.noise for sample in samples])
    assert noise.shape == (300, 4, 6, 3) and noise.dtype == torch.float32
    assert noise.std().item() == pytest.approx(0.1, rel=0.03) and abs(noise.mean().item()) < 0.005
    offsets = np.stack([sample.corner_offsets_xy for sample in samples])
    assert (
        offsets.shape == (300, 6, 4, 2) and offsets.std() == pytest.approx(3, rel=0.03) and abs(offsets.mean()) < 0.15
    )
    assert all(sample.frames[0] == 0 and sample.frames == sorted(set(sample.frames)) for sample in samples)
    assert all(len(sample.frames) == 3 for sample in samples)
    shares = np.bincount(np.concatenate([sample.frames for sample in samples]), minlength=6) / 300
    assert shares[0] == 1 and np.allclose(shares[1:], 2 / 5, atol=0.1)


@pytest.mark.parametrize(("share", "frames", "count"), [(0.1, 7, 2), (0.36, 7, 3), (1.0, 7, 7), (0.5, 2, 2)])
def test_a_share_of_the_frames_is_tracked_two_at_least(share, frames, count):
    assert len(EOT(frames=share).sample(np.random.default_rng(0), (2, 2), frames).frames) == count


@pytest.mark.parametrize("name", ["brightness", "blur", "noise", "corners", "frames"])
def test_any_setting_makes_it_random(name):
    assert EOT(**{name: 0.5}).is_random
    assert not EOT(samples=5).is_random


def test_blur_is_a_gaussian_cut_off_at_three_deviations():
    impulse = torch.zeros(15, 17, 3, dtype=torch.float64)
    impulse[7, 8] = 1.0
    blurred = transform_patch(impulse, PLAIN._replace(blur=1.4))
    line = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 1.4**2))
    expected = np.zeros((15, 17))
    expected[3:12, 4:13] = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(blurred, np.repeat(expected[..., None], 3, axis=2), atol=1e-9)
    flat = torch.full((5, 7, 3), 0.25)
    torch.testing.assert_close(transform_patch(flat, PLAIN._replace(blur=0.1)), flat)
    narrow = transform_patch(impulse, PLAIN._replace(blur=0.1))  # 3 pixels wide at least
    assert narrow[7, 8, 0] == pytest.approx(1 / (1 + 2 * np.exp(-50)) ** 2)
    assert narrow[7, 9, 0] > 0 and not narrow[7, 10].any()


def test_colours_stay_in_range():
    bright = transform_patch(PATCH, PLAIN._replace(brightness=1.9, noise=torch.full_like(PATCH, 0.3)))
    dark = transform_patch(PATCH, PLAIN._replace(noise=torch.full_like(PATCH, -0.6)))
    torch.testing.assert_close(bright, (PATCH * 1.9 + 0.3).clamp(max=1))
    torch.testing.assert_close(dark, (PATCH - 0.6).clamp(min=0))


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
