"""The notebook runs, cell by cell, and finds what it says."""

import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "examples" / "own_video.ipynb"


def test_the_notebook_runs(capsys):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    assert len(names["answers"]) == 12
    assert 0 < names["result"].adversarial.mean_iou < 0.99 and names["result"].truth_by_tracker
    assert "result.json" in capsys.readouterr().out
