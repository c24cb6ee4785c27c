"""The search by scores alone, on scores that are known in closed form."""

import pytest
import torch

from armory_skelevision.attacks.digital.noise_search import NoiseSearch, draw_blocks

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
    large = draw_blocks(lambda shape: noise.reshape(shape), torch.zeros(5, 4, 3), 3)
    assert large.shape == (5, 4, 3)
    assert all(torch.equal(large[i, j], noise[i // 3, j // 3]) for i in range(5) for j in range(4))


def test_reaches_the_score_and_stops_there():
    walk = search(along_the_way)
    found = walk.run(CLEAN, stop_score=0.7)
    assert found.score == along_the_way(found.frame) <= 0.7
    assert found.score > 0.6
    assert walk.queries_left > 0


@pytest.mark.parametrize("max_queries", [1, 7, 50])
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
