"""The three functions at the package's top, as a new user calls them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import armory_skelevision


def test_what_can_be_imported_is_listed():
    assert {"evaluate", "load_tracker", "load_video", "__version__"} <= {*dir(armory_skelevision)}
    for name in armory_skelevision.__all__:
        assert getattr(armory_skelevision, name) is not None


def test_unknown_names_are_no_attributes():
    assert not hasattr(armory_skelevision, "load_model")


def test_nothing_is_printed_but_by_the_caller(tmp_path: Path):
    code = (
        "from armory_skelevision import evaluate, load_tracker, load_video\n"
        'result = evaluate(load_tracker("siamrpn_stl"), load_video("walkers/mini/0")[:2])\n'
        "print(result.benign.mean_iou)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(run.stdout) > 0.5
    assert run.stderr == ""


@pytest.mark.slow
def test_the_first_python_of_the_readme_runs_on_a_shorter_video(root: Path, tmp_path: Path):
    block = re.search(r"^```python\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    code, count = re.subn(r"(load_video\(.*?\))", r"\1[:8]", block[1])
    assert count == 1
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    benign, adversarial = map(float, run.stdout.split())
    assert 0 <= adversarial < benign <= 1
    (folder,) = tmp_path.iterdir()
    assert {path.name for path in folder.iterdir()} == {"boxes.csv", "result.json", "video.mp4"}
