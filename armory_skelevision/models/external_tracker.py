"""Anybody's tracker, an object that takes an image and answers with a box, with ARMORY's model signature."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from armory_skelevision.models.adapter import Color, TrackerAdapter, TrackerFailedError
from armory_skelevision.models.estimator import WrapperSettings
from armory_skelevision.models.external_estimator import ExternalEstimator, ExternalTensorEstimator
from armory_skelevision.validation import (
    InvalidTypeError,
    InvalidValueError,
    MissingFileError,
    Settings,
    StructuredError,
    suggest,
)


@dataclass(frozen=True)
class ExternalSettings(Settings):
    """``model_kwargs`` of `external`.

    Attributes:
        factory: The function or class that makes the tracker, as "module:name". It is imported and called: whoever
            runs a config runs this code.
        color: Order of the colour channels in the images that the tracker gets: "RGB", as pytracking has it, or "BGR",
            as PySOT and OpenCV do; None for what the tracker's attribute ``color`` says, and where it has none for
            "BGR" with an object of PySOT's or OpenCV's, else "RGB".
        kwargs: Arguments of the factory.
    """

    factory: str
    color: Color | None = None
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def external(
    model_kwargs: Annotated[Mapping[str, Any], ExternalSettings],
    wrapper_kwargs: Annotated[Mapping[str, Any], WrapperSettings],
    weights_path: str | Path | None = None,
) -> ExternalEstimator:
    """A tracker of your own, or of another project: an object that is given images and answers with boxes.

    What it has to be is described in `adapter`, and how it gets gradients in `ExternalTensorEstimator`.

    Args:
        model_kwargs: ``factory``, ``color`` and ``kwargs``; see `ExternalSettings`.
        wrapper_kwargs: ``device_type``, which says where the tensors are that a tracker with ``track_tensor`` gets.
        weights_path: Passed to the factory as its argument ``weights``, a path; None passes nothing.

    Raises:
        InvalidValueError: For an unknown key, a factory that is not there, or arguments that it does not take.
        InvalidTypeError: If it makes something without the methods of a tracker.
        TrackerFailedError: If it raises an exception, which is the cause of this one.
    """
    settings = ExternalSettings.from_dict(model_kwargs, "model_kwargs")
    wrapper = WrapperSettings.from_dict(wrapper_kwargs, "wrapper_kwargs")
    if wrapper.tracking:
        fix = "an external tracker has constants of its own, which its factory may take as kwargs"
        raise InvalidValueError("wrapper_kwargs.tracking", "none", str(dict(wrapper.tracking)), fix)
    weights = {} if weights_path is None else {"weights": os.fspath(weights_path)}
    try:
        tracker = make_tracker(settings.factory, {**settings.kwargs, **weights})
        adapter = TrackerAdapter(tracker, settings.factory, settings.color)
    except InvalidTypeError as error:  # not an object of the right kind
        raise InvalidTypeError("model_kwargs.factory", error.expected, error.got, error.fix) from None
    except (InvalidValueError, MissingFileError) as error:
        raise error.within("model_kwargs") from error.__cause__
    kind = ExternalTensorEstimator if callable(getattr(tracker, "track_tensor", None)) else ExternalEstimator
    return kind(adapter, device_type=wrapper.device_type)


def make_tracker(factory: str, kwargs: Mapping[str, Any]) -> Any:
    """What a factory, named as "module:name", makes of its arguments.

    Raises:
        InvalidValueError, TrackerFailedError: See `external`.
    """
    make = _find_factory(factory)
    try:
        inspect.signature(make).bind(**kwargs)
    except TypeError as error:
        expected = f"arguments of {factory}{inspect.signature(make)}"
        raise InvalidValueError("kwargs", expected, str(dict(kwargs)), str(error)) from None
    except ValueError:  # a function in C does not say what it takes
        pass
    try:
        return make(**kwargs)
    except StructuredError as error:  # of a factory of this package
        raise error.within("kwargs") from error.__cause__
    except Exception as error:  # third-party code can raise anything
        raise TrackerFailedError.of(factory, "a tracker", error) from error


def _find_factory(factory: str) -> Callable[..., Any]:
    module_name, _, name = factory.partition(":")
    if not name or not all(part.isidentifier() for part in module_name.split(".")):
        raise InvalidValueError("factory", 'a function or a class, as "module:name"', repr(factory))
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        fix = f"make {error.name or module_name!r} importable: from the working directory, or by pip install"
        raise InvalidValueError("factory", "a module that can be imported", f"{module_name} ({error})", fix) from error
    except Exception as error:  # third-party code can raise anything
        raise TrackerFailedError.of(module_name, "a module that can be imported", error) from error
    for part in name.split("."):
        if not hasattr(found, part):
            known = (
                sorted(each for each in vars(found) if not each.startswith("_")) if hasattr(found, "__dict__") else []
            )
            raise InvalidValueError("factory", f"a name in {module_name}", name, suggest(part, known))
        found = getattr(found, part)
    if not callable(found):
        raise InvalidValueError("factory", "a function or a class", f"{factory}, an object of {type(found).__name__}")
    make: Callable[..., Any] = found
    return make
