"""The guide's tracker in ten lines: its code, its Python and its config are run as they stand."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.evaluation.check import check_config
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.configs import build_config

PAGE = Path(__file__).parent.parent.parent / "docs" / "extending.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("## My own tracker in ten lines\n")[2].partition("\n## ")[0]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


TRACKER, USE = blocks("python")
(MODEL,) = blocks("json")


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """The reader's folder."""
    (tmp_path / "my_tracker.py").write_text(TRACKER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("my_tracker", None)


def test_it_has_ten_lines():
    assert len([line for line in TRACKER.splitlines() if line.strip() and not line.startswith("from")]) == 10


def test_the_printed_number_is_right():
    (printed,) = re.findall(r"benign.mean_iou\)  # (\d\.\d+)", USE)
    tracker = load_tracker("my_tracker:TemplateTracker", color="BGR")
    assert evaluate(tracker, load_video("walkers/mini/0")).benign.mean_iou == pytest.approx(float(printed), abs=0.005)


def test_the_python_runs(capsys):
    short = USE.replace('load_video("walkers/mini/0")', 'load_video("walkers/mini/0")[:3]')
    short = short.replace('"max_iter": 10', '"max_iter": 1').replace(
        "IoUAttack(tracker)", "IoUAttack(tracker, max_queries=4)"
    )
    exec(compile(short, "the guide", "exec"), {})
    benign, transferred, queried = map(float, capsys.readouterr().out.split())
    assert 0.5 < benign <= 1 and 0 <= transferred <= 1 and 0 <= queried <= 1


def test_the_config_is_right():
    config = build_config("walkers", "mtl", "iou")
    config["model"] = json.loads("{" + MODEL + "}")["model"]
    with as_in_a_run():
        assert check_config(config) == []
