"""What a sweep may write over, and which sweeps may share a folder."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from sweeping import Sweeping

from armory_skelevision.io.locking import LOCK
from armory_skelevision.sweeps import sweep as sweeps
from armory_skelevision.sweeps.execute import Ended
from armory_skelevision.sweeps.folder import claimed
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.sweeps.ray_engine import _work, relative_paths
from armory_skelevision.sweeps.sweep import read_progress, run_sweep
from armory_skelevision.validation import InvalidValueError

STEPS = "attack.kwargs.max_iter"


@pytest.fixture
def sweeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeping:
    return Sweeping(tmp_path / "a sweep", monkeypatch)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name", ["grid.json", "runs.json", "1/config.json", "1/run.json", "1/result.json", "1/log.txt", "1"]
)
def test_files_of_others_are_not_written_over(sweeping: Sweeping, name: str) -> None:
    sweeping.write({STEPS: [1, 2]})
    path = sweeping.out / name
    path.parent.mkdir(parents=True)
    path.write_text('{"mine": 1}')
    before = contents(sweeping.out)
    with pytest.raises(InvalidValueError) as caught:
        run_sweep(sweeping.grid, sweeping.out)
    assert caught.value.key == str(sweeping.out / name.removesuffix("/" + path.name if "/" in name else ""))
    assert contents(sweeping.out) == before
    assert sweeping.events() == []


def test_a_file_in_the_folders_place_is_refused(sweeping: Sweeping) -> None:
    sweeping.write({STEPS: [1]})
    sweeping.out.write_text("mine")
    with pytest.raises(InvalidValueError) as caught:
        run_sweep(sweeping.grid, sweeping.out)
    assert caught.value.key == str(sweeping.out)
    assert sweeping.out.read_text() == "mine"


def test_other_files_and_folders_are_left_alone(sweeping: Sweeping) -> None:
    sweeping.write({STEPS: [1]})
    sweeping.out.mkdir()
    (sweeping.out / "notes.txt").write_text("mine")
    (sweeping.out / "grid.json").write_bytes(sweeping.grid.read_bytes())  # the same grid
    (sweeping.out / "1").mkdir()
    (sweeping.out / "1" / "notes.txt").write_text("mine, too")
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert (sweeping.out / "notes.txt").read_text() == "mine"
    assert (sweeping.out / "1" / "notes.txt").read_text() == "mine, too"


def test_a_run_writes_through_no_link(sweeping: Sweeping, tmp_path: Path) -> None:
    sweeping.write({STEPS: [1]})
    sweeping.out.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (sweeping.out / "1").symlink_to(elsewhere)
    with pytest.raises(InvalidValueError) as caught:
        run_sweep(sweeping.grid, sweeping.out)
    assert caught.value.key == str(sweeping.out / "1")
    (sweeping.out / "1").unlink()
    (sweeping.out / "1").mkdir()
    (sweeping.out / "1" / "saved_samples").symlink_to(elsewhere)
    assert run_sweep(sweeping.grid, sweeping.out) == []
    assert list(elsewhere.iterdir()) == []
    assert (sweeping.out / "1" / "saved_samples" / "video.mp4").is_file()


def test_a_sweep_of_another_grid_waits_for_its_own_folder(sweeping: Sweeping) -> None:
    sweeping.write({STEPS: [1]})
    runs = read_grid(sweeping.grid)
    with claimed(sweeping.out, runs, b"{}", b'{"grid": 1, "runs": 1}'):
        with claimed(sweeping.out, runs, b"{}", b'{"grid": 1, "runs": 1}'):
            pass  # the same plan may be shared
        before = contents(sweeping.out)
        with pytest.raises(InvalidValueError) as caught, claimed(sweeping.out, runs, b"[]", b'{"grid": 2, "runs": 2}'):
            pass
        assert caught.value.key == str(sweeping.out)
        assert contents(sweeping.out) == before
    with claimed(sweeping.out, runs, b"[]", b'{"grid": 2, "runs": 2}'):
        assert (sweeping.out / "grid.json").read_bytes() == b"[]"


def test_a_folder_that_cannot_be_written_to_is_named(sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.write({STEPS: [1]})

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(sweeping.out))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        patch.setattr(sweeps, "install_weights", lambda folder: None)
        with pytest.raises(OSError, match="Read-only") as caught:
            run_sweep(sweeping.grid, sweeping.out)
    assert caught.value.filename == str(sweeping.out)
    assert [each.state for each in read_progress(sweeping.grid, sweeping.out)] == ["to run"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "5",
        '{"state": 1}',
        '{"state": "finished"}',
        '{"state": "finished", "weights": [1]}',
        "\xff",
        "[" * 5000,
    ],
)
def test_a_record_that_is_none_is_not_believed(sweeping: Sweeping, text: str) -> None:
    sweeping.write({STEPS: [1]})
    run_sweep(sweeping.grid, sweeping.out)
    (sweeping.out / "1" / "run.json").write_text(text, encoding="latin-1")
    (progress,) = read_progress(sweeping.grid, sweeping.out)
    assert progress.state in ("to run", "outdated")


@pytest.mark.parametrize("seconds", [None, "5", -1, True, 10**12])
def test_a_time_that_is_none_is_unknown(sweeping: Sweeping, seconds: object) -> None:
    sweeping.write({STEPS: [1]})
    run_sweep(sweeping.grid, sweeping.out)
    record = sweeping.record("1")
    (sweeping.out / "1" / "run.json").write_text(json.dumps({**record, "seconds": seconds}))
    (progress,) = read_progress(sweeping.grid, sweeping.out)
    assert (progress.state, progress.seconds) == ("finished", None)


def test_a_piped_sweep_says_how_far_it_is(
    sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(runs, out, jobs):  # type: ignore[no-untyped-def]
        for each in runs:
            for _ in range(20):
                time.sleep(0.01)
                yield None
            yield Ended(each, None)

    monkeypatch.setattr(sweeps, "run_local", run)
    monkeypatch.setattr(sweeps, "INTERVAL", 0.05)
    monkeypatch.setattr(sys.modules["armory_skelevision.io.progress"], "INTERVAL", 0.05)
    sweeping.write({STEPS: [1, 2]})
    assert run_sweep(sweeping.grid, sweeping.out) == []
    lines = capsys.readouterr().err.splitlines()
    assert 4 <= len(lines) <= 12
    assert lines[0].startswith("Sweep: 0 of 2, ")
    assert lines[-1].startswith("Sweep: 1 of 2, ") or lines[-1].startswith("Sweep: 2 of 2, ")


def test_relative_paths_mean_the_same_to_a_worker(
    sweeping: Sweeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping.base["dataset"]["root"] = "videos"
    sweeping.base["dataset"]["name"] = "otb_person"
    sweeping.write({"attack.kwargs.patch_init": ["start.npy"], "attack.kwargs.export": ["patches"]})
    (run,) = read_grid(sweeping.grid)
    assert list(relative_paths(run.config)) == ["dataset.root", "attack.kwargs.patch_init"]
    places = []
    monkeypatch.setattr("armory_skelevision.sweeps.ray_engine.execute", lambda *_: places.append(os.getcwd()))
    sweeping.out.mkdir()
    here = os.getcwd()
    place = tmp_path / "where the sweep was started"
    with pytest.raises(FileNotFoundError, match=r"dataset\.root"):
        _work(run, sweeping.out, place, {})
    place.mkdir()
    _work(run, sweeping.out, place, {})
    assert places == [str(place)]
    assert os.getcwd() == here
    with pytest.raises(FileNotFoundError, match="share"):
        _work(run, tmp_path / "nowhere", place, {})


def test_the_lock_is_no_run(sweeping: Sweeping) -> None:
    sweeping.write({STEPS: [1]})
    run_sweep(sweeping.grid, sweeping.out)
    assert {path.name for path in sweeping.out.iterdir()} == {LOCK, "1", "grid.json", "runs.json"}
