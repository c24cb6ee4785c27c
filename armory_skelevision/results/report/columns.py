"""Settings as columns of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from armory_skelevision.results.labels import is_attacked
from armory_skelevision.results.records import Setting
from armory_skelevision.results.summary import Group, Summary


def varying_names(settings: Sequence[Setting]) -> list[str]:
    """Names whose values differ between settings."""
    maps = [dict(setting) for setting in settings]
    names = dict.fromkeys(name for found in maps for name in found)
    return [name for name in names if len({found.get(name) for found in maps}) > 1]


def constant_part(settings: Sequence[Setting]) -> str:
    """What all settings have in common, as a line for a caption."""
    varying = varying_names(settings)
    return write_setting(tuple(pair for pair in settings[0] if pair[0] not in varying)) if settings else ""


def write_setting(setting: Setting) -> str:
    """A setting as a line: "walkers mini · PatchAttack · δ 0.1 · 10 steps"."""
    words = []
    for name, value in setting:
        plain = name in ("data set", "attack", "defense")
        words.append(value if plain else f"{value} steps" if name == "steps" else f"{name} {value}")
    return " · ".join(words)


def setting_cells(setting: Setting, names: Sequence[str]) -> dict[str, str]:
    """The first cells of a row: the values of a setting, by name."""
    values = dict(setting)
    return {name: values.get(name, "–") for name in names}


def rows_by_side(summary: Summary) -> Iterator[tuple[dict[str, str], str, Mapping[str, Group]]]:
    """Rows of a table with one side each: its first cells, the side, and groups by model.

    What was measured without an attack comes first, then each setting with one.
    """
    names = varying_names(summary.settings)
    for unattacked, benign in summary.benign.items():
        yield _benign_cells(unattacked, names), "benign", benign
        for setting, groups in summary.groups.items():
            if is_attacked(setting) and summary.unattacked[setting] == unattacked:
                yield setting_cells(setting, names) or {"": "attacked"}, "adversarial", groups


def _benign_cells(unattacked: Setting, names: Sequence[str]) -> dict[str, str]:
    """First cells of a row without attack: "benign" in the first column of the attack, or else in the first."""
    texts = {name: dict(unattacked).get(name, "") for name in names or [""]}
    attack = next((name for name in names if name in ("attack", "δ", "steps")), None)
    if attack is not None:
        return {**texts, attack: "benign"}
    first = next(iter(texts))
    return {**texts, first: f"{texts[first]} benign".strip()}
