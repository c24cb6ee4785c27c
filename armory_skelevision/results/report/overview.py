"""The tables of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from armory_skelevision.evaluation.table import METRIC
from armory_skelevision.results.metric_names import KEYPOINT_PCK, SHARES, Metric, describe_metric
from armory_skelevision.results.records import SIDES, RunResult, Setting
from armory_skelevision.results.report.tables import (
    Row,
    Table,
    TableCell,
    as_cell,
    compared,
    constant_part,
    rows_by_side,
    setting_cells,
    write_setting,
)
from armory_skelevision.results.summary import Group, Summary

SIDE_WORDS = {"benign": "benign", "adversarial": "attacked"}
"""What the sides of a run are called on the page."""

_MIOU = describe_metric(METRIC)


def miou_table(summary: Summary) -> Table:
    """Mean IoU, a row for each setting and a column for each model."""
    rows: list[Row] = []
    for place, side, groups in rows_by_side(summary):
        cells = {model: _miou_cell(groups.get(model), side) for model in summary.models}
        rows.append({**place, **compared(cells, summary.baseline)})
    caption = _join(constant_part(summary), "in per cent", _seeds_note(summary))
    return Table("miou", "Mean IoU", rows, caption, numeric=summary.models)


def metrics_table(summary: Summary) -> Table:
    """Everything measured, a row for each setting and model."""
    pairs = [(side, metric) for metric in metrics_of(summary) for side in summary.sides]
    everything = [group for groups in summary.groups.values() for group in groups.values()]
    shown = {
        f"{SIDE_WORDS[side]} {metric.title}": (side, metric)
        for side, metric in pairs
        if any(group.measure(side, metric.key) for group in everything)
    }
    rows: list[Row] = []
    for setting, found in summary.groups.items():
        # Checkpoints have nothing but the mean IoU, which has a table of its own.
        groups = {model: group for model, group in found.items() if any(run.steps is None for run in group.runs)}
        measured = {
            title: compared(
                {model: as_cell(group.measure(side, metric.key), metric) for model, group in groups.items()},
                summary.baseline,
            )
            for title, (side, metric) in shown.items()
        }
        for model, group in groups.items():
            seconds = group.seconds()
            head: Row = {**setting_cells(summary, setting), "model": model, "seeds": _seed_count(group)}
            values = {title: cells[model] for title, cells in measured.items()}
            rows.append({**head, **values, "seconds": TableCell(value=seconds, digits=0) if seconds else "–"})
    caption = _join(constant_part(summary), _seeds_note(summary))
    return Table("metrics", "All metrics and cost", rows, caption, numeric=(*shown, "seconds"))


def videos_table(summary: Summary) -> Table:
    """The mean IoU of every video, in every run that counts."""
    rows: list[Row] = []
    for setting, groups in summary.groups.items():
        for model, group in groups.items():
            for run in group.finished:
                head = {**setting_cells(summary, setting), "model": model, "seed": _seed_text(run)}
                ious = [run.side(side).video_ious for side in summary.sides]
                for video in range(max(map(len, ious))):
                    shares = [found[video] if video < len(found) else None for found in ious]
                    rows.append({**head, "video": run.video_name(video), **_plain_shares(summary, shares)})
    return Table("videos", "Every video", rows, numeric=_miou_titles(summary))


def runs_table(summary: Summary) -> Table:
    """A row for each run, finished or not."""
    rows: list[Row] = []
    for run in summary.runs:
        state = "repeated" if run.is_repeated else run.state
        setting = "no config"
        if run.label:
            setting = write_setting(tuple(pair for pair in run.label.setting if pair[0] in summary.varying))
        rows.append(
            {
                "run": run.name,
                "state": TableCell(state, state=state if state != "finished" else ""),
                "model": run.label.model if run.label else "–",
                "setting": setting or "–",
                "seed": _seed_text(run),
                **_plain_shares(summary, [run.side(side).mean_iou for side in summary.sides]),
                "seconds": "–" if run.seconds is None else f"{run.seconds:.0f}",
                "hash": run.hash[:12] or "–",
                "command": rerun_command(run) or "–",
            }
        )
    numeric = (*_miou_titles(summary), "seconds")
    return Table("runs", "Every run", rows, constant_part(summary), numeric)


def metrics_of(summary: Summary) -> list[Metric]:
    """The metrics that any run measured, the known ones first; keypoints have a table of their own."""
    measured = {key for run in summary.runs for side in SIDES for key in run.side(side).means}
    found = {key for key in measured if not key.startswith(KEYPOINT_PCK)}
    return [describe_metric(key) for key in (*filter(found.__contains__, SHARES), *sorted(found - SHARES.keys()))]


def rerun_command(run: RunResult) -> str:
    """Runs an evaluation again, if it was not part of a sweep with the config beside the page; "" without a config."""
    return run.command or (f"armory run configs/{run.name}.json --no-docker" if run.config else "")


def _miou_cell(group: Group | None, side: str) -> TableCell:
    if group is None:
        return TableCell("–", state="absent")
    value, number = group.measure(side, METRIC), _published(group, side)
    if value is None:
        # A finished run that skipped this side is not a failure.
        state = "absent" if group.finished else group.state
        return TableCell("–" if state == "absent" else state, state=state, published=number)
    note = f"{_seed_count(group).text} seeds" if group.state else ""
    return replace(as_cell(value, _MIOU), published=number, note=note, state=group.state)


def _published(group: Group, side: str) -> float | None:
    """The published mean IoU of a model under a setting, in per cent; None where there is none."""
    for run in group.runs:
        for cell in run.published:
            number = cell.get(side)
            if isinstance(number, dict):
                number = number.get(str(run.setting("attack", "kwargs", "max_iter")))
            if isinstance(number, int | float):
                return float(number)
    return None


def _seeds_note(summary: Summary) -> str:
    """How many seeds the numbers come from, and what their intervals mean."""
    counts = {len(group.finished) for groups in summary.groups.values() for group in groups.values()} - {0}
    if counts <= {1}:
        return "one seed each (n = 1), so no intervals"
    return "mean ± 95 % interval over seeds (Student's t)" + ("; no interval where n = 1" if 1 in counts else "")


def _seed_count(group: Group) -> TableCell:
    done, total = len(group.finished), len(group.runs)
    return TableCell(str(done) if done == total else f"{done} of {total}", state=group.state)


def _seed_text(run: RunResult) -> str:
    seed: Setting = run.label.seed if run.label else ()
    return " · ".join(value for _, value in seed) or "–"


def _miou_titles(summary: Summary) -> list[str]:
    return [f"{SIDE_WORDS[side]} {_MIOU.title}" for side in summary.sides]


def _plain_shares(summary: Summary, shares: Sequence[float | None]) -> dict[str, str]:
    """Mean IoUs in per cent, one for each side."""
    texts = ["–" if share is None else f"{100 * share:.2f}" for share in shares]
    return dict(zip(_miou_titles(summary), texts, strict=True))


def _join(*parts: str) -> str:
    return " · ".join(filter(None, parts))
