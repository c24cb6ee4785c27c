"""Checks every run of a sweep as `skelevision check` checks a config, before the first of them begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armory_skelevision.evaluation.check import Finding, check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.sweeps.run import Run
from armory_skelevision.validation import InvalidValueError, MissingFileError
from armory_skelevision.weights import resolve as weights

_MODELS = 8  # kept in memory; each is made once where the runs of a model follow each other
_OF_THE_MACHINE = ("dataset", "sysconfig")


def check_runs(runs: Sequence[Run], elsewhere: bool = False) -> list[Finding]:
    """What is wrong with runs, each finding once, with the runs that have it; writes nothing.

    Missing weights are no error: their runs fail by themselves, and are run once the weights are there.

    Args:
        runs: The runs.
        elsewhere: Whether they are for other machines, on which data and GPUs may be that are not here.
    """
    where: dict[Finding, list[str]] = {}
    made: dict[str, Any] = {}
    with as_in_a_run():
        for run in sorted(runs, key=lambda run: repr(run.config["model"])):
            if len(made) > _MODELS:
                made.clear()
            missing = _missing_weights(run)
            for finding in dict.fromkeys(check_config(run.config, made)):
                is_missing = finding.level == "error" and finding.key in missing
                is_elsewhere = elsewhere and finding.key.startswith(_OF_THE_MACHINE)
                found = finding._replace(level="warning") if is_missing or is_elsewhere else finding
                where.setdefault(found, []).append(run.name)
    return [finding._replace(where=_name(names)) for finding, names in where.items()]


def refuse_errors(findings: Sequence[Finding]) -> None:
    """Refuse a sweep of which a run cannot work (`InvalidValueError`, with the first finding and how many follow)."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        first = errors[0]
        more = f"{len(errors) - 1} more findings" if len(errors) > 1 else "no more findings"
        fix = f"{first.fix}; " if first.fix else ""
        fix += f"{more}; `skelevision sweep --dry-run` lists all"
        raise InvalidValueError(f"{first.where}: {first.key}", "a run that can work", first.problem, fix)


def _missing_weights(run: Run) -> set[str]:
    """Dotted keys of weights that are not here."""
    missing = set()
    for key, name in weights.named_weights(run.config).items():
        try:
            weights.resolve(name, by_armory=key.startswith("model"))
        except MissingFileError:
            missing.add(key)
    return missing


def _name(runs: Sequence[str]) -> str:
    return runs[0] if len(runs) == 1 else f"{len(runs)} runs, such as {runs[0]}"
