"""What annotations' numbers and lines are taken for, and how errors name them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armory_skelevision.datasets.numbers import as_array, duplicates, name_some, parse_box_xywh, place, read_lines
from armory_skelevision.validation import InvalidValueError


def test_lines_end_as_on_any_system_and_keep_what_is_no_blank(tmp_path: Path) -> None:
    path = tmp_path / "boxes.txt"
    path.write_bytes("\ta b \r\n\r\nX\xa0c\x0bX\r dX\n \t\r\n\n".encode())
    assert read_lines(path) == ["a b", "", "X\xa0c\x0bX", "dX"]
    for text in ("\xa0", "X"):
        path.write_text(text, encoding="utf-8")
        assert read_lines(path) == [text]
    path.write_bytes(b" \t\r\n")
    assert read_lines(path) == []


def test_a_box_may_have_any_form_of_number_up_to_the_limit() -> None:
    assert parse_box_xywh("1e6 -1E+6\t.5  1.", "a:1") == (1e6, -1e6, 0.5, 1)
    assert parse_box_xywh("1\t, +2 ,3,4e-1", "a:1") == (1, 2, 3, 0.4)
    for line in ("1e6,1,1,1000001", "-1000001 1 1 1", "1 2,3 4", "1,2,3", "1,2,3,4,5", "1,2,3,nan", "1;2;3;4"):
        with pytest.raises(InvalidValueError) as caught:
            parse_box_xywh(line, "a:1")
        assert (caught.value.key, caught.value.got) == ("a:1", repr(line))
    with pytest.raises(InvalidValueError) as caught:
        parse_box_xywh("9" * 200, "a:1")
    assert caught.value.got == "'" + "9" * 99


@pytest.mark.parametrize(
    ("values", "shape", "got"),
    [
        ([[1, 2]], (2, 1), "(1, 2)"),
        ([[1, 2], [3]], (2, 2), "(2, 2)"),
        ([], (2,), "(0,)"),
        ([[1, 2, 3]], (2, 3), "(1, 3)"),
        ("x" * 200, (200,), "'" + "x" * 79),
        ([1, None], (2,), "None"),
        ([1, False], (2,), "False"),
        ([1, "2"], (2,), "'2'"),
        ([1, 10.5], (2,), "10.5"),
        ([1, -10.5], (2,), "-10.5"),
        ([1, float("nan")], (2,), "nan"),
        ([1, "x" * 200], (2,), "'" + "x" * 79),
    ],
)
def test_arrays_of_another_kind_are_refused(values: Any, shape: tuple[int, ...], got: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        as_array("a", values, shape, limit=10)
    assert (caught.value.key, caught.value.got) == ("a", got)


def test_arrays_are_read_up_to_the_limit() -> None:
    array = as_array("a", [[1, 10.0], (-10, 0)], (2, 2), limit=10)
    assert array.dtype == np.float64 and array.tolist() == [[1, 10], [-10, 0]]
    assert as_array("a", [1e6], (1,)).tolist() == [1e6]


def test_what_occurs_twice_is_named_once() -> None:
    assert duplicates([3, 1, 2, 1, 3, 1]) == [1, 3]
    assert name_some([1, 2, 3, 4, 5]) == "1, 2, 3, 4, 5"
    assert name_some([1, 2, 3, 4, 5, 6]) == "1, 2, 3, 4, 5, … (6 in all)"
    assert name_some(["x" * 100]) == "x" * 80


def test_places_are_lines_or_keys() -> None:
    assert place(Path("a\n/b"), 3) == r"a\n/b:3"
    assert place(Path("a\n/b"), "images") == r"a\n/b: images"
