"""The page of all entries: one HTML file with a table for each protocol, sortable without any other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from armory_skelevision.io.pages import make_environment
from armory_skelevision.leaderboard.entry import Entry, WeightsFile
from armory_skelevision.leaderboard.videos import hash_split
from armory_skelevision.submission.ranking import Interval, find_interval

MARK = '<meta name="generator" content="skelevision leaderboard page">'
"""What every version of the page contains."""

STANDARD = ("walkers", "dev", 20, 100)
"""Data set, split, frames and budget of the protocol that `skelevision leaderboard add` follows by default."""


class Row(NamedTuple):
    """An entry in its table."""

    rank: int
    name: str
    """Of its file."""
    entry: Entry
    benign: float
    worst_case: Interval
    """Mean over videos with its 95 % interval."""

    @property
    def weights(self) -> list[WeightsFile]:
        """The weights files of the tracker and of the defense."""
        defense = self.entry.defense
        return [self.entry.tracker.weights, *([defense.weights] if defense and defense.weights else [])]


class Board(NamedTuple):
    """The entries that were measured in the same way, the best first."""

    data: str
    """Name of the data set."""
    split: str
    frames: int
    budget: int
    adaptive: bool
    is_current: bool
    """Whether the files are those of the package of now, if they are packaged."""
    rows: list[Row]

    @property
    def title(self) -> str:
        """What was measured, as a heading."""
        attack = f"{self.budget} gradient evaluation{'' if self.budget == 1 else 's'}"
        kind = "" if self.adaptive else ", non-adaptive"
        files = "" if self.is_current else ", earlier files"
        return f"{self.data}/{self.split}{files}, first {self.frames} frames, AutoPatch with {attack}{kind}"


def render_page(entries: Mapping[str, Entry]) -> str:
    """The page in HTML.

    Args:
        entries: By the names of their files.
    """
    environment = make_environment("armory_skelevision.leaderboard")
    script, _, _ = environment.loader.get_source(environment, "board.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page: str = environment.get_template("board.html").render(
        boards=list_boards(entries),
        count=len(entries),
        standard=STANDARD,
        mark=MARK,
        script=script,
        digest=digest,
    )
    return page


def list_boards(entries: Mapping[str, Entry]) -> list[Board]:
    """A table for each way of measuring; numbers of different ones cannot be compared. The standard one comes first."""
    groups: dict[tuple[str, str, int, int, bool, str], dict[str, Entry]] = {}
    for name, entry in entries.items():
        data, attack = entry.data, entry.attack
        key = (data.name, data.split, data.frames, attack.budget, attack.adaptive, data.sha256)
        groups.setdefault(key, {})[name] = entry
    current = {split: hash_split(split) for name, split, *_ in groups if name == "walkers"}
    boards = [
        Board(*key[:5], key[0] != "walkers" or key[5] == current[key[1]], _rank(group.items()))
        for key, group in groups.items()
    ]
    return sorted(boards, key=_sorting_key)


def _sorting_key(board: Board) -> tuple[bool, bool, bool, bool, tuple[str, str, int, int]]:
    way = board.data, board.split, board.frames, board.budget
    return not board.is_current, way != STANDARD, board.data != STANDARD[0], not board.adaptive, way


def _rank(entries: Iterable[tuple[str, Entry]]) -> list[Row]:
    rows = []
    for name, entry in entries:
        worst = np.array([video.worst_case for video in entry.videos])
        benign = float(np.mean([video.benign for video in entry.videos]))
        rows.append(Row(0, name, entry, benign, find_interval(worst)))
    means = [row.worst_case.mean for row in rows]
    ranked = [row._replace(rank=1 + sum(mean > row.worst_case.mean for mean in means)) for row in rows]
    return sorted(ranked, key=lambda row: (row.rank, row.name))
