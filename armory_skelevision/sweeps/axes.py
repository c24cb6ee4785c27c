"""The axes of a grid: their choices, what these set, and that no key is set twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from armory_skelevision.validation import InvalidValueError


class Choice(NamedTuple):
    """One value of an axis."""

    label: Any
    """The value itself, or the name of the choice."""
    settings: Mapping[str, Any]
    """Values by dotted key."""


def read_axis(name: str, axis: Any) -> list[Choice]:
    """The choices of an axis.

    Args:
        name: Of the axis; the dotted key that it sets if it is a list of values.
        axis: A list of values, or an object of named settings.

    Raises:
        InvalidValueError: For anything else, a key with an empty part, and a value that occurs twice.
    """
    place = f"axes.{name}"
    if isinstance(axis, list) and axis:
        seen: set[str] = set()
        for value in axis:
            if (text := as_number(value)) in seen:
                raise InvalidValueError(place, "values that differ", f"{value!r:.80} twice")
            seen.add(text)
        choices = [Choice(value, {name: value}) for value in axis]
    elif isinstance(axis, dict) and axis and all(isinstance(settings, dict) for settings in axis.values()):
        choices = [Choice(label, settings) for label, settings in axis.items()]
    else:
        raise InvalidValueError(place, "a list of values, or an object of named settings", f"{axis!r:.200}")
    for choice in choices:
        check_values(place, choice.settings)
    return choices


def check_values(place: str, settings: Mapping[str, Any]) -> None:
    """Refuse dotted keys with an empty part, and settings of which one overrides another (`InvalidValueError`)."""
    for key in settings:
        if not all(key.split(".")):
            raise InvalidValueError(place, "keys such as attack.kwargs.seed", repr(key))
    before: list[str] = []
    for key, value in settings.items():
        _refuse_override(place, key, before, place)
        before.extend(_leaves(key, value))


def check_overrides(sources: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse a key that is set in two places, where one of them would have no effect.

    A later place may add to what an earlier one sets: after ``"attack.kwargs": {"eps": 0.1}``, ``attack.kwargs.seed``
    may be set, but not ``attack.kwargs.eps``.

    Args:
        sources: By place in the grid, in the order in which they are applied, the alternatives that it sets.

    Raises:
        InvalidValueError: For the later of two places.
    """
    before: dict[str, list[str]] = {}
    for place, choices in sources.items():
        for key in dict.fromkeys(key for settings in choices for key in settings):
            for other, leaves in before.items():
                _refuse_override(place, key, leaves, other)
        pairs = (pair for settings in choices for pair in settings.items())
        before[place] = list(dict.fromkeys(leaf for key, value in pairs for leaf in _leaves(key, value)))


def as_number(value: Any) -> str:
    """A value as text that is the same for equal values: of 1 and 1.0, but not of 1 and true."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _leaves(key: str, value: Any) -> Iterator[str]:
    """The dotted keys that a value sets, below the key that it is the value of."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(f"{key}.{name}", item)
    else:
        yield key


def _refuse_override(place: str, key: str, leaves: Sequence[str], other: str) -> None:
    for leaf in leaves:
        if f"{leaf}.".startswith(f"{key}."):
            raise InvalidValueError(place, f"keys that nothing else sets, unlike {leaf} in {other}", key)
