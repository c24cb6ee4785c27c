"""The ranking of a suite: by the worst case over its attacks, with intervals."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.io import atomic_write, printable
from armory_skelevision.submission.evaluate import Participant
from armory_skelevision.submission.suite import COLUMNS, Suite

RESAMPLES = 10_000
SEED = 0


class Interval(NamedTuple):
    """A mean over videos with its 95 % interval, which has no ends for a single video."""

    mean: float
    low: float | None
    high: float | None


class Row(NamedTuple):
    """A line of the table; all scores are mean IoU in [0, 1]."""

    rank: int
    team: str
    bundle: str
    worst: Interval
    """Mean over videos of the lowest score under any attack; decides the rank."""
    benign: float
    attacks: dict[str, float]
    claimed: float | None
    """Claimed by the team, under the attack of its baseline."""


def rank(participants: Sequence[Participant], suite: Suite) -> list[Row]:
    """The accepted and evaluated participants, the best first; equals share a rank."""
    rows = []
    for participant in participants:
        if participant.problem is not None or participant.manifest is None:
            continue
        adversarial = {name: np.array(participant.scores[name].adversarial) for name in suite.attacks}
        claim = participant.manifest.claimed
        rows.append(
            Row(
                rank=0,
                team=participant.manifest.team,
                bundle=participant.sha256[:12],
                worst=find_interval(np.min(list(adversarial.values()), axis=0)),
                # the same under every attack but for the last digits on a GPU
                benign=float(np.mean([participant.scores[name].benign for name in suite.attacks])),
                attacks={name: float(scores.mean()) for name, scores in adversarial.items()},
                claimed=claim.adversarial if claim is not None else None,
            )
        )
    means = [row.worst.mean for row in rows]
    ranked = [row._replace(rank=1 + sum(mean > row.worst.mean for mean in means)) for row in rows]
    return sorted(ranked, key=lambda row: (row.rank, row.team, row.bundle))


def find_interval(scores: NDArray[np.float64]) -> Interval:
    """Mean and 95 % interval of scores (V,) of videos, drawn with replacement (percentile bootstrap, Efron 1979)."""
    if len(scores) < 2:
        return Interval(float(scores.mean()), None, None)
    drawn = np.random.default_rng(SEED).choice(scores, (RESAMPLES, len(scores))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(scores.mean()), float(low), float(high))


def format_table(rows: Sequence[Row], participants: Sequence[Participant], suite: Suite) -> str:
    """The table in Markdown, and below it the bundles that are not ranked, with the reason."""
    head, *lines = _list_cells(rows, suite)
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    table = [head, ["-" * width for width in widths], *lines]
    padded = [f"| {' | '.join(map(str.ljust, line, widths))} |" for line in table]
    refused = [f"- {printable(each.bundle.name)}: {each.problem}" for each in participants if each.problem is not None]
    return "\n".join([*padded, *(["", "Not ranked:", "", *refused] if refused else [])])


def write_tables(rows: Sequence[Row], participants: Sequence[Participant], suite: Suite, out: Path) -> list[Path]:
    """Write the table as Markdown, CSV and JSON; returns the files."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(_list_cells(rows, suite, digits=6))
    refused = [each for each in participants if each.problem is not None]
    content = {
        "suite": asdict(suite),
        "measure": "mean IoU over videos; worst: of each video the lowest under any attack; 95 % interval over videos",
        "ranking": [{**row._asdict(), "worst": row.worst._asdict()} for row in rows],
        "not_ranked": [
            {"bundle": printable(each.bundle.name), "sha256": each.sha256, "problem": each.problem} for each in refused
        ],
    }
    contents = {
        "ranking.md": f"# {suite.name}\n\n{format_table(rows, participants, suite)}\n",
        "ranking.csv": text.getvalue(),
        "ranking.json": json.dumps(content, indent=4, ensure_ascii=False) + "\n",
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, written in contents.items():
        atomic_write(out / name, written.encode())
    return [out / name for name in contents]


def _list_cells(rows: Sequence[Row], suite: Suite, digits: int = 2) -> list[list[str]]:
    def show(value: float | None) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    head = [*COLUMNS[:-1], *suite.attacks, COLUMNS[-1]]
    lines = [
        [
            *(str(row.rank), row.team, row.bundle, *map(show, row.worst), show(row.benign)),
            *(show(row.attacks[name]) for name in suite.attacks),
            show(row.claimed),
        ]
        for row in rows
    ]
    return [head, *lines]
