import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.evaluation import runner


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "walk.json"
    path.write_text("{}")
    return path


class FakeArmory:
    """Stands in for `subprocess.run`: notes the command, and writes results as ARMORY does."""

    def __init__(self, outputs: Path, code: int = 0, results: int = 1) -> None:
        self.outputs, self.code, self.results = outputs, code, results
        self.command: list[str] = []

    def __call__(self, command: list[str], env: dict[str, str], check: bool) -> Any:
        self.command, self.env = command, env
        name = command[command.index("--output-dir") + 1]
        for number in range(self.results):
            folder = self.outputs / f"{name}_2026-01-01T000000.{number}"
            folder.mkdir(parents=True)
            (folder / "CarlaVideoTracking_1.json").write_text(json.dumps({}))
        return subprocess.CompletedProcess(command, self.code)


def put_in_place(fake: FakeArmory, monkeypatch: pytest.MonkeyPatch) -> FakeArmory:
    monkeypatch.setattr(subprocess, "run", fake)
    monkeypatch.setattr(runner, "_folder", lambda kind: fake.outputs)
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
    assert fake.env["PYTHONWARNINGS"] == "default"


@pytest.mark.parametrize(("code", "results"), [(1, 0), (1, 1), (0, 0)])
def test_failures_are_errors(
    code: int, results: int, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_place(FakeArmory(tmp_path / "outputs", code, results), monkeypatch)
    with pytest.raises(RuntimeError, match=f"exit code {code}"):
        runner.run_config(config)


def test_what_a_stopped_run_leaves_is_deleted(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = put_in_place(FakeArmory(tmp_path / "outputs"), monkeypatch)
    kept = runner.run_config(config)

    def stop(command: list[str], environment: Any) -> int:
        fake(command, environment, check=False)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_config(config, call=stop)
    assert list((tmp_path / "outputs").iterdir()) == [kept.parent]


def test_no_config_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no config at"):
        runner.run_config(tmp_path / "none.json")


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
