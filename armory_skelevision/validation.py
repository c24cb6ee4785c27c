"""What is accepted as a setting, and the errors that say why something is not.

The annotation of a parameter is the one source of truth about its values: constructors check by it, `skelevision check`
reports by it, and docs/config.md lists it. ``Annotated[float, Range(0, 1)]`` is a number from 0 to 1; the aliases below
name what is common.
"""

from __future__ import annotations

import difflib
import inspect
import json
import math
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, Literal, NamedTuple, Self, Union, get_args, get_origin, get_type_hints


class StructuredError(Exception):
    """A mistake of the user's: ``key: expected …, got …; fix``.

    Attributes:
        key: The setting, argument or file that is wrong, with dots between the levels of a config.
        expected: What would be right, as the end of the sentence "expected …".
        got: What came instead.
        fix: What to do about it; "" where ``expected`` says it all.
    """

    def __init__(self, key: str, expected: str, got: str, fix: str = "") -> None:
        super().__init__(key, expected, got, fix)
        self.key = key
        self.expected = expected
        self.got = got
        self.fix = fix

    def __str__(self) -> str:
        """One line."""
        text = f"{self.key}: expected {self.expected}, got {self.got}"
        return f"{text}; {self.fix}" if self.fix else text

    def within(self, section: str) -> Self:
        """The same error about a key of ``section``; an empty section changes nothing."""
        return type(self)(f"{section}.{self.key}" if section else self.key, self.expected, self.got, self.fix)

    def named_by(self, setting: str) -> Self:
        """The same error about a file, under the setting that names the file."""
        return type(self)(setting, self.expected, f"{self.got}: {self.key}", self.fix)


class InvalidValueError(StructuredError, ValueError):
    """A value that is out of range, of another shape, or not one of those that are known."""


class InvalidTypeError(StructuredError, TypeError):
    """A value of another type, or an argument that does not exist."""


class MissingFileError(StructuredError, FileNotFoundError):
    """A file that is not there."""


class Range(NamedTuple):
    """The values that a number may have; infinite bounds leave a side open."""

    low: float = -math.inf
    high: float = math.inf
    without_low: bool = False
    without_high: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number lies in the range; NaN and infinity lie in none."""
        above = value > self.low if self.without_low else value >= self.low
        below = value < self.high if self.without_high else value <= self.high
        return above and below and (isinstance(value, int) or math.isfinite(value))  # whole numbers may be too large

    def describe(self) -> str:
        """The range in words that follow "a number"."""
        low, high = (str(int(each)) if float(each).is_integer() else f"{each:g}" for each in self[:2])
        if math.isinf(self.low) and math.isinf(self.high):
            return ""
        if math.isinf(self.high):
            return f" above {low}" if self.without_low else f" of at least {low}"
        if math.isinf(self.low):
            return f" below {high}" if self.without_high else f" of at most {high}"
        return f" in {'(' if self.without_low else '['}{low}, {high}{')' if self.without_high else ']'}"


class PathLimits(NamedTuple):
    """How long a path may be, in bytes: far beyond any use, and no more than systems and recursions take."""

    total: int = 1000
    name: int = 255

    def holds(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path can be one. The empty one cannot: it would mean the working directory."""
        try:
            data = os.fsencode(path)
        except UnicodeEncodeError:  # half of a surrogate pair
            return False
        fits = 0 < len(data) <= self.total and max(map(len, data.split(b"/"))) <= self.name
        return fits and b"\0" not in data

    def describe(self) -> str:
        """The limits in words that follow "a path"."""
        return f" (1 to {self.total} bytes, at most {self.name} in a name)"


# Bounds far beyond any use; what exceeds them is a slip that would fill the memory or never end.
Positive = Annotated[float, Range(0, 1e6, without_low=True)]
Fraction = Annotated[float, Range(0, 1)]
PositiveFraction = Annotated[float, Range(0, 1, without_low=True)]
Count = Annotated[int, Range(1, 1_000_000)]
WholeNumber = Annotated[int, Range(0, 1_000_000)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Iterations = Annotated[int, Range(1, 100_000)]
Repeats = Annotated[int, Range(1, 1000)]
Weight = Annotated[float, Range(0, 1e6)]
Step = Annotated[float, Range(0, 1e6, without_low=True)]
PathText = Annotated[str, PathLimits()]
AnyPath = Annotated[str | os.PathLike[str], PathLimits()]


def describe(annotation: Any) -> str:
    """What an annotation accepts, in words: "a number in [0, 1]", "'best' or 'last'", "a list of whole numbers"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe(arguments[0]) + "".join(mark.describe() for mark in _limits(arguments))
    if origin is Literal:
        return " or ".join(map(_as_json, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(each) for each in arguments))
    if _is_list(origin):
        kinds = [describe(each) for each in arguments if each is not Ellipsis]
        return f"a list of values, each {kinds[0]}" if _length(arguments) is None else f"[{', '.join(kinds)}]"
    if origin is not None and issubclass(origin, Mapping):
        return "an object"
    word = _WORDS.get(origin or annotation)
    return word if word is not None else str(getattr(annotation, "__name__", annotation))


def accepts(annotation: Any, value: Any) -> bool:
    """Whether a value is what an annotation says. JSON's types are kept apart: true is no number, 2.0 no whole one."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return accepts(arguments[0], value) and all(mark.holds(value) for mark in _limits(arguments))
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in arguments)
    if origin in (Union, types.UnionType):
        return any(accepts(each, value) for each in arguments)
    if _is_list(origin):
        length = _length(arguments)
        if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
            return False
        kinds = arguments if length is not None else [arguments[0]] * len(value)
        return all(accepts(kind, item) for kind, item in zip(kinds, value, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(accepts(arguments[1], item) for item in value.values())
    plain = origin or annotation
    if plain is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if plain is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return plain is Any or isinstance(value, plain)


def check_value(key: str, value: Any, annotation: Any) -> None:
    """Refuse a value that is not what an annotation says (`InvalidValueError`)."""
    if not accepts(annotation, value):
        raise InvalidValueError(key, describe(annotation), _as_json(value))


def check_arguments(function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Check arguments by the annotations of a function's or a constructor's parameters.

    Args:
        function: What the arguments go to; parameters without an annotation are left alone.
        values: Arguments by name. Those that are equal to the parameter's default are right in any case.

    Raises:
        InvalidValueError: For the first argument that is wrong.
    """
    target = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(target, include_extras=True)
    for name, value in values.items():
        if name in hints:
            check_value(name, value, hints[name])


def check_known(section: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse keys that mean nothing (`InvalidValueError`); the message names the key that was probably meant."""
    for name in sorted(set(given) - set(known)):
        raise InvalidValueError(
            f"{section}.{name}" if section else name, "a known key", "an unknown one", suggest(name, known)
        )


def suggest(name: str, known: Sequence[str]) -> str:
    """What was probably meant by a name, or which names there are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known) or 'none'}"


def change_attributes(owner: Any, values: Mapping[str, Any], check: Callable[[], None]) -> None:
    """Set attributes of an object and check it; if the check raises anything, all its attributes are as before."""
    before = dict(vars(owner))
    vars(owner).update(values)
    try:
        check()
    except BaseException:
        vars(owner).clear()
        vars(owner).update(before)
        raise


@dataclass(frozen=True)
class Settings:
    """Base of settings that come from JSON: fields are checked by their annotations, wherever they come from.

    Subclasses are frozen dataclasses. They say in `check` what holds between several fields. A value that a field's
    annotation does not accept is refused with an `InvalidValueError`.
    """

    def __post_init__(self) -> None:
        """Check every field, then what holds between them (`InvalidValueError`)."""
        hints = get_type_hints(type(self), include_extras=True)
        for field in fields(self):
            check_value(field.name, getattr(self, field.name), hints[field.name])
        self.check()

    def check(self) -> None:
        """Check what holds between several fields. Nothing by default."""

    @classmethod
    def from_dict(cls, values: Any, section: str, defaults: Mapping[str, Any] | None = None) -> Self:
        """Settings from an object of a JSON file.

        Args:
            values: The object; lists become tuples.
            section: Where it stands in its file, for messages.
            defaults: Values that take the place of the class's own defaults.

        Raises:
            InvalidValueError: For something that is not an object, an unknown or missing key, or a value that the
                field's annotation does not accept.
        """
        if not isinstance(values, Mapping):
            raise InvalidValueError(section, "an object", _as_json(values))
        check_known(section, values, [field.name for field in fields(cls)])
        given = {**(defaults or {}), **values}
        for field in fields(cls):
            if field.default is MISSING and field.default_factory is MISSING and field.name not in given:
                error = InvalidValueError(field.name, "a value", "none", "it has no default")
                raise error.within(section)
        try:
            return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})
        except InvalidValueError as error:
            raise error.within(section) from None


_WORDS: dict[Any, str] = {
    Any: "any value",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    os.PathLike: "a path",
    types.NoneType: "null",
    dict: "an object",
}


def _limits(arguments: tuple[Any, ...]) -> list[Any]:
    return [mark for mark in arguments[1:] if isinstance(mark, Range | PathLimits)]


def _is_list(origin: Any) -> bool:
    return inspect.isclass(origin) and issubclass(origin, Sequence)


def _length(arguments: tuple[Any, ...]) -> int | None:
    """How many items a tuple must have; None for any number."""
    return len(arguments) if len(arguments) > 1 and Ellipsis not in arguments else None


def _as_json(value: Any) -> str:
    if isinstance(value, int) and abs(value) > 2**64:  # Python refuses to print the largest ones
        return f"a whole number of {value.bit_length()} bits"
    return json.dumps(value) if value is None or isinstance(value, bool) else f"{value!r:.200}"
