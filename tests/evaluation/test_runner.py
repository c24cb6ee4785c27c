"""What `armory run` is started with, which result is found, and what is left of a run that fails or is stopped."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.evaluation import runner
from armory_skelevision.evaluation.process import Limits, StoppedError
from armory_skelevision.validation import MissingFileError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "walk.json"
    path.write_text("{}")
    return path


class FakeArmory:
    """Stands in for `run_process`: notes the command, and writes results as ARMORY does."""

    def __init__(self, outputs: Path, code: int = 0, results: int = 1, error: Exception | None = None) -> None:
        self.outputs, self.code, self.results, self.error = outputs, code, results, error
        self.command: Sequence[str] = []

    def __call__(self, command: Sequence[str], environment: Mapping[str, str], **_: Any) -> int:
        self.command, self.environment = command, environment
        name = command[command.index("--output-dir") + 1]
        for number in range(self.results):
            folder = self.outputs / f"{name}_2026-01-01T000000.{number}"
            folder.mkdir(parents=True)
            (folder / "CarlaVideoTracking_1.json").write_text(json.dumps({}))
        if self.error is not None:
            raise self.error
        return self.code


def put_in_place(fake: FakeArmory, monkeypatch: pytest.MonkeyPatch) -> FakeArmory:
    monkeypatch.setattr(runner, "run_process", fake)
    monkeypatch.setattr(runner, "armory_folder", lambda kind: fake.outputs)
    return fake


def test_finds_its_own_result_among_others(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = put_in_place(FakeArmory(tmp_path / "outputs"), monkeypatch)
    first, second = runner.run_config(config, "--check"), runner.run_config(config)
    assert first != second
    assert first.is_file()
    assert second.parent.name.startswith("walk_")
    assert fake.command[1:6] == ["-m", "armory", "run", str(config), "--no-docker"]
    assert "--check" not in fake.command


def test_what_the_user_set_in_the_environment_stays(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    fake = put_in_place(FakeArmory(tmp_path / "outputs"), monkeypatch)
    runner.run_config(config)
    assert fake.environment["PYTHONWARNINGS"] == "default"


@pytest.mark.parametrize(
    ("code", "results", "message"), [(1, 0, "exit code 1"), (1, 1, "exit code 1"), (0, 0, "left 0")]
)
def test_failures_are_errors(
    code: int, results: int, message: str, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(FakeArmory(tmp_path / "outputs", code, results), monkeypatch)
    with pytest.raises(runner.RunFailedError, match=message):
        runner.run_config(config)


def test_what_a_stopped_run_leaves_is_deleted(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(FakeArmory(tmp_path / "outputs"), monkeypatch)
    kept = runner.run_config(config)
    put_in_place(FakeArmory(tmp_path / "outputs", error=StoppedError()), monkeypatch)
    with pytest.raises(StoppedError):
        runner.run_config(config)
    assert list((tmp_path / "outputs").iterdir()) == [kept.parent]


def test_a_run_of_the_same_name_takes_the_place_of_what_an_earlier_one_left(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(FakeArmory(tmp_path / "outputs"), monkeypatch)
    left = tmp_path / "outputs" / "mine_2025"
    left.mkdir(parents=True)
    (left / "half.json").touch()
    assert runner.run_config(config, name="mine").parent.name.startswith("mine_2026")
    assert not left.exists()


@pytest.mark.parametrize(
    ("log", "limits", "message"),
    [
        ("Traceback\n  \x1b[31mValueError\x1b[0m: 13 is wrong\nfailed\n", None, "ValueError: 13 is wrong"),
        ("some.module.OddError\nRuntimeError: last\n", None, "RuntimeError: last"),
        ("nothing\nin particular\n", None, "ARMORY failed with exit code 1: in particular"),
        ("", None, "ARMORY failed with exit code 1: it wrote no message"),
        ("what(): std::bad_alloc\n", Limits(memory_gb=2), "out of memory: 2 GB"),
        ("what(): std::bad_alloc\n", None, "ARMORY failed with exit code 1: what(): std::bad_alloc"),
    ],
)
def test_the_last_error_is_taken_from_the_log(
    log: str, limits: Limits | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.txt"
    path.write_text(log)
    monkeypatch.setattr(runner, "run_process", lambda *_, **__: 1)
    with pytest.raises(runner.RunFailedError) as failed:
        runner.run_armory(["armory"], {}, log=path, limits=limits)
    assert str(failed.value) == message
    assert "\x1b" not in path.read_text()


def test_no_config_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as missing:
        runner.run_config(tmp_path / "none.json")
    assert missing.value.key == str(tmp_path / "none.json")


def test_interpreter_in_a_folder_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # ARMORY puts the interpreter's path into a shell command as it is
    environment = tmp_path / "my project" / ".venv"
    environment.parent.mkdir()
    environment.symlink_to(sys.prefix, target_is_directory=True)
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / Path(sys.executable).name))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    python = runner._python_without_blanks(scratch)
    assert " " not in python
    code = "import sys, numpy; print(sys.prefix)"
    found = subprocess.run(f"{python} -c '{code}'", shell=True, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(scratch / "environment")
