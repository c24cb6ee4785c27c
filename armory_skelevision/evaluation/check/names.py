"""What configs name: objects in modules, and the arguments that they are called with."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check.findings import Finding, error, unknown_keys
from armory_skelevision.evaluation.table import TASKS
from armory_skelevision.validation import suggest

METRICS = "armory.metrics.task"
"""Where ARMORY defines the metrics that configs name without a module."""


def _place(metric: str) -> tuple[str, str]:
    module, _, name = metric.rpartition(".")
    return module or METRICS, name


_SHIPPED = {task.scenario for task in TASKS.values()} | {
    _place(name) for task in TASKS.values() for name in task.metrics
}


def find_object(
    key: str, module: str, name: str, kwargs: Mapping[str, Any] | None = None, positional: int = 0
) -> tuple[Any, list[Finding]]:
    """What a config names by module and name, or None and why it cannot be had.

    Importing runs the module, as the evaluation would.

    Args:
        key: Of the section, for the findings.
        module: Dotted name of a module.
        name: Of something in it.
        kwargs: Keyword arguments of the section, which are checked by `check_arguments`; None for none.
        positional: How many arguments come before them.
    """
    if not isinstance(name, str) or not name:
        return None, [error(f"{key}.name", f"expected the name of something in {module!r}, got {name!r}")]
    if kwargs is not None and not isinstance(kwargs, Mapping):
        return None, [error(f"{key}.kwargs", f"expected an object, got {kwargs!r}")]
    try:
        found = _import(module)
    except ImportError as raised:
        missing = raised.name or module  # perhaps something that the module imports
        fix = f"correct the name, or make {missing!r} importable (from the working directory, or by pip install)"
        return None, [error(f"{key}.module", f"{module!r} cannot be imported ({raised})", fix)]
    except Exception as raised:  # a third-party module can raise anything on import
        return None, [error(f"{key}.module", f"importing {module!r} raises {raised!r}", f"correct {module!r}")]
    if not hasattr(found, name):
        known = getattr(found, "__all__", [other for other in vars(found) if not other.startswith("_")])
        return None, [error(f"{key}.name", f"{module!r} has no {name!r}", suggest(name, sorted(known)))]
    made = getattr(found, name)
    if not callable(made):
        return None, [error(f"{key}.name", f"expected a function or a class, got another object, {module}.{name}")]
    return made, [] if kwargs is None else check_arguments(f"{key}.kwargs", made, kwargs, positional)


def _import(module: str) -> Any:
    """A module; one of ARMORY's additions to ART without TensorFlow, if it does without.

    ARMORY imports TensorFlow with them all, which takes longer than all checks together.
    """
    if not module.startswith("armory.art_experimental.") or "tensorflow" in sys.modules:
        return import_module(module)
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Python's way to say that there is none
    try:
        return import_module(module)
    except ImportError:
        pass
    finally:
        del sys.modules["tensorflow"]
    return import_module(module)


def is_shipped(metric_or_scenario: str) -> bool:
    """Whether this package's own configs name a metric or scenario, and its module's file has it.

    It is not imported, as all metrics and scenarios import TensorFlow, which takes long; `machine.check_package` checks
    that TensorFlow can be imported. A metric of ARMORY's comes without its module.
    """
    module, name = _place(metric_or_scenario)
    return (module, name) in _SHIPPED and name in _top_level_names(module)


@cache
def _top_level_names(module: str) -> set[str]:
    package, *inner = module.split(".")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return set()
    place = Path(spec.origin).parent.joinpath(*inner)
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    if not file.is_file():
        return set()
    names = set()
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def is_ours(module: str) -> bool:
    """Whether a module belongs to this package, whose objects are cheap to make, and whose errors are structured."""
    return module.split(".")[0] == "armory_skelevision"


def check_arguments(
    key: str, function: Callable[..., Any], kwargs: Mapping[str, Any], positional: int = 0
) -> list[Finding]:
    """Keyword arguments that a function does not take after some others, and those that it needs and does not get."""
    try:
        parameters = _parameters(function)[positional:]
    except (TypeError, ValueError):  # of a function in C
        return []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    known = [parameter.name for parameter in named]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    findings = [] if takes_any else unknown_keys(key, kwargs, known)
    needed = [p.name for p in named if p.default is p.empty and p.name not in kwargs]
    return findings + [error(f"{key}.{name}", f"expected a value for {function.__name__}, got none") for name in needed]


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function or a class; where a class passes any on to its base, also those of its base."""
    parameters = list(inspect.signature(function).parameters.values())
    variable = [p for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    base = function.__mro__[1] if inspect.isclass(function) else object
    if len(variable) < 2 or base is object:  # *args and **kwargs
        return parameters
    return [p for p in parameters if p not in variable] + _parameters(base)
