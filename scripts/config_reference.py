"""Renew the generated parts of docs/config.md, from the signatures and docstrings of the code that reads the keys.

python -m scripts.config_reference [--check]

A generated part stands between two comments, the first of which names a class or function::

    <!-- keys armory_skelevision.attacks:PatchAttack -estimator -->
    <!-- end -->

``-name`` leaves a parameter out, ``name=key`` renames it, and ``own`` leaves out what a base class has. Another kind of
part lists all public functions of a module::

    <!-- functions armory_skelevision.metrics -->
    <!-- end -->

Everything else on the page is written by hand.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from armory_skelevision.evaluation.measuring import quiet_armory
from armory_skelevision.validation import PathLimits, describe

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "config.md"

PART = re.compile(r"(<!-- (keys|functions) (\S+)(.*?) -->)\n.*?<!-- end -->", re.DOTALL)


class Key(NamedTuple):
    """One key that a config may have."""

    name: str
    accepts: str
    default: str
    meaning: str


def renew(page: str) -> str:
    """The page with its generated parts as the code is now."""
    return PART.sub(_render_part, page)


def _render_part(part: re.Match[str]) -> str:
    comment, kind, target, options = part.groups()
    text = _describe_functions(target) if kind == "functions" else _describe_keys(target, options)
    return f"{comment}\n\n{text}\n\n<!-- end -->"


def _describe_functions(target: str) -> str:
    module = import_module(target)
    functions = [getattr(module, name) for name in module.__all__]
    lines = [f"| `{target}.{each.__name__}` | {_link(each)} | {_summary(each)} |" for each in functions]
    return "\n".join(["| name | file | meaning |", "|---|---|---|", *lines])


def _describe_keys(target: str, options: str) -> str:
    module, _, name = target.partition(":")
    owner = getattr(import_module(module), name)
    skipped = {*re.findall(r" -(\w+)", options)}
    if " own" in options:
        skipped |= {field.name for field in fields(owner)} - inspect.get_annotations(owner).keys()
    renamed = dict(re.findall(r" (\w+)=(\w+)", options))
    keys = [key._replace(name=renamed.get(key.name, key.name)) for key in keys_of(owner) if key.name not in skipped]
    kind = "Class" if inspect.isclass(owner) else "Function"
    introduction = f"{kind} `{owner.__name__}` in {_link(owner)}. {_summary(owner)}"
    return f"{introduction}\n\n{_as_table(keys)}" if keys else introduction


def keys_of(owner: Any) -> list[Key]:
    """The keys that a dataclass, another class or a function takes.

    Raises:
        LookupError: If a docstring does not explain one of them.
    """
    function = owner.__init__ if inspect.isclass(owner) and not is_dataclass(owner) else owner
    hints = get_type_hints(function, include_extras=True)
    meanings = _meanings(owner)
    keys = []
    for name, default in _defaults(owner).items():
        if name not in meanings:
            raise LookupError(f"{owner.__module__}.{owner.__name__}: the docstring does not explain {name!r}")
        keys.append(Key(name, _accepts(hints.get(name, Any)), default, meanings[name]))
    return keys


def _accepts(annotation: Any) -> str:
    """What an annotation accepts in the words of JSON, which has no paths and other quotes than Python."""
    words = re.sub(r"'([^']*)'", r'"\1"', describe(annotation))
    words = re.sub(f"text{re.escape(PathLimits().describe())}", "a path", words)
    return re.sub(r"text or (a path|Path\w*)" + f"({re.escape(PathLimits().describe())})?", "a path", words)


def _defaults(owner: Any) -> dict[str, str]:
    """Parameters or fields, and their defaults as they would stand in a config."""
    if is_dataclass(owner):
        made = {field.name: field.default_factory for field in fields(owner) if field.default_factory is not MISSING}
        return {field.name: _show(made.get(field.name, lambda field=field: field.default)()) for field in fields(owner)}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(owner).parameters.values()
    return {each.name: _show(each.default) for each in parameters if each.kind not in variadic}


def _show(value: Any) -> str:
    if value is MISSING or value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, float):
        steps = value * 255
        in_steps = math.isclose(steps, round(steps)) and not (value * 1000).is_integer()
        return f"{steps:.0f}/255" if in_steps else f"{value:g}"
    return json.dumps(dict(value) if isinstance(value, Mapping) else value)


def _meanings(owner: Any) -> dict[str, str]:
    """What the docstrings of a function and its package, or of a class and its bases, say about each key."""
    if inspect.isclass(owner):
        documented = [*reversed(inspect.getmro(owner))]
    else:
        documented = [sys.modules[owner.__module__.rpartition(".")[0]], owner]
    return {name: text for each in documented for name, text in _read_entries(inspect.getdoc(each) or "").items()}


def _read_entries(docstring: str) -> dict[str, str]:
    """The entries under "Args:" and "Attributes:"."""
    entries: dict[str, str] = {}
    name, inside = "", False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            inside = line in ("Args:", "Attributes:")
        elif inside and (entry := re.match(r" {4}(\w+): (.*)", line)):
            name, entries[entry[1]] = entry[1], entry[2]
        elif inside and line.strip():
            entries[name] += f" {line.strip()}"
    return entries


def _link(owner: Any) -> str:
    file = Path(inspect.getsourcefile(inspect.unwrap(owner)) or "").relative_to(ROOT).as_posix()
    return f"[`{file}`](../{file})"


def _summary(owner: Any) -> str:
    return _as_markdown((inspect.getdoc(owner) or "").split("\n\n")[0].replace("\n", " "))


def _as_table(keys: list[Key]) -> str:
    lines = [f"| `{key.name}` | {key.accepts} | {key.default} | {_as_markdown(key.meaning)} |" for key in keys]
    return "\n".join(["| key | accepts | default | meaning |", "|---|---|---|---|", *lines])


def _as_markdown(text: str) -> str:
    for word in ("None", "True", "False"):
        text = re.sub(rf"\b{word}\b", "null" if word == "None" else word.lower(), text)
    return text.replace("``", "`").replace("|", "\\|")


def main() -> int:
    """Renew the page; with --check, report whether it would change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page would change")
    check = parser.parse_args().check
    before = PAGE.read_text(encoding="utf-8")
    with quiet_armory():
        after = renew(before)
    if not check:
        PAGE.write_text(after, encoding="utf-8")
    return int(check and before != after)


if __name__ == "__main__":
    sys.exit(main())
