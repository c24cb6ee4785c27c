"""Settings as columns of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from armory_skelevision.results.labels import is_attacked
from armory_skelevision.results.records import Setting
from armory_skelevision.results.summary import Group, Summary


def constant_part(summary: Summary) -> str:
    """What all settings have in common, as a line for a caption."""
    first = summary.settings[0] if summary.settings else ()
    return write_setting(tuple(pair for pair in first if pair[0] not in summary.varying))


def write_setting(setting: Setting) -> str:
    """A setting as a line: "walkers mini · PatchAttack · δ 0.1 · 10 steps"."""
    words = []
    for name, value in setting:
        plain = name in ("data set", "attack", "defense")
        words.append(value if plain else f"{value} steps" if name == "steps" else f"{name} {value}")
    return " · ".join(words)


def setting_cells(summary: Summary, setting: Setting) -> dict[str, str]:
    """The first cells of a row: what distinguishes a setting, by name."""
    return {name: dict(setting).get(name, "–") for name in summary.varying}


def rows_by_side(summary: Summary) -> Iterator[tuple[dict[str, str], str, Mapping[str, Group]]]:
    """Rows of a table with one side each: its first cells, the side, and groups by model.

    What was measured without an attack comes first, then each setting with one.
    """
    for unattacked, benign in summary.benign.items():
        yield _benign_cells(summary, unattacked), "benign", benign
        for setting, groups in summary.groups.items():
            if is_attacked(setting) and summary.unattacked[setting] == unattacked:
                yield setting_cells(summary, setting) or {"": "attacked"}, "adversarial", groups


def _benign_cells(summary: Summary, unattacked: Setting) -> dict[str, str]:
    """First cells of a row without attack: "benign" in the first column of the attack, or else in the first."""
    texts = {name: dict(unattacked).get(name, "") for name in summary.varying or [""]}
    attack = next((name for name in texts if name in ("attack", "δ", "steps")), None)
    if attack is not None:
        return {**texts, attack: "benign"}
    first = next(iter(texts))
    return {**texts, first: f"{texts[first]} benign".strip()}
