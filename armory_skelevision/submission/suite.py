"""A suite: the attacks and the data that submissions are evaluated on, which participants need not know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.check import check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.io import printable, read_object
from armory_skelevision.validation import Count, InvalidValueError, Positive, Settings

MAX_SUITE = 2**20
"""Bytes of a suite."""

COLUMNS = ("rank", "team", "bundle", "worst case", "low", "high", "benign", "claimed")
"""What the ranking has beside a column for each attack."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True)
class Suite(Settings):
    """What every submission is evaluated on.

    Attributes:
        name: Letters, digits and ``_.-``.
        attacks: ARMORY's section ``attack`` of each, by its name in the table.
        dataset: ARMORY's section ``dataset``.
        videos: Number of its videos; None for all.
        gpus: ARMORY's ``gpus``, such as "all" or "0"; None for the CPU.
        minutes: Most time for one attack on one submission, all videos together.
        memory_gb: Most memory for it, in GiB.
    """

    name: str
    attacks: Mapping[str, Mapping[str, Any]]
    dataset: Mapping[str, Any]
    videos: Count | None = None
    gpus: str | None = None
    minutes: Positive = 240
    memory_gb: Positive = 16

    def check(self) -> None:
        """Refuse a suite without attacks, and names that are no names of files, or that something else has."""
        if not self.attacks:
            raise InvalidValueError("attacks", "at least one attack", "none")
        for key, name in (("name", self.name), *(("attacks", attack) for attack in self.attacks)):
            if not _NAME.fullmatch(name):
                raise InvalidValueError(key, "a name of at most 40 letters, digits and _.-", repr(name))
        taken = {name.lower(): "a column of the ranking" for name in COLUMNS}
        for name in self.attacks:  # files whose names differ in case alone are the same on some machines
            if name.lower() in taken:
                got = f"{name}, the name of {taken[name.lower()]}"
                raise InvalidValueError("attacks", "a name of its own for each attack", got)
            taken[name.lower()] = f"another attack, {name}"

    def configs(self) -> dict[str, dict[str, Any]]:
        """ARMORY's config for each attack, on a packaged tracker."""
        base = build_config("walkers", "mtl")
        system = {**base["sysconfig"], "use_gpu": self.gpus is not None, "gpus": self.gpus or "all"}
        common = {**base, "dataset": self.dataset, "sysconfig": system}
        return {name: {**common, "attack": attack} for name, attack in self.attacks.items()}


def read_suite(path: Path) -> Suite:
    """Read a suite, and check each of its evaluations as `skelevision check` would.

    Raises:
        MissingFileError: If there is no such file.
        InvalidValueError: If it is no suite, or an evaluation could not run.
    """
    suite = Suite.from_dict(read_object(path, MAX_SUITE), printable(path))
    for name, config in suite.configs().items():
        with as_in_a_run():
            findings = check_config(config)
        wrong = [finding for finding in findings if finding.level != "warning"]
        if wrong:
            key, problems = f"{printable(path)}.attacks.{name}", "; ".join(map(describe, wrong))
            raise InvalidValueError(key, "an evaluation that can run", problems)
    return suite
