"""A suite: the attacks and the data that submissions are put to, which those who hand in need not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.check import check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.io import parse_json
from armory_skelevision.submission.process import Limits

NUMBER = {"type": "number", "exclusiveMinimum": 0}
_PROPERTIES: dict[str, Any] = {
    "name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z"},
    "attacks": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}\Z"},
        "additionalProperties": {"type": "object"},
    },
    "dataset": {"type": "object"},
    "videos": {"type": ["integer", "null"], "minimum": 1},
    "gpus": {"type": ["string", "null"]},
    "minutes": NUMBER,
    "memory_gb": NUMBER,
}
SCHEMA = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": ["name", "attacks", "dataset"],
    "additionalProperties": False,
}


class Suite(NamedTuple):
    """What every submission goes through."""

    name: str
    attacks: dict[str, dict[str, Any]]
    """ARMORY's section ``attack`` of each, by a name for the table."""
    dataset: dict[str, Any]
    """ARMORY's section ``dataset``."""
    videos: int | None = None
    """How many of its videos; None for all."""
    gpus: str | None = None
    """ARMORY's ``gpus``, such as "all" or "0"; None computes on the CPU."""
    minutes: float = 240
    """For one attack on one submission, all videos together."""
    memory_gb: float = 16

    @property
    def limits(self) -> Limits:
        """Of one attack on one submission."""
        return Limits(self.minutes, self.memory_gb)

    def configs(self) -> dict[str, dict[str, Any]]:
        """ARMORY's config for each attack, on a packaged tracker."""
        base = build_config("walkers", "mtl")
        system = {**base["sysconfig"], "use_gpu": self.gpus is not None, "gpus": self.gpus or "all"}
        common = {**base, "dataset": self.dataset, "sysconfig": system}
        return {name: {**common, "attack": attack} for name, attack in self.attacks.items()}


def read_suite(path: Path) -> Suite:
    """Read a suite, and check each of its evaluations as `skelevision check` would.

    Raises:
        OSError: If there is no readable file.
        ValueError: If it is no suite, or an evaluation could not run; says what and where, and the mend.
    """
    import jsonschema

    content = parse_json(path.read_bytes())
    error = next(iter(jsonschema.Draft7Validator(SCHEMA).iter_errors(content)), None)
    if error is not None:
        place = ".".join(str(part) for part in error.absolute_path)
        raise ValueError(f"{path}: {place + ': ' if place else ''}{error.message:.200}")
    suite = Suite(**content)
    for name, config in suite.configs().items():
        _check(path, name, config)
    return suite


def _check(path: Path, name: str, config: Mapping[str, Any]) -> None:
    with as_in_a_run():
        findings = check_config(config)
    # data that are not here are a warning to others; whoever organises has to have them
    wrong = [f for f in findings if f.level == "fault" or f.key.startswith("dataset")]
    if wrong:
        told = "; ".join(f"{f.key}: {f.problem}. {f.mend}" for f in wrong)
        raise ValueError(f"{path}: with the attack {name!r}: {told}")
