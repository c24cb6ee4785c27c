"""The report's tables, made from what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.cells import Cell
from armory_skelevision.results.groups import Board, Group
from armory_skelevision.results.labels import Setting, is_attacked, key_of
from armory_skelevision.results.report.columns import (
    SHARES,
    Metric,
    as_entry,
    constant_part,
    metrics_of,
    scaled,
    setting_entries,
    varying_names,
    write_setting,
)
from armory_skelevision.results.report.published import Published
from armory_skelevision.results.report.tables import Entry, Table

MIOU = Metric(METRIC, SHARES[METRIC], 100, 1)

_WORDS = {"benign": "benign", "adversarial": "attacked"}


def miou_table(board: Board, published: Published) -> Table:
    """Mean IoU, a row for each setting and a column for each model, as in the paper's Table 1."""
    names = varying_names(board.settings)
    rows: list[tuple[Entry, ...]] = []
    for unattacked, settings in by_unattacked(board):
        benign = [_entry(board.benign.get((unattacked, model)), "benign", published) for model in board.models]
        rows.append((*benign_place(unattacked, names), *compared(board, benign)))
        for setting in filter(is_attacked, settings):
            found = [_entry(board.groups.get((setting, model)), "adversarial", published) for model in board.models]
            rows.append((*(setting_entries(setting, names) or [Entry("attacked")]), *compared(board, found)))
    return Table(
        name="miou",
        title="Mean IoU",
        columns=(*(names or [""]), *board.models),
        rows=tuple(rows),
        caption=" · ".join(line for line in (constant_part(board.settings), "in per cent", seeds_note(board)) if line),
        numeric=frozenset(board.models),
    )


def metrics_table(board: Board) -> Table:
    """Everything measured, a row for each setting and model."""
    names, groups = varying_names(board.settings), board.groups.values()
    columns_of = [(side, metric) for metric in metrics_of(board) for side in board.sides]
    shown = [pair for pair in columns_of if any(group.measure(pair[0], pair[1].key) for group in groups)]
    titles = [f"{_WORDS[side]} {metric.title}" for side, metric in shown]
    rows = []
    for setting in board.settings:
        here = [board.groups[setting, model] for model in board.models if (setting, model) in board.groups]
        # Of steps passed on the way nothing but the mean IoU is known, which has its table.
        present = [group for group in here if any(cell.steps is None for cell in (*group.finished, *group.unfinished))]
        measured = [[as_entry(group.measure(side, metric.key), metric) for side, metric in shown] for group in present]
        models = [group.model for group in present]
        columns = [compared(board, list(column), models) for column in zip(*measured, strict=True)]
        for group, *entries in zip(present, *columns, strict=True):
            cost = Entry("–", group.seconds(), 0)
            cells = [Entry(group.model), _count(group), *entries, cost]
            rows.append((*setting_entries(setting, names), *cells))
    return Table(
        name="metrics",
        title="All metrics and cost",
        columns=(*names, "model", "seeds", *titles, "seconds"),
        rows=tuple(rows),
        caption=" · ".join(line for line in (constant_part(board.settings), seeds_note(board)) if line),
        numeric=frozenset((*titles, "seconds")),
    )


def videos_table(board: Board) -> Table:
    """The mean IoU of every video, in every run that counts."""
    names, sides = varying_names(board.settings), board.sides
    rows = []
    for (setting, model), group in sorted(board.groups.items(), key=lambda item: _place(board, *item[0])):
        for cell in group.finished:
            ious = [cell.run.side(side).video_ious for side in sides] if cell.run else []
            for video in range(max(map(len, ious), default=0)):
                values = [Entry("–") if video >= len(side) else _single(side[video]) for side in ious]
                seeds = " · ".join(value for _, value in board.labels[key_of(cell)].seed) or "–"
                rows.append((*setting_entries(setting, names), Entry(model), Entry(seeds), Entry(str(video)), *values))
    return Table(
        name="videos",
        title="Every video",
        columns=(*names, "model", "seed", "video", *_miou_titles(sides)),
        rows=tuple(rows),
        numeric=frozenset(("video", *_miou_titles(sides))),
    )


def cells_table(board: Board, cells: Sequence[Cell]) -> Table:
    """What was run: a row for each cell, whatever became of it."""
    rows, names, sides = [], varying_names(board.settings), board.sides
    for cell in cells:
        label = board.labels.get(key_of(cell))
        state = "repeated" if key_of(cell) in board.repeated else cell.state
        setting = "unknown: no config"
        if label:
            setting = write_setting(tuple(pair for pair in label.setting if pair[0] in names)) or "–"
        seed = " · ".join(value for _, value in label.seed) if label else ""
        ious = [cell.run.side(side).mean_iou if cell.run else None for side in sides]
        numbers = [Entry("–") if value is None else _single(value) for value in ious]
        seconds = Entry("–") if cell.seconds is None else Entry(f"{cell.seconds:.0f}")
        rows.append(
            (
                *(Entry(cell.name), Entry(state, state=state if state != "finished" else "")),
                *(Entry(label.model if label else "–"), Entry(setting), Entry(seed or "–"), *numbers, seconds),
                *(Entry(cell.hash[:12] or "–"), Entry(cell.command or "–")),
            )
        )
    return Table(
        name="cells",
        title="Every run",
        caption=constant_part(board.settings),
        columns=("run", "state", "model", "setting", "seed", *_miou_titles(sides), "seconds", "hash", "command"),
        rows=tuple(rows),
        numeric=frozenset((*_miou_titles(sides), "seconds")),
    )


def compared(board: Board, entries: list[Entry], models: Sequence[str] | None = None) -> list[Entry]:
    """Entries of one row, each with its difference to the baseline's, and the highest marked."""
    models = models or board.models
    means = [entry.value.mean for entry in entries if entry.value]
    shown = {entry.number for entry in entries if entry.value}
    best = f"{max(means):.{entries[0].digits}f}" if len(shown) > 1 else None
    reference = dict(zip(models, entries, strict=True)).get(board.baseline or "")
    marked = []
    for model, entry in zip(models, entries, strict=True):
        change = None
        if entry.value and reference and reference.value and model != board.baseline:
            change = entry.value.mean - reference.value.mean
        marked.append(replace(entry, change=change, best=entry.value is not None and entry.number == best))
    return marked


def seeds_note(board: Board) -> str:
    """How sure the numbers are, in a line."""
    counts = {len(group.finished) for group in board.groups.values() if group.finished}
    if counts <= {1}:
        return "one seed each (n = 1), so no intervals"
    return "mean ± 95 % interval over seeds (Student's t)" + ("; no interval where n = 1" if 1 in counts else "")


def by_unattacked(board: Board) -> list[tuple[Setting, list[Setting]]]:
    """All settings, sorted in by the part of them that matters without an attack."""
    unattacked = {label.setting: label.unattacked for label in board.labels.values()}
    sorted_in: dict[Setting, list[Setting]] = {}
    for setting in board.settings:
        sorted_in.setdefault(unattacked[setting], []).append(setting)
    return list(sorted_in.items())


def benign_place(unattacked: Setting, names: Sequence[str]) -> list[Entry]:
    """First entries of a row without attack: it says so in the first column of the attack, or else in the first."""
    known = dict(unattacked)
    attack = next((name for name in names if name in ("attack", "δ", "steps")), None)
    if attack is not None:
        return [Entry("benign" if name == attack else known.get(name, "")) for name in names]
    texts = [known.get(name, "") for name in names] or [""]
    return [Entry(f"{texts[0]} benign".strip()), *map(Entry, texts[1:])]


def _entry(group: Group | None, side: str, published: Published) -> Entry:
    if group is None:
        return Entry("–", state="absent")
    value = group.measure(side, METRIC)
    number = published.find(group, side)
    if value is None:
        # A finished run that skipped this side is no failure.
        state = "absent" if group.finished else group.state
        return Entry("–" if state == "absent" else state, state=state, published=number)
    done, asked = len(group.finished), len(group.finished) + len(group.unfinished)
    note = f"{done} of {asked} seeds" if group.unfinished else ""
    return Entry("", scaled(value, 100), published=number, note=note, state=group.state)


def _miou_titles(sides: Sequence[str]) -> list[str]:
    return [f"{_WORDS[side]} mIoU" for side in sides]


def _count(group: Group) -> Entry:
    done, missing = len(group.finished), len(group.unfinished)
    return Entry(str(done) if not missing else f"{done} of {done + missing}", state=group.state)


def _single(share: float) -> Entry:
    return Entry(f"{100 * share:.2f}")


def _place(board: Board, setting: Setting, model: str) -> tuple[int, int]:
    return board.settings.index(setting), board.models.index(model)
