"""Mutated JSON files: values of other types and sizes, keys that are gone or doubled, broken text and encodings."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from armory_skelevision.validation import StructuredError

Content = TypeVar("Content")

DEEP: list[Any] = json.loads("[" * 80 + "]" * 80)
TEXTS = ["", "²", "=1+1", "\u202e", "../x", "a\0b", "nan", "1", "base", "x" * 300, "$x^{", "attack.kwargs.seed", "."]
NUMBERS = [0, 1, -1, 0.5, 2, 1e308, -1e308, 1e-320, 2**53 + 1, 2**63 - 1, 2**70, math.nan, math.inf, -math.inf]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.floats(0, 1),
    st.integers(-3, 12),
    st.sampled_from(TEXTS),
    st.text(max_size=5),
    st.sampled_from([[], {}, [[]], [None], [0.5], [[0.5]], [0.5, None], {"5": 0.5}, {"a": {}}, DEEP]),
)


def places_of(document: Any) -> list[tuple[Any, Any]]:
    """Every list and object in a document with each of its indices and keys."""
    places, left = [], [document]
    while left:
        item = left.pop()
        keys = range(len(item)) if isinstance(item, list) else list(item) if isinstance(item, dict) else ()
        places += [(item, key) for key in keys]
        left += [item[key] for key in keys]
    return places


@st.composite
def mutated_documents(draw: st.DrawFn, document: Any) -> Any:
    """The document with up to three places changed."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 3))):
        places = places_of(changed)
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "delete", "copy", "add", "rename"]))
        if change == "replace":
            container[key] = copy.deepcopy(draw(VALUES))
        elif change == "delete":
            del container[key]
        elif change == "copy":
            other, name = draw(st.sampled_from(places))
            container[key] = copy.deepcopy(other[name])
        elif isinstance(container, list):
            container.insert(key, copy.deepcopy(draw(VALUES)))
        elif change == "add":
            container[draw(st.sampled_from([*TEXTS, f"{key}.x", f"x.{key}"]))] = copy.deepcopy(draw(VALUES))
        else:
            container[draw(st.sampled_from([*TEXTS, f"{key}x"]))] = container.pop(key)
    return changed


@st.composite
def mutated_files(draw: st.DrawFn, document: Any) -> bytes:
    """A mutated document as a file, which may be broken in itself."""
    text = json.dumps(draw(mutated_documents(document)))
    kind = draw(st.sampled_from([*["whole"] * 6, "cut", "inserted", "doubled", "utf-16", "mark", "bytes"]))
    place = draw(st.integers(0, len(text)))
    if kind == "cut":
        text = text[:place]
    elif kind == "inserted":
        text = (
            text[:place]
            + draw(st.sampled_from(["{", "]", ",", "9" * 30, '"', "\\", "\\ud800", "NaN", " "]))
            + text[place:]
        )
    elif kind == "doubled" and len(text) > 2 and text[0] == "{":
        first = json.dumps(next(iter(json.loads(text))))
        text = f"{{{first}: 1, {text[1:]}"
    if kind == "mark":
        return text.encode("utf-8-sig")
    if kind == "bytes":
        return text.encode()[:place] + b"\xff\x00" + text.encode()[place:]
    return text.encode("utf-16" if kind == "utf-16" else "utf-8")


def read_plainly(data: bytes) -> Any:
    """What Python's own reader makes of a file; ValueError where it is no JSON, or has a key twice."""

    def refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    return json.loads(text, object_pairs_hook=refuse_twice)


def try_to(read: Callable[..., Content], *arguments: Any) -> tuple[Content | None, StructuredError | None]:
    """What a reader gives, and the error by which it refuses; any other exception is a failure."""
    try:
        return read(*arguments), None
    except StructuredError as error:
        return None, error
