"""A suite: the attacks and the data that submissions are evaluated on, which participants need not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.evaluation.check import check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.evaluation.process import Limits
from armory_skelevision.io import parse_json
from armory_skelevision.validation import InvalidValueError

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
    """What every submission is evaluated on."""

    name: str
    attacks: dict[str, dict[str, Any]]
    """ARMORY's section ``attack`` of each, by its name in the table."""
    dataset: dict[str, Any]
    """ARMORY's section ``dataset``."""
    videos: int | None = None
    """Number of its videos; None for all."""
    gpus: str | None = None
    """ARMORY's ``gpus``, such as "all" or "0"; None for the CPU."""
    minutes: float = 240
    """Most time for one attack on one submission, all videos together."""
    memory_gb: float = 16

    @property
    def limits(self) -> Limits:
        """The limits of one attack on one submission."""
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
        InvalidValueError: If it is no suite, or an evaluation could not run.
    """
    import jsonschema

    content = parse_json(path.read_bytes())
    failure = next(iter(jsonschema.Draft7Validator(SCHEMA).iter_errors(content)), None)
    if failure is not None:
        place = ".".join(str(part) for part in failure.absolute_path)
        raise InvalidValueError(place or str(path), "a suite's value", f"{failure.message:.200}")
    suite = Suite(**content)
    for name, config in suite.configs().items():
        _check(name, config)
    return suite


def _check(name: str, config: Mapping[str, Any]) -> None:
    with as_in_a_run():
        findings = check_config(config)
    # missing data are a warning for others; organisers need them
    wrong = [finding for finding in findings if finding.level == "error" or finding.key.startswith("dataset")]
    if wrong:
        raise InvalidValueError(f"attacks.{name}", "an evaluation that can run", "; ".join(map(describe, wrong)))
