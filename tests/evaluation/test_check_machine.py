import gc
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from armory_skelevision import cli
from armory_skelevision.evaluation.check import dataset, machine, run
from armory_skelevision.evaluation.check.environment import as_in_a_run
from armory_skelevision.evaluation.check.findings import (
    Finding,
    error,
    explain,
    format_findings,
    note,
    to_json,
    unknown_keys,
)
from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.validation import InvalidValueError

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `skelevision check` in this process; gives its exit code, stdout and stderr."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.app(["check", *(str(argument) for argument in arguments)])
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run_command


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def configure(home: Path, **changes: object) -> Path:
    names = ("dataset_dir", "local_git_dir", "output_dir", "saved_model_dir", "tmp_dir")
    path = home / ".armory" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({**{name: str(home / name) for name in names}, "verify_ssl": True, **changes}))
    return path


def test_versions() -> None:
    (old,) = machine.check_versions(["torch>=99", "numpy>=1", 'bpy>=1; extra == "render"'])
    assert (old.level, old.key) == ("error", "torch")
    assert "torch>=99" in old.problem
    assert old.fix == 'pip install "torch>=99"'
    (absent,) = machine.check_versions(["no-such-package>=2"])
    assert "not installed" in absent.problem
    assert absent.fix == 'pip install "no-such-package>=2"'


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding for finding in machine.check_package() if finding.level == "error"] == []
    monkeypatch.setattr(machine, "PACKAGE", "no-such-package")
    (finding,) = machine.check_package()
    assert (finding.level, finding.key) == ("warning", "no-such-package")


def test_what_tensorflow_needs_is_looked_for_as_it_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"tensorflow-datasets": ["numpy>=99", "no-such-package>=2", "bpy>=99; extra == 'render'"]}
    monkeypatch.setattr(machine.metadata, "requires", lambda name: needs.get(name, []))
    differing, absent = machine.check_package()
    assert (differing.level, differing.key) == ("warning", "numpy")
    assert (absent.level, absent.key) == ("error", "no-such-package")


def test_tested_versions(tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("# tested\ntorch==0.1\nno-such-package==3\n")
    (finding,) = machine.compare_with_tested(constraints)
    assert (finding.level, finding.key) == ("warning", "versions")
    assert "torch==0.1" in finding.problem
    assert "no-such-package" not in finding.problem
    assert machine.compare_with_tested(tmp_path / "none.txt") == []


def test_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert machine.check_ffmpeg() == []  # imageio-ffmpeg carries one
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (finding,) = machine.check_ffmpeg()
    assert finding.level == "error"
    assert "imageio-ffmpeg" in finding.fix


def test_folders_are_not_made(home: Path) -> None:
    (finding,) = machine.check_folders()
    assert (finding.level, finding.key) == ("warning", "armory configure")
    assert list(home.iterdir()) == []


def test_configured_folders(home: Path) -> None:
    configure(home)
    assert machine.check_folders() == []


@pytest.mark.parametrize("changes", [{"tmp_dir": 1}, {"tmp_dir": "same", "output_dir": "same"}])
def test_a_broken_configuration_of_armory(home: Path, changes: dict[str, object]) -> None:
    configure(home, **changes)
    (finding,) = machine.check_folders()
    assert (finding.level, finding.key) == ("error", machine.CONFIGURATION)
    assert "armory configure" in finding.fix


def test_folders_of_somebody_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home)
    (home / "output_dir").mkdir()
    monkeypatch.setattr(machine.os, "access", lambda path, mode: Path(path).name != "output_dir")
    monkeypatch.setattr(machine.os, "getuid", lambda: -1)
    (finding,) = machine.check_folders()
    assert (finding.level, finding.key) == ("error", machine.FOLDERS)
    assert "belongs to" in finding.problem
    assert "sudo chown -R" in finding.fix


def test_folders_without_permission_to_write_and_on_read_only_file_systems(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(home)
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    findings = machine.check_folders()
    assert [finding.level for finding in findings] == ["error"] * 5
    assert all("chmod" in finding.fix and "sudo" not in finding.fix for finding in findings)
    for name in ("dataset_dir", "saved_model_dir"):
        (home / name).mkdir()  # may have all that is needed
    levels = {finding.problem.split()[0]: finding.level for finding in machine.check_folders()}
    assert [name for name, level in levels.items() if level == "warning"] == ["dataset_dir", "saved_model_dir"]
    status = os.statvfs(home)
    read_only = SimpleNamespace(
        f_flag=status.f_flag | os.ST_RDONLY,
        f_bavail=status.f_bavail,
        f_frsize=status.f_frsize,
        f_blocks=status.f_blocks,
        f_bfree=status.f_bfree,
    )
    monkeypatch.setattr(machine.os, "statvfs", lambda path: read_only)
    (finding, *_) = machine.check_folders()
    assert "read-only" in finding.problem and "sudo" not in finding.fix


def test_findings_on_folders_hide_no_config(command: Run, home: Path, tmp_path: Path) -> None:
    configure(home)
    (home / "tmp_dir").write_text("")
    (tmp_path / "bad.json").write_text("{")
    code, out, _ = command(tmp_path / "bad.json")
    assert code == 1
    assert machine.FOLDERS in out and f"{tmp_path}/bad.json: error: file" in out


def test_a_read_only_dataset_dir_is_enough_for_prepared_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = {**build_config("walkers", "mtl")["dataset"], "dataset_dir": str(tmp_path)}
    monkeypatch.setattr(dataset.os, "access", lambda path, mode: False)
    (finding,) = dataset.check_dataset({"dataset": section})
    assert (finding.level, finding.key) == ("error", "dataset.dataset_dir")
    prepared = tmp_path / "walkers" / "mini-0123" / "1.0.0"
    prepared.mkdir(parents=True)
    (prepared / "dataset_info.json").write_text("{}")
    assert dataset.check_dataset({"dataset": section}) == []


def test_a_file_in_the_place_of_a_folder(home: Path) -> None:
    configure(home)
    (home / "tmp_dir").write_text("")
    (finding,) = machine.check_folders()
    assert "is a file" in finding.problem


@pytest.mark.parametrize(("free", "level"), [(1e9, "warning"), (1e8, "error")])
def test_room(home: Path, free: float, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(home)
    usage = shutil.disk_usage(home)._replace(free=int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    (finding,) = machine.check_folders()
    assert (finding.level, finding.key) == (level, "disk")
    assert f"{free / 1e9:.1f} GB are free" in finding.problem


def test_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    from armory import paths

    before = (paths.NO_DOCKER, list(sys.path), sys.stdout, gc.isenabled())
    modes = []
    with pytest.raises(ZeroDivisionError), as_in_a_run():
        modes.append(1 / (not paths.NO_DOCKER))
    assert modes == []
    assert (paths.NO_DOCKER, sys.path, sys.stdout, gc.isenabled()) == before


def test_findings_have_the_parts_of_structured_errors() -> None:
    assert explain("a", InvalidValueError("b", "1", "2"), "see c") == error("a.b", "expected 1, got 2")
    assert explain("a", InvalidValueError("b", "1", "2", "do that"), "see c") == error(
        "a.b", "expected 1, got 2", "do that"
    )
    assert explain("a", ValueError("b: expected 1\n got 2"), "see c") == error("a", "b: expected 1 got 2", "see c")
    assert explain("a", ValueError(""), "see c") == error("a", "ValueError", "see c")


def test_unknown_keys_come_with_what_was_probably_meant() -> None:
    known = ["seed", "max_iter"]
    assert unknown_keys("a", ["seed"], known) == []
    close, other = unknown_keys("a", ["maxiter", "zzz"], known)
    assert (close.key, close.fix) == ("a.maxiter", "did you mean 'max_iter'?")
    assert (other.key, other.fix) == ("a.zzz", "known are max_iter, seed")


def test_findings_are_printed_errors_first() -> None:
    findings = [Finding("warning", "a", "b", "c", "w"), Finding("error", "d", "e", "", "v")]
    assert format_findings(findings, 1).splitlines() == [
        "v: error: d: e",
        "w: warning: a: b; c",
        "1 error, 1 warning: this machine and 1 config checked",
    ]
    lines = format_findings([*findings, Finding("missing", "f", "g", "h", "w")], 1).splitlines()
    assert lines[1:] == [
        "w: missing: f: g; h",
        "w: warning: a: b; c",
        "1 error, 1 missing file, 1 warning: this machine and 1 config checked",
    ]
    lines = format_findings([note("attack", "told"), *findings], 1).splitlines()
    assert lines[2:] == [": note: attack: told", "1 error, 1 warning: this machine and 1 config checked"]
    content = json.loads(to_json(findings, 2))
    assert (content["configs"], content["errors"], content["warnings"]) == (2, 1, 1)
    assert content["findings"][1] == {"level": "error", "key": "d", "problem": "e", "fix": "", "where": "v"}


def test_command_on_a_good_and_a_bad_config(command: Run, root: Path, tmp_path: Path) -> None:
    good, bad = root / "scenario_configs" / "walkers_mtl_patch.json", tmp_path / "bad.json"
    code, out, _ = command(good)
    assert code == 0
    assert out.endswith(": this machine and 1 config checked\n")
    config = json.loads(good.read_text())
    config["attack"]["kwargs"]["stepsize"] = 1
    bad.write_text(json.dumps(config))
    code, out, _ = command(bad, good)
    assert code == 1
    assert f"{bad}: error: attack.kwargs.stepsize: " in out
    code, out, _ = command("--json", bad)
    assert code == 1
    content = json.loads(out)
    assert content["errors"] == 1
    assert [finding["where"] for finding in content["findings"] if finding["level"] == "error"] == [str(bad)]


def test_command_stops_before_a_run_whose_files_are_missing(command: Run, root: Path, home: Path) -> None:
    config = root / "scenario_configs" / "walkers_nanotrack_patch.json"
    code, out, _ = command(config)
    assert code == 1 and ": missing: model.weights_file: " in out
    assert command("--allow-missing", config)[0] == 0
    content = json.loads(command("--json", config)[1])
    assert (content["errors"], content["missing"]) == (0, 1)


def test_command_without_configs_looks_at_the_machine(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command()[0] == 0
    monkeypatch.setattr(
        run, "check_machine", lambda: [Finding("error", "torch", "is old", "update it", "this machine")]
    )
    code, out, _ = command()
    assert code == 1
    assert out.startswith("this machine: error: torch: is old; update it\n")


def test_command_on_a_folder_without_configs(command: Run, tmp_path: Path) -> None:
    assert command(tmp_path) == (1, "", f"error: {tmp_path} holds no .json files\n")


@pytest.mark.slow
def test_all_shipped_configs_in_seconds(root: Path, home: Path) -> None:
    # TensorFlow alone would take about as long as all the rest
    imports = "import sys\nfrom armory_skelevision.cli import app\n"
    program = imports + "try:\n    app()\nfinally:\n    assert 'tensorflow' not in sys.modules\n"
    command = [sys.executable, "-c", program, "check", "--json", "--allow-missing", str(root / "scenario_configs")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert content["errors"] == 0
    assert content["configs"] > 20
    # The processor's time, to which other work on the machine adds little. Nearly all of it goes into importing what
    # the configs name (torch and ART), 5 to 10 seconds on slow cores, and into random weights for SiamRPN++, 3 seconds.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 25
