"""Names in configs that `skelevision check` finds without importing TensorFlow."""

import sys

import pytest

from armory_skelevision.evaluation.check import names
from armory_skelevision.evaluation.check.findings import error
from armory_skelevision.evaluation.check.names import find_object, is_shipped
from armory_skelevision.evaluation.table import TASKS

SHIPPED = {name for task in TASKS.values() for name in (".".join(task.scenario), *task.metrics)}


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_is_known_without_importing_it_is_there(name: str) -> None:
    assert is_shipped(name)
    if "." in name:
        module, _, attribute = name.rpartition(".")
        assert find_object("", module, attribute)[1] == []
    else:
        from armory import metrics

        assert metrics.is_supported(name)


def test_what_is_not_in_the_file_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_shipped("armory.scenarios.scenario.Scenario")  # there, but in no config of ours
    monkeypatch.setattr(names, "_SHIPPED", {("armory.scenarios.scenario", "Scenery"), ("armory.no.such", "thing")})
    assert not is_shipped("armory.scenarios.scenario.Scenery")
    assert not is_shipped("armory.no.such.thing")


def test_armorys_additions_to_art_are_imported_without_tensorflow_if_they_do_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []

    def import_module(module: str) -> str:
        seen.append((module, "tensorflow" in sys.modules))
        if module.endswith("needs_it") and "tensorflow" in sys.modules:  # as None, which Python refuses to import
            raise ImportError
        return module

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(names, "import_module", import_module)
    art = "armory.art_experimental.attacks"
    for module in (f"{art}.does_without", f"{art}.needs_it", "my_module"):
        assert names._import(module) == module
    tries = [("does_without", True), ("needs_it", True), ("needs_it", False)]
    assert seen == [*((f"{art}.{name}", barred) for name, barred in tries), ("my_module", False)]
    assert "tensorflow" not in sys.modules


def test_findings_are_one_line_whatever_a_config_says() -> None:
    finding = error("attack.kwargs.x\ny", "got '\x1b[2J\u202e'", "\ud800")._replace(where="a\nb.json")
    assert str(finding).isprintable()
    assert str(finding).encode()
