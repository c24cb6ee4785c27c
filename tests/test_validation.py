"""Settings are checked by their annotations, and refusals say key, expected, got and fix."""

import inspect
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import pytest

from armory_skelevision import attacks, defenses
from armory_skelevision.attacks.patch import EOT
from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.datasets import (
    carla_video_tracking,
    coco_people,
    otb_person,
    sequences,
    walker_people,
    walkers,
)
from armory_skelevision.submission.suite import Suite
from armory_skelevision.sweeps.grid import Grid
from armory_skelevision.tracking import TrackerSettings
from armory_skelevision.training.adversarial.settings import AdversarialSettings
from armory_skelevision.training.backdoor.settings import BackdoorSettings
from armory_skelevision.training.dualossdef.settings import DuaLossDefSettings
from armory_skelevision.training.settings import MultitaskSettings
from armory_skelevision.validation import (
    AnyPath,
    Count,
    Fraction,
    InvalidValueError,
    MissingFileError,
    PathText,
    Positive,
    Range,
    Settings,
    accepts,
    change_attributes,
    check_arguments,
    check_value,
    describe,
)


@dataclass(frozen=True)
class Camera(Settings):
    focal: Positive
    blur: Fraction = 0.5
    kind: Literal["wide", "tele"] | None = None
    centre: tuple[float, float] = (0.0, 0.0)
    steps: tuple[int, ...] = ()
    shaken: bool = False
    extra: Mapping[str, float] = field(default_factory=dict)

    def check(self):
        if self.shaken and self.blur == 0:
            raise InvalidValueError("blur", "a number above 0", "0", "a shaken camera blurs")


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        (float, [1, 0.5, -2], [True, "1", None, math.nan, math.inf]),
        (int, [0, -3], [2.0, True, "2"]),
        (bool, [True, False], [0, 1, "true"]),
        (Count, [1, 7], [0, 1.0, 10**7]),
        (Annotated[float, Range(0, 1, without_high=True)], [0, 0.99], [1, -0.1]),
        (Annotated[float, Range(0, 2, without_low=True)], [2, 0.1], [0, 2.1]),
        (Literal["a", 1], ["a", 1], ["b", True, 1.0]),
        (str | None, ["x", None], [1]),
        (tuple[int, ...], [[], [1, 2], (3,)], [[1.5], 1, "12"]),
        (tuple[float, float], [[1, 2]], [[1], [1, 2, 3]]),
        (Mapping[str, float], [{}, {"a": 1}], [{"a": "b"}, []]),
        (str | os.PathLike[str], ["x", Path("x")], [1, None]),
        (
            PathText,
            ["x", "a/b", "é" * 127, "/" + "a/" * 499],
            ["", "a" * 256, "é" * 128, "a/" * 501, "a\0", "\ud800", 1],
        ),
        (AnyPath | None, ["x", Path("x"), Path("\udcff"), None], ["", Path("a" * 256), 1, True]),
        (Any, [None, 1], []),
    ],
)
def test_values_are_what_their_annotation_says(annotation: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [value for value in right if not accepts(annotation, value)] == []
    assert [value for value in wrong if accepts(annotation, value)] == []


@pytest.mark.parametrize(("value", "got"), [([1], "[1]"), (None, "null"), (True, "true"), ({"a": 1}, "{'a': 1}")])
def test_refusals_show_the_value(value: Any, got: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        check_value("count", value, Count)
    assert (refused.value.key, refused.value.got) == ("count", got)


def unbounded(annotation: Any) -> bool:
    """Whether an annotation accepts a number that has no upper bound; objects are checked by classes of their own."""
    if annotation in (int, float):
        return True
    if get_origin(annotation) in (ClassVar, Mapping):
        return False
    kind, *marks = get_args(annotation) or (None,)
    if get_origin(annotation) is Annotated and kind in (int, float):
        return not any(math.isfinite(mark.high) for mark in marks if isinstance(mark, Range))
    return any(map(unbounded, get_args(annotation)))


FRONT_DOORS = [
    *(getattr(module, name) for module in (attacks, defenses) for name in module.__all__),
    *(otb_person, walkers, carla_video_tracking, coco_people, sequences, walker_people),
    *(
        MultitaskSettings,
        BackdoorSettings,
        AdversarialSettings,
        DuaLossDefSettings,
        Suite,
        Grid,
        EOT,
        Trigger,
        TrackerSettings,
    ),
]


@pytest.mark.parametrize("owner", FRONT_DOORS, ids=lambda owner: owner.__name__)
def test_every_number_in_configs_and_settings_has_an_upper_bound(owner: Any) -> None:
    function = owner if is_dataclass(owner) or not inspect.isclass(owner) else owner.__init__
    hints = get_type_hints(function, include_extras=True)
    assert [name for name, annotation in hints.items() if unbounded(annotation)] == []


def test_annotations_are_put_into_words() -> None:
    annotations = (Positive, Count, Fraction, Literal["a", "b"], int | None, tuple[int, ...], tuple[float, float])
    assert [describe(each) for each in annotations] == [
        "a number in (0, 1000000]",
        "a whole number in [1, 1000000]",
        "a number in [0, 1]",
        "'a' or 'b'",
        "a whole number or null",
        "a list of values, each a whole number",
        "[a number, a number]",
    ]


def test_settings_come_from_json() -> None:
    camera = Camera.from_dict({"focal": 2, "centre": [1, 2]}, "camera", {"blur": 0.25})
    assert camera == Camera(2, 0.25, centre=(1, 2))


@pytest.mark.parametrize(
    ("values", "key", "got", "fix"),
    [
        ({"focal": 0}, "camera.focal", "0", ""),
        ({"focal": True}, "camera.focal", "true", ""),
        ({}, "camera.focal", "none", "it has no default"),
        ({"focal": 1, "fokal": 1}, "camera.fokal", "an unknown one", "did you mean 'focal'?"),
        ({"focal": 1, "blur": math.nan}, "camera.blur", "nan", ""),
        ({"focal": 1, "shaken": True, "blur": 0}, "camera.blur", "0", "a shaken camera blurs"),
        (3, "camera", "3", ""),
    ],
)
def test_refusals_name_the_key(values: Any, key: str, got: str, fix: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        Camera.from_dict(values, "camera")
    error = caught.value
    assert (error.key, error.got, error.fix) == (key, got, fix)
    assert str(error).startswith(f"{key}: expected {error.expected}, got {got}")


def test_arguments_are_checked_by_the_signature() -> None:
    class Attack:
        def __init__(self, estimator, max_iter: Count = 10, eps: Fraction = 0.5) -> None: ...

    check_arguments(Attack, {"estimator": object(), "max_iter": 3})
    with pytest.raises(InvalidValueError) as caught:
        check_arguments(Attack, {"max_iter": 3, "eps": 2})
    assert (caught.value.key, caught.value.expected) == ("eps", "a number in [0, 1]")


@pytest.mark.parametrize("annotation", [Count, Fraction, float, int | None, Annotated[int, Range(0, 10)]])
@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["400", "-400", "5000"])
def test_whole_numbers_of_any_size_are_judged_and_described(annotation, value):
    if accepts(annotation, value):
        assert annotation in (Count, int | None)
        return
    with pytest.raises(InvalidValueError) as caught:
        check_value("key", value, annotation)
    assert "bits" in caught.value.got and len(str(caught.value)) < 200


def test_a_refused_change_leaves_all_attributes():
    class Owner:
        def __init__(self):
            self.a, self.b = 1, [2]

        def check(self):
            self.made = self.a
            if self.a > 2:
                raise ValueError("three")

    owner = Owner()
    change_attributes(owner, {"a": 2}, owner.check)
    assert vars(owner) == {"a": 2, "b": [2], "made": 2}
    with pytest.raises(ValueError, match="three"):
        change_attributes(owner, {"a": 3, "c": 4}, owner.check)
    assert vars(owner) == {"a": 2, "b": [2], "made": 2}


def test_an_error_about_a_file_under_the_setting_that_names_it():
    error = MissingFileError("a.npy", "a file", "none", "fetch it").named_by("patch_init")
    assert (type(error), error.key, error.expected, error.got, error.fix) == (
        MissingFileError,
        *("patch_init", "a file", "none: a.npy", "fetch it"),
    )


def test_ranges_are_described_exactly() -> None:
    assert Range(0, 2**63 - 1).describe() == " in [0, 9223372036854775807]"
    assert Range(-0.5, 1e6, without_low=True).describe() == " in (-0.5, 1000000]"
