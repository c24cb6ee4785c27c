from pathlib import Path

import pytest
from handmade_results import make_config, make_results, write_plan, write_result, write_run, write_sweep

from armory_skelevision.results.load import elapsed_seconds, load_runs
from armory_skelevision.validation import MissingFileError


def test_collects_files_outputs_and_sweeps(tmp_path: Path) -> None:
    lone = write_result(tmp_path / "lone.json", make_results((0.5,)), make_config())
    outputs = tmp_path / "outputs"
    done = write_result(outputs / "a_2026" / "CarlaVideoTracking_1795270699.json", make_results((0.6,)), make_config())
    (done.parent / "armory-log.txt").write_text(
        "2026-11-21 19:57:29  5s INFO  armory:x:1 begins\n2026-11-21 21:59:33 1h2m9s METRIC armory:y:2 ends\n  more\n"
    )
    (done.parent / "saved_samples").mkdir()
    (done.parent / "notes_3.json").write_text("not a result")
    (outputs / "b_2026").mkdir()
    (outputs / "b_2026" / "armory-log.txt").write_text("2026-11-21 14:55:24 5m58s ERROR armory:x:1 out of memory\n")
    loaded = load_runs([lone, outputs, write_sweep(tmp_path / "sweep")])
    assert loaded.problems == ()
    assert [grid["title"] for grid in loaded.grids.values()] == ["STL & <MTL>"]
    found = {run.name: run for run in loaded.runs}
    assert [run.name for run in loaded.runs][:3] == ["lone", "a_2026", "b_2026"]
    assert found["a_2026"].seconds == 3729
    assert (found["b_2026"].state, found["b_2026"].seconds) == ("failed", 358)
    assert "out of memory" in found["b_2026"].log_end
    states = {name: run.state for name, run in found.items() if name[:3] in ("stl", "mtl")}
    assert states.pop("mtl-20-1") == "failed"
    assert states.pop("mtl-40-0") == "missing"
    assert set(states.values()) == {"finished"}
    assert len(states) == 7
    run = found["stl-10-0"]
    assert (run.seconds, run.versions["torch"], run.weights) == (12.5, "2.13.0", {"weights.safetensors": "ab" * 32})
    assert found["mtl-20-1"].log_end.splitlines() == ["ValueError: <script>alert(1)</script>", "it broke"]


def test_what_is_broken_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep")
    (sweep / "stl-10-0" / "result.json").write_text("{")
    (sweep / "stl-10-1" / "run.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    loaded = load_runs([sweep, tmp_path / "empty"])
    assert [problem.key for problem in loaded.problems] == [
        str(sweep / "stl-10-0" / "result.json"),
        str(sweep / "stl-10-1" / "run.json"),
        str(tmp_path / "empty"),
    ]
    found = {run.name: run.state for run in loaded.runs}
    assert (found["stl-10-0"], found["stl-10-1"]) == ("failed", "finished")
    with pytest.raises(MissingFileError) as caught:
        load_runs([tmp_path / "nowhere.json"])
    assert caught.value.key == str(tmp_path / "nowhere.json")


def test_a_result_that_a_failed_run_left_behind_does_not_count(tmp_path: Path) -> None:
    write_plan(tmp_path)
    write_run(tmp_path / "run", make_config(), make_results((0.5,), (0.1,)), "failed")
    (run,) = load_runs([tmp_path]).runs
    assert (run.state, run.benign.mean_iou) == ("failed", None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("nothing\n", None), ("2026-11-21 14:55:24 1d60s X\n", 86460)]
)
def test_elapsed_seconds(tmp_path: Path, text: str, seconds: float | None) -> None:
    (tmp_path / "log").write_text(text)
    assert elapsed_seconds(tmp_path / "log") == seconds
    assert elapsed_seconds(tmp_path / "no log") is None
