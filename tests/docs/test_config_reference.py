"""docs/config.md: as the code is now, and with every key that a file of settings in this repository has."""

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision import attacks, defenses, metrics
from armory_skelevision.sweeps.grid import Grid, read_grid
from scripts.config_reference import PAGE, keys_of, renew

ROOT = PAGE.parent.parent
TRAININGS = ("multitask", "backdoor", "adversarial", "dualossdef")


def read_page() -> dict[str, set[str]]:
    """The keys in the tables below each heading."""
    found: dict[str, set[str]] = {}
    title = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            title = line.lstrip("# ")
            assert title not in found
            found[title] = set()
        elif row := re.match(r"\| `([^`]+)` \|", line):
            found[title].add(row[1])
    return found


PAGES = read_page()
OF_TRAININGS = {
    "multitask": PAGES["All trainings"] | PAGES["skelevision train multitask"],
    "backdoor": PAGES["All trainings"] | PAGES["skelevision train multitask"] | PAGES["skelevision train backdoor"],
    "adversarial": PAGES["All trainings"]
    | PAGES["skelevision train multitask"]
    | PAGES["Attacks in training"]
    | PAGES["skelevision train adversarial"],
    "dualossdef": PAGES["All trainings"] | PAGES["Attacks in training"] | PAGES["skelevision train dualossdef"],
}


def undocumented(config: Mapping[str, Any]) -> Iterator[str]:
    """The keys of an evaluation config that are not on the page, with dots between the levels."""
    yield from (key for key in config if key not in PAGES["Evaluation configs"])
    for section in config.keys() & PAGES.keys():
        keys = config[section] or {}
        known = PAGES[section] | (PAGES.get(keys.get("name", ""), set()) if section == "dataset" else set())
        yield from (f"{section}.{key}" for key in keys if key not in known)
    for section in ("attack", "defense"):
        chosen = config[section] or {"name": section, "kwargs": {}}
        kwargs = dict(chosen["kwargs"])
        if chosen["name"] == "Transfer":  # whose own kwargs are those of another attack
            yield from missing(f"{section}.kwargs.kwargs", kwargs.pop("kwargs", {}), PAGES[kwargs["attack"]])
        yield from missing(f"{section}.kwargs", kwargs, PAGES[chosen["name"]])
    model = config["model"]
    yield from missing("model.wrapper_kwargs", model["wrapper_kwargs"], PAGES["model.wrapper_kwargs"])
    known = PAGES.get(f"model.model_kwargs of {model['name']}", set())
    yield from missing("model.model_kwargs", model["model_kwargs"], known)
    yield from (name for name in config["metric"]["task"] if name not in PAGES["metric"])


def missing(place: str, given: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    for key, value in given.items():
        if key not in known:
            yield f"{place}.{key}"
        if isinstance(value, Mapping):
            yield from missing(f"{place}.{key}", value, PAGES[f"{place}.{key}"])


def test_the_page_is_as_the_code_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renew(page) == page, "run: python -m scripts.config_reference"


def test_every_class_and_function_is_in_the_file_that_the_page_names() -> None:
    places = re.findall(r"^(Class|Function) `(\w+)` in \[`([^`]+)`\]\(\.\./([^)]+)\)", PAGE.read_text(), re.MULTILINE)
    assert len(places) > 30
    for kind, name, shown, file in places:
        keyword = {"Class": "class", "Function": "def"}[kind]
        assert shown == file
        assert re.search(rf"^{keyword} {name}\b", (ROOT / file).read_text(), re.MULTILINE), f"{name} is not in {file}"


@pytest.mark.parametrize("path", sorted((ROOT / "scenario_configs").glob("*.json")), ids=lambda path: path.stem)
def test_every_key_of_the_evaluation_configs_is_documented(path: Path) -> None:
    assert list(undocumented(json.loads(path.read_text()))) == []


@pytest.mark.parametrize("path", sorted((ROOT / "sweep_configs").glob("*.json")), ids=lambda path: path.stem)
def test_every_key_of_the_sweep_configs_is_documented(path: Path) -> None:
    assert json.loads(path.read_text()).keys() <= PAGES["Sweep configs"]
    assert {key for run in read_grid(path) for key in undocumented(run.config)} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "training_configs").rglob("*.json")), ids=lambda path: path.stem)
def test_every_key_of_the_training_configs_is_documented(path: Path) -> None:
    settings = json.loads(path.read_text())
    assert any(settings.keys() <= OF_TRAININGS[name] for name in TRAININGS)
    assert list(missing("attack.kwargs", {"trigger": settings.get("trigger", {})}, {"trigger"})) == []


def test_a_key_that_is_not_on_the_page_would_be_found() -> None:
    config = json.loads((ROOT / "scenario_configs" / "walkers_mtl_patch.json").read_text())
    config["attack"]["kwargs"] |= {"strength": 1, "eot": {"weather": 2}}
    config["dataset"]["place"] = 3
    config["metric"]["task"].append("armory_skelevision.metrics.hope")
    assert list(undocumented(config)) == [
        *("dataset.place", "attack.kwargs.strength", "attack.kwargs.eot.weather", "armory_skelevision.metrics.hope"),
    ]


@pytest.mark.parametrize("module", [attacks, defenses])
def test_every_class_that_a_config_can_name_is_on_the_page(module: Any) -> None:
    for name in module.__all__:
        documented = {key.name for key in keys_of(getattr(module, name))} - {"estimator"}
        assert PAGES[name] == documented


def test_every_metric_and_key_of_a_grid_is_on_the_page() -> None:
    assert {f"armory_skelevision.metrics.{name}" for name in metrics.__all__} <= PAGES["metric"]
    assert PAGES["Sweep configs"] == {field.name for field in fields(Grid)}


def test_every_key_that_armory_accepts_is_on_the_page() -> None:
    path = Path(importlib.import_module("armory.utils").__path__[0]) / "config_schema.json"
    schema = json.loads(path.read_text())
    assert schema["properties"].keys() <= PAGES["Evaluation configs"]
    for section in ("attack", "dataset", "defense", "metric", "model", "scenario", "sysconfig"):
        known = PAGES[section] | (PAGES["walkers"] if section == "dataset" else set()) | {"export_samples"}
        assert schema["definitions"][section]["properties"].keys() <= known
