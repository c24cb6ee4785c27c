"""The search by scores alone, on scores that are known in closed form."""

import pytest
import torch

from armory_skelevision.attacks.digital.noise_search import Candidate, NoiseSearch, draw_blocks

CLEAN = torch.full((8, 8, 3), 0.5)
HEAVY = CLEAN + 0.4 * torch.randint(-1, 2, CLEAN.shape, generator=torch.Generator().manual_seed(0))


def search(score, eps=1.0, max_queries=200, block_size=1, seed=0):
    return NoiseSearch(score, CLEAN, HEAVY, eps, max_queries, block_size, torch.Generator().manual_seed(seed))


def along_the_way(frame):
    """1 at the clean frame, 0 at the heavy noise."""
    way = HEAVY - CLEAN
    return float(1 - ((frame - CLEAN) * way).sum() / (way * way).sum())


def test_noise_is_constant_on_squares():
    noise = torch.arange(12.0).reshape(2, 2, 3)
    large = draw_blocks(lambda shape: noise.reshape(shape), torch.zeros(5, 4, 3, dtype=torch.float64), 3)
    assert large.shape == (5, 4, 3) and large.dtype == torch.float64
    assert all(torch.equal(large[i, j], noise[i // 3, j // 3].double()) for i in range(5) for j in range(4))


def test_reaches_the_score_and_stops_there():
    walk = search(along_the_way)
    found = walk.run(CLEAN, stop_score=0.7)
    assert found.score == along_the_way(found.frame) <= 0.7
    assert found.score > 0.6
    assert walk.queries_left > 0


@pytest.mark.parametrize("max_queries", [1, 2, 7, 50])
def test_never_makes_more_queries_than_it_may(max_queries):
    asked = []

    def score(frame):
        asked.append(frame)
        return 1.0 - 0.001 * len(asked)

    walk = search(score, max_queries=max_queries)
    walk.run(CLEAN, stop_score=0.0)
    assert len(asked) == max_queries and walk.queries_left == 0


def test_every_frame_asked_for_is_in_range_and_bounded():
    def score(frame):
        assert frame.min() >= 0 and frame.max() <= 1
        assert float((frame - CLEAN).square().mean().sqrt()) <= 0.05 + 1e-6
        return along_the_way(frame)

    search(score, eps=0.05, max_queries=60).run(CLEAN, stop_score=0.0)


def test_tangential_steps_find_what_normal_steps_do_not():
    # The score falls in a direction at a right angle to the way, and the way itself does nothing.
    way = (HEAVY - CLEAN).flatten()
    across = torch.randn(way.shape, generator=torch.Generator().manual_seed(1))
    across -= (across @ way) / (way @ way) * way
    across /= across.norm()

    def score(frame):
        return 1 - float((frame - CLEAN).flatten() @ across)

    assert search(score).run(CLEAN, stop_score=0.9).score <= 0.9


def test_nothing_that_raises_the_score_is_kept():
    def score(frame):
        return 1 - along_the_way(frame)

    first = search(score, max_queries=1).run(CLEAN, stop_score=-1.0)
    assert search(score).run(CLEAN, stop_score=-1.0).score <= first.score


def test_tangential_steps_come_no_nearer_to_the_heavy_noise():
    frames = []

    def score(frame):
        frames.append(frame)
        return 1.0

    search(score, max_queries=8).run(CLEAN, stop_score=0.0)
    way = HEAVY - frames[0]
    for frame in frames[1:]:
        step = frame - frames[0]
        assert float(step.norm()) == pytest.approx(0.05 * float(way.norm()), rel=0.2)
        assert abs(float((step * way).sum())) < 1e-4 * float(step.norm() * way.norm())


def test_tangential_steps_are_constant_on_blocks():
    frames = []

    def score(frame):
        frames.append(frame)
        return 1.0

    search(score, max_queries=8, block_size=3).run(CLEAN, stop_score=0.0)
    # What a tangential step adds to the frame before it is coarse noise and a share of the way.
    way = HEAVY - frames[0]
    for frame in frames[1:]:
        step = frame - frames[0]
        share = [(step[0, 0, c] - step[0, 1, c]) / (way[0, 0, c] - way[0, 1, c]) for c in range(3)]
        share = next(value for value in share if value.isfinite())
        coarse = step - share * way
        assert coarse[:3, :3].std(dim=(0, 1)).max() < 1e-5
        assert coarse.std() > 1e-3


def test_same_seed_same_frame():
    runs = [search(along_the_way, seed=seed).run(CLEAN, stop_score=0.7).frame for seed in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def scripted(scores, **kwargs):
    """A search whose queries get the given scores in turn, and the last one from then on; and the frames asked for."""
    frames = []

    def score(frame):
        frames.append(frame)
        return scores[min(len(frames), len(scores)) - 1]

    return search(score, **kwargs), frames


@pytest.mark.parametrize(("accepted", "spread"), [(1, 1 / 0.9), (2, 1 / 0.9), (3, 1), (7, 1), (8, 0.9), (10, 0.9)])
def test_the_best_of_ten_tangential_steps_is_taken_and_their_success_sets_the_next_size(accepted, spread):
    scores = [1.0 - 0.01 * k for k in range(accepted)] + [1.5] * (10 - accepted)  # an equal score is accepted
    walk, frames = scripted(scores)
    found = walk._search_tangential(Candidate(CLEAN, 1.0))
    assert len(frames) == 10 and walk.queries_left == 190
    assert found.score == scores[accepted - 1] and found.frame is frames[accepted - 1]
    assert walk.spread == pytest.approx(0.05 * spread) and walk.step == 0.05


@pytest.mark.parametrize(
    ("spread", "max_queries", "made", "next_spread"),
    [(0.05, 200, 50, 0.05 / 0.9**5), (0.28, 200, 10, 0.28 / 0.9), (0.05, 14, 14, 0.05 / 0.9**2)],
)
def test_without_success_tangential_steps_grow_until_they_are_given_up(spread, max_queries, made, next_spread):
    walk, frames = scripted([1.5], max_queries=max_queries)
    walk.spread, best = spread, Candidate(CLEAN, 1.0)
    assert walk._search_tangential(best) is best
    assert len(frames) == made and walk.spread == pytest.approx(next_spread)


def test_normal_steps_grow_until_one_is_accepted():
    walk, frames = scripted([1.5, 1.01, 1.0])
    found = walk._search_normal(Candidate(CLEAN, 1.0))
    sizes = [0.05, 0.05 / 0.9, 0.05 / 0.9**2]
    assert len(frames) == 3 and found.frame is frames[2] and found.score == 1.0
    for frame, size in zip(frames, sizes, strict=True):
        torch.testing.assert_close(frame, CLEAN + size * (HEAVY - CLEAN))
    assert walk.step == pytest.approx(sizes[2] * 0.9) and walk.spread == 0.05


@pytest.mark.parametrize(("max_queries", "made"), [(200, 30), (4, 4)])
def test_normal_steps_end_at_the_heavy_noise(max_queries, made):
    walk, frames = scripted([1.5], max_queries=max_queries)
    best = Candidate(CLEAN, 1.0)
    assert walk._search_normal(best) is best and len(frames) == made
    assert walk.step == pytest.approx(min(0.05 / 0.9**made, 1.0))
    torch.testing.assert_close(frames[-1], CLEAN + min(0.05 / 0.9 ** (made - 1), 1.0) * (HEAVY - CLEAN))


def test_a_search_starts_with_a_normal_step_from_its_start():
    walk, frames = scripted([0.5])
    start = CLEAN + 0.1
    found = walk.run(start, stop_score=0.5)
    torch.testing.assert_close(found.frame, start + 0.05 * (HEAVY - start))
    assert found.score == 0.5 and len(frames) == 1


@pytest.mark.parametrize("remaining", [1.0, 0.05])
def test_tangential_steps_are_at_a_right_angle_and_of_their_size(remaining):
    walk, frame = search(along_the_way), CLEAN + 0.1
    way = remaining * (HEAVY - frame)
    walk.spread, walk.heavy = 0.02, frame + way
    step = walk._tangential_step(frame) - frame
    assert float(step.norm()) == pytest.approx(0.02 * float(way.norm()), rel=1e-3)
    assert abs(float((step * way).sum())) < 1e-3 * float(step.norm() * way.norm())
    assert torch.equal(walk._tangential_step(walk.heavy), walk.heavy)


def test_a_seed_draws_the_same_steps_in_any_default_precision():
    step = search(along_the_way)._tangential_step(CLEAN)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(search(along_the_way)._tangential_step(CLEAN), step)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("eps", "noise", "expected"),
    [(0.05, 0, 0), (0.05, 0.04, 0.04), (0.05, 0.2, 0.05), (0.05, -0.2, -0.05), (1, 0.7, 0.5), (1, -0.7, -0.5)],
)
def test_noise_beyond_the_bound_is_scaled_down_to_it_and_colours_stay_in_range(eps, noise, expected):
    torch.testing.assert_close(search(along_the_way, eps=eps)._project(CLEAN + noise), CLEAN + expected)
