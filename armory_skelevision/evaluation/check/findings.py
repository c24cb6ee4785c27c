"""A finding: what is wrong, where, and how to mend it; and how findings are told."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Level = Literal["fault", "warning"]


class Finding(NamedTuple):
    """One thing that keeps an evaluation from running, or from meaning what it seems to mean."""

    level: Level
    """A "fault" would end the run or falsify it; a "warning" need not, or asks for something to be fetched first."""
    key: str
    """In a config the way to the value, such as ``attack.kwargs.max_iter``; on the machine, what it is about."""
    problem: str
    mend: str
    where: str = ""
    """The config's path, or ``this machine``."""

    def __str__(self) -> str:
        """One line."""
        text = f"{self.where}: {self.level}: {self.key}: {self.problem}. {self.mend}"
        return " ".join(text.split())


def fault(key: str, problem: str, mend: str) -> Finding:
    """A finding that ends a run."""
    return Finding("fault", key, problem, mend)


def warning(key: str, problem: str, mend: str) -> Finding:
    """A finding that need not end a run."""
    return Finding("warning", key, problem, mend)


def explain(key: str, error: Exception, mend: str) -> Finding:
    """The fault that an error of this package tells of.

    Messages here follow one manner, ``name: expected THIS, got THAT`` or ``what is wrong; what would be right``, from
    which the mend is taken.

    Args:
        key: Of the section.
        error: What was raised.
        mend: What to say where the message holds no mend.
    """
    message = " ".join(str(error).split()) or type(error).__name__
    pair = re.fullmatch(r"(?:([\w.]+): )?expected (.*?), (?:got|found) (.*)", message)
    if pair:
        return fault(f"{key}.{pair[1]}" if pair[1] else key, f"got {pair[3]}", f"Expected {pair[2]}")
    problem, _, advice = message.partition("; ")
    return fault(key, problem, advice[0].upper() + advice[1:] if advice else mend)


def find_strangers(key: str, given: Iterable[str], known: Sequence[str], level: Level, who: str) -> list[Finding]:
    """Keys that ``who`` does not know, each with the one that was meant, or all there are."""
    return [
        Finding(level, f"{key}.{name}" if key else name, f"{who} knows no {name!r}", suggest(name, known))
        for name in given
        if name not in known
    ]


def suggest(name: str, known: Sequence[str]) -> str:
    """What was probably meant by a name, or which names there are."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"Was {close[0]!r} meant?" if close else f"Known are {', '.join(sorted(known)) or 'none'}"


def format_findings(findings: Sequence[Finding], configs: int) -> str:
    """All findings, a line each, faults first, and a last line that counts them."""
    lines = [str(finding) for finding in sorted(findings, key=lambda finding: finding.level)]
    counted = f"{_count(findings, 'fault')}, {_count(findings, 'warning')}"
    return "\n".join([*lines, f"{counted}: this machine and {configs} config{'' if configs == 1 else 's'} checked"])


def to_json(findings: Sequence[Finding], configs: int) -> str:
    """The same as one JSON object."""
    levels = [finding.level for finding in findings]
    told = {
        "configs": configs,
        "faults": levels.count("fault"),
        "warnings": levels.count("warning"),
        "findings": [finding._asdict() for finding in findings],
    }
    return json.dumps(told, indent=4, ensure_ascii=False)


def _count(findings: Sequence[Finding], level: Level) -> str:
    number = [finding.level for finding in findings].count(level)
    return f"{number or 'no'} {level}{'' if number == 1 else 's'}"
