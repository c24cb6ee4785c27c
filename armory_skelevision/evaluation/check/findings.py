"""A finding: what is wrong, where, and how to fix it; and how findings are printed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from armory_skelevision.io import message
from armory_skelevision.validation import MissingFileError, StructuredError, suggest

Level = Literal["error", "missing", "warning", "note"]


class Finding(NamedTuple):
    """One thing that keeps an evaluation from running, or from measuring what its config seems to ask for."""

    level: Level
    """An "error" would end the run or falsify it, a "missing" file would end it; a "warning" may be intended; a
    "note" only informs."""
    key: str
    """In a config the way to the value, such as ``attack.kwargs.max_iter``; on the machine, what it is about."""
    problem: str
    fix: str = ""
    """What to do about it; "" where the problem says what is expected."""
    where: str = ""
    """The config's path, or ``this machine``."""

    def __str__(self) -> str:
        """One line of bounded length, without control characters."""
        return message(f"{self.where}: {self.level}: {describe(self)}")


def error(key: str, problem: str, fix: str = "") -> Finding:
    """A finding that ends a run."""
    return Finding("error", key, problem, fix)


def warning(key: str, problem: str, fix: str = "") -> Finding:
    """A finding that need not end a run."""
    return Finding("warning", key, problem, fix)


def missing(key: str, problem: str, fix: str = "") -> Finding:
    """A finding on a file or a folder that is not here, though the config may be right."""
    return Finding("missing", key, problem, fix)


def note(key: str, problem: str) -> Finding:
    """A finding that is no fault, but that readers of a result should know."""
    return Finding("note", key, problem)


def describe(finding: Finding) -> str:
    """A finding without its level and place: ``key: problem; fix``."""
    return f"{finding.key}: {finding.problem}" + (f"; {finding.fix}" if finding.fix else "")


def explain(section: str, raised: Exception, fix: str) -> Finding:
    """The finding on an exception that was raised for a section of a config.

    Args:
        section: Way to the section, which comes before the key of a structured error.
        raised: The exception. Of a structured error the parts are taken, of any other the message.
        fix: What to do where the exception does not have it.
    """
    if isinstance(raised, StructuredError):
        level: Level = "missing" if isinstance(raised, MissingFileError) else "error"
        key = ".".join(part for part in (section, raised.key) if part)
        return Finding(level, key, f"expected {raised.expected}, got {raised.got}", raised.fix)
    return error(section, " ".join(str(raised).split()) or type(raised).__name__, fix)


def unknown_keys(section: str, given: Iterable[str], known: Sequence[str], level: Level = "error") -> list[Finding]:
    """A finding for each key that is not known, with the one that was probably meant, or all that are known."""
    return [
        Finding(level, f"{section}.{name}" if section else name, "unknown key", suggest(name, sorted(known)))
        for name in given
        if name not in known
    ]


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of the findings ends a run, whatever files may still come."""
    return any(finding.level == "error" for finding in findings)


def stops(findings: Iterable[Finding], allow_missing: bool = False) -> bool:
    """Whether any of the findings ends a run; ``allow_missing`` tolerates missing files."""
    return any(finding.level == "error" or (finding.level == "missing" and not allow_missing) for finding in findings)


def format_findings(findings: Sequence[Finding], configs: int) -> str:
    """All findings, a line each, errors first, and a last line that counts all but notes."""
    levels = get_args(Level)
    lines = [str(finding) for finding in sorted(findings, key=lambda finding: levels.index(finding.level))]
    counted = f"{_count(findings, 'error')}, {_count_missing(findings)}{_count(findings, 'warning')}"
    return "\n".join([*lines, f"{counted}: this machine and {configs} config{'' if configs == 1 else 's'} checked"])


def to_json(findings: Sequence[Finding], configs: int) -> str:
    """The same as one JSON object."""
    levels = [finding.level for finding in findings]
    content = {
        "configs": configs,
        "errors": levels.count("error"),
        "missing": levels.count("missing"),
        "warnings": levels.count("warning"),
        "findings": [finding._asdict() for finding in findings],
    }
    return json.dumps(content, indent=4, ensure_ascii=False)


def _count_missing(findings: Sequence[Finding]) -> str:
    number = [finding.level for finding in findings].count("missing")
    return f"{number} missing file{'' if number == 1 else 's'}, " if number else ""


def _count(findings: Sequence[Finding], level: Level) -> str:
    number = [finding.level for finding in findings].count(level)
    return f"{number or 'no'} {level}{'' if number == 1 else 's'}"
