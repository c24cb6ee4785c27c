"""What `skelevision check` says of how far a patch can reach."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.evaluation.check import check_all, stops
from armory_skelevision.evaluation.check.findings import Finding
from armory_skelevision.evaluation.configs import build_config

HEAVY = {"penalty_k": 0.24, "window_influence": 0.65, "learning_rate": 0.25}
"""Constants that keep a patch from winning at the edge of the window."""
NARROW = {"window_influence": 0.98}
"""Constants under which hardly anything but the middle of the window can win."""


def check(path: Path, config: dict[str, Any]) -> list[Finding]:
    path.write_text(json.dumps(config))
    return [finding for finding in check_all([path]) if finding.where == str(path)]


def configure(attack: str = "patch", model: str = "mtl", tracking: dict[str, Any] | None = None, **dataset: Any) -> Any:
    config = build_config("walkers", model, attack)
    config["dataset"] |= dataset
    config["model"]["wrapper_kwargs"] = {"tracking": tracking or {}}
    return config


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (configure("autopatch"), "100 % of the frames; 3 of 3 videos"),
        (configure("autopatch", tracking=HEAVY), "95 % of the frames; 3 of 3 videos"),
        (configure(tracking=HEAVY, eval_split="mini[1:3]", max_frames=4), "50 % of the frames; 1 of 2 videos"),
        (configure(index=[2]), "of the frames; 1 of 1 videos"),
        (configure(tracking=NARROW), "of the frames; 0 of 3 videos"),
        (configure("autopatch", "stl", {"window_influence": 1.0}), "could win in 0 % of the frames; 0 of 3 videos"),
    ],
)
def test_the_reach_is_told_with_the_constants_of_the_config(tmp_path: Path, config: Any, told: str) -> None:
    (finding,) = check(tmp_path / "c.json", config)
    assert (finding.level, finding.key) == ("note", "attack")
    assert told in finding.problem
    assert not stops([finding])


def test_weights_are_not_needed(tmp_path: Path) -> None:
    config = configure("autopatch")
    config["model"]["weights_file"] = "absent.safetensors"
    assert [finding.level for finding in check(tmp_path / "c.json", config)] == ["missing", "note"]


def test_where_nothing_can_be_told_nothing_is(tmp_path: Path) -> None:
    configs = [build_config("walkers", "mtl", "pgd"), build_config("carla", "mtl", "autopatch")]
    configs += [build_config("otb", "mtl", "autopatch"), configure(eval_split="none"), configure(index=[7])]
    for config in configs:
        assert "note" not in [finding.level for finding in check(tmp_path / "c.json", config)]


def test_damaged_annotations_are_named(tmp_path: Path) -> None:
    shutil.copytree(SPLITS / "mini", tmp_path / "root" / "mini")
    (tmp_path / "root" / "mini" / "001.json").write_text("{}")
    (finding,) = check(tmp_path / "c.json", configure(root=str(tmp_path / "root")))
    assert finding.level == "error" and "001.json" in str(finding)
