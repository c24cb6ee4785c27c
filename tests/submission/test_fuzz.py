"""Mutated manifests and configs of bundles: read, or refused with an error; no other exception gets out."""

import copy
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from bundles import WEIGHTS, make_config, make_files
from hypothesis import HealthCheck, given, settings
from safetensors.numpy import save

from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.submission.archive import RefusedError
from armory_skelevision.submission.manifest import Manifest, read_manifest
from armory_skelevision.submission.rules import check_rules
from armory_skelevision.submission.suite import Suite
from armory_skelevision.submission.verify import Terms, check_form
from armory_skelevision.validation import InvalidValueError

pytestmark = pytest.mark.fuzz

SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
GOOD = make_files(save({"t": np.zeros(1, np.float32)}))
MANIFEST = {**json.loads(GOOD["manifest.json"]), "claimed": {"benign": 0.5, "adversarial": None, "videos": 3}}
CONFIG = make_config(defense=build_config("walkers", "mtl", "patch", "templateadaptation")["defense"])
CONFIG["defense"]["kwargs"]["weights_file"] = Path(WEIGHTS).name
PARTS = build_config("walkers", "mtl")
SUITE = {"name": "spring", "attacks": {"patch": PARTS["attack"]}, "dataset": PARTS["dataset"], "videos": 2, "gpus": "0"}
TERMS = Terms.usual()

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(["", "../x", "/etc/passwd", "a\nb", "\x1b[2J", "=1+1", Path(WEIGHTS).name, "benign"]),
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


def list_places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key at any depth."""
    if not isinstance(value, dict):
        return [before]
    return [before, *(place for key, inner in value.items() for place in list_places(inner, (*before, key)))]


@st.composite
def changed(draw: st.DrawFn, content: dict[str, Any]) -> Any:
    """JSON with some values replaced, left out, or added."""
    result = copy.deepcopy(content)
    for place in draw(st.lists(st.sampled_from(list_places(content)[1:]), min_size=1, max_size=3)):
        section: Any = result
        for key in place[:-1]:
            section = section.get(key) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            continue
        how = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if how == "remove":
            section.pop(place[-1], None)
        else:
            section[place[-1] if how == "replace" else draw(st.text())] = draw(VALUES)
    return result


@SHARED_FOLDER
@given(changed(MANIFEST))
def test_manifests(tmp_path: Path, content: Any) -> None:
    (tmp_path / "weights").mkdir(exist_ok=True)
    for name, data in {**GOOD, "manifest.json": json.dumps(content).encode()}.items():
        (tmp_path / name).write_bytes(data)
    try:
        manifest = read_manifest(tmp_path)
    except RefusedError:
        return
    assert isinstance(manifest, Manifest)
    assert manifest.team.isascii() and manifest.team.isprintable() and "/" not in manifest.team
    assert set(manifest.weights) == {WEIGHTS}


@given(changed(CONFIG))
def test_configs(config: Any) -> None:
    try:
        check_form(config)
    except RefusedError:
        return
    findings = check_rules(config, [Path(WEIGHTS).name], TERMS.baselines)
    assert all(describe(finding) for finding in findings)
    if not findings:
        kwargs = config["defense"]["kwargs"] if config["defense"] else {}
        named = {config["model"]["weights_file"], kwargs.get("weights_file", Path(WEIGHTS).name)}
        assert named == {Path(WEIGHTS).name}
        assert {name: config.get(name) for name in ("attack", "dataset", "metric", "scenario", "user_init")} in [
            {name: baseline.get(name) for name in ("attack", "dataset", "metric", "scenario", "user_init")}
            for baseline in TERMS.baselines
        ]


@given(changed(SUITE))
def test_suites(content: Any) -> None:
    try:
        suite = Suite.from_dict(content, "suite")
    except InvalidValueError:
        return
    assert "benign" not in map(str.lower, suite.attacks)
    assert all(name.isascii() and name.isprintable() and "/" not in name for name in (suite.name, *suite.attacks))
