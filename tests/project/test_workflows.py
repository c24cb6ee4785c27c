"""The workflows: what they run is what developers run, what they use is pinned, and nothing may more than it must."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from armory_skelevision import __version__

ROOT = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
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


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if "uses: " in line]
    assert [line for line in used if not PINNED.search(line)] == []
    # one version of each everywhere
    assert len({line.split("uses: ")[1] for line in used}) == len(
        {line.split("uses: ")[1].split("@")[0] for line in used}
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_may_little_and_end(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        writes = {name for name, access in job["permissions"].items() if access == "write"}
        assert writes <= {"packages", "id-token"}
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


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
