"""Traits of people: equal for equal seeds, different otherwise, and within their documented ranges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from skelevision_town.person import BOTTOMS, HATS, PATTERNS, Cloth, PersonTraits, sample_cloth, sample_person

PEOPLE = [sample_person(np.random.default_rng(seed)) for seed in range(300)]


def test_same_seed_gives_same_person():
    assert sample_person(np.random.default_rng(7)) == sample_person(np.random.default_rng(7))


def test_other_seeds_give_other_people():
    assert len(set(PEOPLE)) == len(PEOPLE)


def test_one_generator_gives_one_person_after_another():
    rng = np.random.default_rng(7)
    assert sample_person(rng) != sample_person(rng)


def test_a_person_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PEOPLE[0].height = 1.0


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("height", 1.45, 1.98), ("girth", 0.8, 1.4), ("legs", 0.5, 0.535), ("sleeve", 0.2, 1.0), ("coat", 0.0, 0.9),
     ("hair_length", 0.0, 1.0), ("arm_swing", 0.3, 0.6), ("lift", 0.06, 0.11)],
)  # fmt: skip
def test_numbers_stay_in_range_and_vary(field, low, high):
    values = np.array([getattr(person, field) for person in PEOPLE])
    assert low <= values.min() < values.max() <= high
    assert values.max() - values.min() > 0.5 * (high - low)


def test_every_fashion_occurs():
    assert {person.bottom_kind for person in PEOPLE} == set(BOTTOMS)
    assert {person.hat for person in PEOPLE} == set(HATS)
    assert {person.bag for person in PEOPLE} == {"none", "backpack", "handbag"}
    assert {person.top.pattern for person in PEOPLE} == set(PATTERNS)


def test_colours_are_colours():
    for person in PEOPLE:
        assert all(0 <= channel <= 1 for colour in colours_of(person) for channel in colour)


def test_cloths_are_as_plain_and_as_dark_as_asked():
    rng = np.random.default_rng(0)
    assert all(sample_cloth(rng, plain=1.0).pattern == "plain" for _ in range(50))
    assert all(sample_cloth(rng, plain=0.0).pattern != "plain" for _ in range(50))
    greys = [np.ptp(sample_cloth(rng, dark=1.0).colour) for _ in range(50)]
    hues = [np.ptp(sample_cloth(rng, dark=0.0).colour) for _ in range(50)]
    assert np.median(hues) > 2 * np.median(greys)


def colours_of(person: PersonTraits) -> list[tuple[float, float, float]]:
    values = [getattr(person, field.name) for field in dataclasses.fields(person)]
    cloths = [colour for value in values if isinstance(value, Cloth) for colour in (value.colour, value.second)]
    return cloths + [value for value in values if isinstance(value, tuple)]
