"""The tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.labels import Setting, is_attacked
from armory_skelevision.results.records import RunResult
from armory_skelevision.results.report.columns import (
    as_cell,
    constant_part,
    describe_metric,
    metrics_of,
    setting_cells,
    varying_names,
    write_setting,
)
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.summary import Group, Summary

SIDE_WORDS = {"benign": "benign", "adversarial": "attacked"}
"""What the sides of a run are called on the page."""

_MIOU = describe_metric(METRIC)


def miou_table(summary: Summary, published: Published) -> Table:
    """Mean IoU, a row for each setting and a column for each model."""
    names, models = varying_names(summary.settings), summary.models
    rows: list[tuple[TableCell, ...]] = []
    for unattacked, settings in by_unattacked(summary):
        benign = [_miou_cell(summary.benign.get((unattacked, model)), "benign", published) for model in models]
        rows.append((*benign_place(unattacked, names), *compared(benign, models, summary.baseline)))
        for setting in filter(is_attacked, settings):
            found = [_miou_cell(summary.groups.get((setting, model)), "adversarial", published) for model in models]
            place = setting_cells(setting, names) or [TableCell("attacked")]
            rows.append((*place, *compared(found, models, summary.baseline)))
    return Table(
        name="miou",
        title="Mean IoU",
        columns=(*(names or [""]), *models),
        rows=tuple(rows),
        caption=_join(constant_part(summary.settings), "in per cent", _seeds_note(summary)),
        numeric=frozenset(models),
    )


def metrics_table(summary: Summary) -> Table:
    """Everything measured, a row for each setting and model."""
    names, groups = varying_names(summary.settings), summary.groups.values()
    pairs = [(side, metric) for metric in metrics_of(summary) for side in summary.sides]
    shown = [(side, metric) for side, metric in pairs if any(group.measure(side, metric.key) for group in groups)]
    titles = [f"{SIDE_WORDS[side]} {metric.title}" for side, metric in shown]
    rows = []
    for setting in summary.settings:
        found = [summary.groups.get((setting, model)) for model in summary.models]
        # Checkpoints have nothing but the mean IoU, which has a table of its own.
        present = [group for group in found if group and any(run.steps is None for run in _all_runs(group))]
        models = [group.model for group in present]
        measured = [
            compared([as_cell(group.measure(side, metric.key), metric) for group in present], models, summary.baseline)
            for side, metric in shown
        ]
        for number, group in enumerate(present):
            seconds = group.seconds()
            cost = TableCell(value=seconds, digits=0) if seconds else TableCell("–")
            values = (column[number] for column in measured)
            rows.append((*setting_cells(setting, names), TableCell(group.model), _seed_count(group), *values, cost))
    return Table(
        name="metrics",
        title="All metrics and cost",
        columns=(*names, "model", "seeds", *titles, "seconds"),
        rows=tuple(rows),
        caption=_join(constant_part(summary.settings), _seeds_note(summary)),
        numeric=frozenset((*titles, "seconds")),
    )


def videos_table(summary: Summary) -> Table:
    """The mean IoU of every video, in every run that counts."""
    names, sides = varying_names(summary.settings), summary.sides
    rows: list[tuple[TableCell, ...]] = []
    for setting in summary.settings:
        for model in summary.models:
            group = summary.groups.get((setting, model))
            for run, seed in zip(group.finished, group.seeds, strict=True) if group else ():
                place = (*setting_cells(setting, names), TableCell(model), TableCell(_seed_text(seed)))
                rows += [(*place, *cells) for cells in _video_cells(run, sides)]
    titles = _miou_titles(sides)
    return Table(
        name="videos",
        title="Every video",
        columns=(*names, "model", "seed", "video", *titles),
        rows=tuple(rows),
        numeric=frozenset(titles),
    )


def runs_table(summary: Summary, commands: Mapping[str, str]) -> Table:
    """A row for each run, finished or not.

    Args:
        summary: All runs.
        commands: By the name of a run, the command that runs it again.
    """
    rows, names, sides = [], varying_names(summary.settings), summary.sides
    for run, label, is_repeated in summary.runs:
        state = "repeated" if is_repeated else run.state
        setting = write_setting(tuple(pair for pair in label.setting if pair[0] in names)) if label else "no config"
        ious = [run.side(side).mean_iou for side in sides]
        rows.append(
            (
                TableCell(run.name),
                TableCell(state, state=state if state != "finished" else ""),
                TableCell(label.model if label else "–"),
                TableCell(setting or "–"),
                TableCell(_seed_text(label.seed) if label else "–"),
                *(TableCell("–") if iou is None else _plain_share(iou) for iou in ious),
                TableCell("–" if run.seconds is None else f"{run.seconds:.0f}"),
                TableCell(run.hash[:12] or "–"),
                TableCell(commands[run.name] or "–"),
            )
        )
    return Table(
        name="runs",
        title="Every run",
        caption=constant_part(summary.settings),
        columns=("run", "state", "model", "setting", "seed", *_miou_titles(sides), "seconds", "hash", "command"),
        rows=tuple(rows),
        numeric=frozenset((*_miou_titles(sides), "seconds")),
    )


def compared(cells: Sequence[TableCell], models: Sequence[str], baseline: str | None) -> list[TableCell]:
    """Cells of one row, a model each, with their differences to the baseline, and the highest marked."""
    means = [cell.value.mean for cell in cells if cell.value]
    several = len({cell.number for cell in cells if cell.value}) > 1
    best = f"{max(means):.{cells[0].digits}f}" if several else None
    reference = dict(zip(models, cells, strict=True)).get(baseline or "")
    marked = []
    for model, cell in zip(models, cells, strict=True):
        change = None
        if cell.value and reference and reference.value and model != baseline:
            change = cell.value.mean - reference.value.mean
        marked.append(replace(cell, change=change, best=cell.value is not None and cell.number == best))
    return marked


def by_unattacked(summary: Summary) -> list[tuple[Setting, list[Setting]]]:
    """All settings, grouped by the part of them that matters without an attack."""
    grouped: dict[Setting, list[Setting]] = {}
    for setting in summary.settings:
        grouped.setdefault(summary.unattacked[setting], []).append(setting)
    return list(grouped.items())


def benign_place(unattacked: Setting, names: Sequence[str]) -> list[TableCell]:
    """First cells of a row without attack: "benign" in the first column of the attack, or else in the first."""
    known = dict(unattacked)
    attack = next((name for name in names if name in ("attack", "δ", "steps")), None)
    if attack is not None:
        return [TableCell("benign" if name == attack else known.get(name, "")) for name in names]
    texts = [known.get(name, "") for name in names] or [""]
    return [TableCell(f"{texts[0]} benign".strip()), *map(TableCell, texts[1:])]


def _miou_cell(group: Group | None, side: str, published: Published) -> TableCell:
    if group is None:
        return TableCell("–", state="absent")
    value, number = group.measure(side, METRIC), published.find(group, side)
    if value is None:
        # A finished run that skipped this side is not a failure.
        state = "absent" if group.finished else group.state
        return TableCell("–" if state == "absent" else state, state=state, published=number)
    note = f"{_seed_count(group).text} seeds" if group.unfinished else ""
    return replace(as_cell(value, _MIOU), published=number, note=note, state=group.state)


def _video_cells(run: RunResult, sides: Sequence[str]) -> list[tuple[TableCell, ...]]:
    ious = [run.side(side).video_ious for side in sides]
    return [
        (
            TableCell(run.video_name(video)),
            *(_plain_share(found[video]) if video < len(found) else TableCell("–") for found in ious),
        )
        for video in range(max(map(len, ious)))
    ]


def _seeds_note(summary: Summary) -> str:
    """How many seeds the numbers come from, and what their intervals mean."""
    counts = {len(group.finished) for group in summary.groups.values() if group.finished}
    if counts <= {1}:
        return "one seed each (n = 1), so no intervals"
    return "mean ± 95 % interval over seeds (Student's t)" + ("; no interval where n = 1" if 1 in counts else "")


def _all_runs(group: Group) -> tuple[RunResult, ...]:
    return (*group.finished, *group.unfinished)


def _seed_count(group: Group) -> TableCell:
    done, total = len(group.finished), len(_all_runs(group))
    return TableCell(str(done) if done == total else f"{done} of {total}", state=group.state)


def _seed_text(seed: Setting) -> str:
    return " · ".join(value for _, value in seed) or "–"


def _miou_titles(sides: Sequence[str]) -> list[str]:
    return [f"{SIDE_WORDS[side]} {_MIOU.title}" for side in sides]


def _plain_share(share: float) -> TableCell:
    return TableCell(f"{100 * share:.2f}")


def _join(*parts: str) -> str:
    return " · ".join(filter(None, parts))
