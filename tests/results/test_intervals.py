import pytest

from armory_skelevision.results.intervals import Estimate, estimate, paired_difference
from armory_skelevision.validation import InvalidValueError


def test_an_interval_by_hand() -> None:
    # of 1, 2, 3, 4: s = 1.29099, s / 2 = 0.645497, t(0.975, 3) = 3.182446
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert (found.mean, found.n) == (2.5, 4)
    assert found.half_width == pytest.approx(2.054261, abs=1e-6)
    assert found.interval == pytest.approx((0.445739, 4.554261), abs=1e-6)
    # of two values: t(0.975, 1) = 12.706205 times half their distance
    assert estimate([0.3, 0.5]).half_width == pytest.approx(1.2706205)


def test_one_value_has_no_interval() -> None:
    assert estimate([0.5]) == Estimate(0.5, None, 1)
    assert estimate([0.5]).interval is None
    with pytest.raises(InvalidValueError):
        estimate([])


def test_pairs_are_narrower_than_their_sides() -> None:
    first, second = [0.1, 0.5, 0.9], [0.2, 0.6, 1.0]
    assert paired_difference(first, second).mean == pytest.approx(0.1)
    assert paired_difference(first, second).half_width == pytest.approx(0, abs=1e-12)
    assert (estimate(first).half_width or 0) > 0.9
    with pytest.raises(InvalidValueError) as caught:
        paired_difference(first, second[:2])
    assert caught.value.got == "3 and 2"
