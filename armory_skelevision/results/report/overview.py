"""The tables of a report."""

from __future__ import annotations

from dataclasses import replace

from armory_skelevision.evaluation.table import IN_REACH, METRIC
from armory_skelevision.results.metric_names import (
    IOU_IN_REACH,
    KEYPOINT_PCK,
    SHARES,
    Metric,
    describe_metric,
)
from armory_skelevision.results.records import SIDES, RunResult, Setting
from armory_skelevision.results.report.tables import (
    MISSING,
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
    """Mean IoU, a row for each setting and a column for each model; a second row is of the videos in reach alone."""
    rows: list[Row] = []
    knows_reach = _knows_reach(summary)
    for place, side, groups in rows_by_side(summary):
        cells = {model: _miou_cell(groups.get(model), side) for model in summary.models}
        rows.append({**place, **({"videos": "all"} if knows_reach else {}), **compared(cells, summary.baseline)})
        if any(_reach_counts(group) for group in groups.values()):
            cells = {model: _in_reach_cell(groups.get(model), side) for model in summary.models}
            runs = [run for group in groups.values() for run in group.finished if run.reach]
            if len({run.videos_in_reach() for run in runs}) == 1:  # means over other videos are no comparison
                cells = compared(cells, summary.baseline)
            rows.append({**place, "videos": "in reach", **cells})
    how = f"in reach: videos in at least {100 * IN_REACH:.0f} % of whose frames a perfect patch could win"
    caption = _join(constant_part(summary), "in per cent", _seeds_note(summary), how if knows_reach else "")
    return Table("miou", "Mean IoU", rows, caption, numeric=summary.models)


def metrics_table(summary: Summary) -> Table:
    """Everything measured, a row for each setting and model."""
    pairs = [(side, metric) for metric in metrics_of(summary) for side in summary.sides]
    everything = [group for groups in summary.groups.values() for group in groups.values()]
    shown = {
        f"{SIDE_WORDS[side]} {metric.title}": (side, metric)
        for side, metric in pairs
        if any(group.measure(side, metric.key) or group.lacks(side, metric.key) for group in everything)
    }
    rows: list[Row] = []
    for setting, found in summary.groups.items():
        # Checkpoints have nothing but the mean IoU, which has a table of its own.
        groups = {model: group for model, group in found.items() if any(run.steps is None for run in group.runs)}
        measured = {
            title: compared(
                {model: _measured_cell(group, side, metric) for model, group in groups.items()},
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
    """The mean IoU of every video in every run that counts, and how far the patch reached where that is known."""
    rows: list[Row] = []
    knows_reach = _knows_reach(summary)
    for setting, groups in summary.groups.items():
        for model, group in groups.items():
            for run in group.finished:
                head = {**setting_cells(summary, setting), "model": model, "seed": _seed_text(run)}
                ious = [run.side(side).video_ious for side in summary.sides]
                reach = dict(enumerate(run.reach))
                for video in range(max(map(len, ious))):
                    texts = [_write_share(found[video], True) if video < len(found) else "–" for found in ious]
                    shares = dict(zip(_miou_titles(summary), texts, strict=True))
                    if knows_reach:
                        shares["reach"] = _write_share(reach.get(video), video in reach)
                    rows.append({**head, "video": run.video_name(video), **shares})
    caption = "reach: frames in which a perfect patch could win, in per cent" if knows_reach else ""
    return Table("videos", "Every video", rows, caption, numeric=(*_miou_titles(summary), "reach"))


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
                **dict(zip(_miou_titles(summary), _mean_ious(summary, run), strict=True)),
                "seconds": "–" if run.seconds is None else f"{run.seconds:.0f}",
                "hash": run.hash[:12] or "–",
                "command": rerun_command(run) or "–",
            }
        )
    numeric = (*_miou_titles(summary), "seconds")
    return Table("runs", "Every run", rows, constant_part(summary), numeric)


def metrics_of(summary: Summary) -> list[Metric]:
    """The metrics that any run measured, the known ones first; keypoints have a table of their own."""
    sides = [run.side(side) for run in summary.runs for side in SIDES]
    measured = {key for side in sides for key in (*side.means, *side.missing)}
    found = {key for key in measured if not key.startswith(KEYPOINT_PCK)}
    return [describe_metric(key) for key in (*filter(found.__contains__, SHARES), *sorted(found - SHARES.keys()))]


def rerun_command(run: RunResult) -> str:
    """Runs an evaluation again, if it was not part of a sweep with the config beside the page; "" without a config."""
    return run.command or (f"armory run configs/{run.name}.json --no-docker" if run.config else "")


def _miou_cell(group: Group | None, side: str) -> TableCell:
    if group is None:
        return TableCell("–", state="absent")
    value, number = group.measure(side, METRIC), _published(group, side)
    if value is None and not group.finished:
        return TableCell(group.state, state=group.state, published=number)
    return replace(_measured_cell(group, side, _MIOU), published=number)


def _in_reach_cell(group: Group | None, side: str) -> TableCell:
    """The mean IoU over the videos in reach, with their number."""
    counts = _reach_counts(group) if group is not None else []
    if group is None or not counts:
        return TableCell("–", state="absent")
    cell = _measured_cell(group, side, describe_metric(IOU_IN_REACH))
    return replace(cell, note=", ".join(filter(None, [cell.note, *counts])))


def _reach_counts(group: Group) -> list[str]:
    """Of how many videos runs were in reach, such as "2 of 3 videos"; empty where none recorded it."""
    counts = [run.count_in_reach() for run in group.finished if run.reach]
    return list(dict.fromkeys(counts))


def _knows_reach(summary: Summary) -> bool:
    return any(_reach_counts(group) for groups in summary.groups.values() for group in groups.values())


def _measured_cell(group: Group, side: str, metric: Metric) -> TableCell:
    """What the finished runs of a group measured, and of how many seeds where not of all."""
    value = group.measure(side, metric.key)
    if value is None:
        # a finished run that skipped this side is not a failure
        return TableCell(MISSING, state=MISSING) if group.lacks(side, metric.key) else as_cell(None, metric)
    if group.is_identical(side):
        same = len(group.finished)
        return replace(as_cell(value, metric), note=f"{same} identical runs" if side != "benign" else "")
    count = value.n if value.n < len(group.runs) else 0
    note = f"{count} of {len(group.runs)} seeds" if count else ""
    return replace(as_cell(value, metric), note=note, state="partial" if count else "")


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
    text = str(done) if done == total else f"{done} of {total}"
    is_attacked = any(run.adversarial.means for run in group.finished)
    same = group.is_identical("adversarial" if is_attacked else "benign")
    return TableCell(f"{text}, identical" if same else text, state=group.state)


def _seed_text(run: RunResult) -> str:
    seed: Setting = run.label.seed if run.label else ()
    return " · ".join(value for _, value in seed) or "–"


def _miou_titles(summary: Summary) -> list[str]:
    return [f"{SIDE_WORDS[side]} {_MIOU.title}" for side in summary.sides]


def _mean_ious(summary: Summary, run: RunResult) -> list[str]:
    """Mean IoUs of a run in per cent, one for each side."""
    sides = [run.side(side) for side in summary.sides]
    return [_write_share(side.mean_iou, METRIC in side.missing) for side in sides]


def _write_share(share: float | None, is_measured: bool) -> str:
    if share is None:
        return MISSING if is_measured else "–"
    return f"{100 * share:.2f}"


def _join(*parts: str) -> str:
    return " · ".join(filter(None, parts))
