"""The workflows run what developers run, and a release needs a tag that is the version."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from armory_skelevision import __version__

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# Commands that only a runner needs, in steps of these names.
RUNNERS_OWN = ("Room for the GPU image", "Where layers are kept")


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_is_a_target_of_the_makefile(path: Path) -> None:
    commands = [step for step in steps(read(path)) if "run" in step and step.get("name") not in RUNNERS_OWN]
    for step in commands:
        program, target, *_ = step["run"].split()
        assert program == "make", step["run"]
        done = subprocess.run(["make", "-n", target, "READY="], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("tag", "code"), [(f"v{__version__}", 0), (__version__[:-1], 2), (f"v{__version__}1", 2)])
def test_a_tag_has_to_be_the_version(tag: str, code: int) -> None:
    done = subprocess.run(["make", "fits-tag", f"TAG={tag}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == __version__
    assert citation["license"] == (ROOT / "LICENSE").read_text(encoding="utf-8").split()[0]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert all({"type", "title", "authors"} <= reference.keys() for reference in citation["references"])
