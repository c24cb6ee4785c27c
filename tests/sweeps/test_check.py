"""Every run of a sweep is checked before the first one begins, as `skelevision check` would check its config."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision import models
from armory_skelevision.evaluation.check import Finding
from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.sweeps import sweep as sweeps
from armory_skelevision.sweeps.check import check_runs, refuse_errors
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.validation import InvalidValueError

STEPS, WEIGHTS = "attack.kwargs.max_iter", "model.weights_file"
Run = Callable[..., tuple[int, str, str]]


def write(folder: Path, axes: dict[str, Any], **more: Any) -> Path:
    (folder / "base.json").write_text(format_config(build_config("walkers", "mtl", "pgd")))
    (folder / "grid.json").write_text(json.dumps({"base": "base.json", "axes": axes, **more}))
    return folder / "grid.json"


def check(folder: Path, axes: dict[str, Any], **more: Any) -> dict[str, tuple[str, str]]:
    return {each.key: (each.level, each.where) for each in check_runs(read_grid(write(folder, axes, **more)))}


def test_nothing_is_wrong_with_what_is_right(tmp_path: Path) -> None:
    assert check(tmp_path, {STEPS: [1, 2]}) == {}


def test_a_finding_comes_once_with_the_runs_that_have_it(tmp_path: Path) -> None:
    found = check(tmp_path, {STEPS: [-1, 1], "dataset.eval_split": ["mini", "nowhere"]})
    assert found[STEPS][0] == "error"
    assert found[STEPS][1].startswith("2 runs, such as ")
    assert found["dataset.eval_split"][0] == "error"


def test_a_model_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for name in ("siamrpn_mtl", "siamrpn_stl"):
        make = getattr(models, name)

        @functools.wraps(make)
        def count(*arguments: Any, make: Any = make, name: str = name) -> Any:
            made.append(name)
            return make(*arguments)

        monkeypatch.setattr(models, name, count)
    stl = {"model.name": "siamrpn_stl", WEIGHTS: "siamrpn_alex_stl.safetensors"}
    assert check(tmp_path, {STEPS: [1, 2, 3], "model": {"STL": stl, "MTL": {}}}) == {}
    assert made == ["siamrpn_mtl", "siamrpn_stl"]


def test_missing_weights_do_not_stop_the_others(tmp_path: Path) -> None:
    found = check(tmp_path, {WEIGHTS: ["mine.safetensors", "siamrpn_alex_mtl.safetensors"]})
    assert {key: where for key, (_, where) in found.items()} == {WEIGHTS: "mine.safetensors"}
    assert found[WEIGHTS][0] != "error"


def test_what_this_machine_lacks_may_be_elsewhere(tmp_path: Path) -> None:
    gpu = {"sysconfig.use_gpu": True, "sysconfig.gpus": "99", "dataset.eval_split": "nowhere", STEPS: -1}
    runs = read_grid(write(tmp_path, {}, set=gpu))
    levels = {finding.key: finding.level for finding in check_runs(runs, elsewhere=True)}
    assert levels[STEPS] == "error"
    assert {level for key, level in levels.items() if key != STEPS} == {"warning"}
    assert len(levels) > 2


def test_the_refusal_names_the_first_and_counts_the_others() -> None:
    refuse_errors([Finding("warning", "a", "b")])
    errors = [Finding("error", "model.name", "expected a, got b", "use a", "run-1"), Finding("error", "x", "y")]
    with pytest.raises(InvalidValueError) as caught:
        refuse_errors(errors)
    assert (caught.value.key, caught.value.got) == ("run-1: model.name", "expected a, got b")
    assert caught.value.fix.startswith("use a; 1 more finding")


def test_a_dry_run_checks_and_a_sweep_does_not_begin(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "run_local", lambda *_: pytest.fail("a run was begun"))
    grid, out = write(tmp_path, {STEPS: [1, -1]}), tmp_path / "out"
    code, told, err = run("sweep", grid, "--out", out, "--dry-run")
    assert (code, err) == (1, "")
    assert "2 runs: 0 finished, 2 to run" in told
    (line,) = [line for line in told.splitlines() if "error" in line]
    assert f"error: {STEPS}: " in line
    code, told, err = run("sweep", grid, "--out", out)
    assert (code, told) == (1, "")
    assert err.startswith("error: ")
    assert STEPS in err
    assert not out.exists()


@pytest.mark.parametrize("jobs", [0, -1, 10**9])
def test_the_number_of_jobs_has_a_range(run: Run, tmp_path: Path, jobs: int) -> None:
    grid = write(tmp_path, {STEPS: [1]})
    assert run("sweep", grid, "--out", tmp_path / "out", "--jobs", str(jobs))[0] == 2
    with pytest.raises(InvalidValueError) as caught:
        sweeps.run_sweep(grid, tmp_path / "out", jobs=jobs)
    assert caught.value.key == "jobs"
    assert not (tmp_path / "out").exists()
