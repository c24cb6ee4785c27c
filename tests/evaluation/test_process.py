"""Commands that end with all below them: by themselves, at a limit, when asked, and when their caller is gone."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from armory_skelevision.evaluation.process import Limits, StoppedError, run_process


class Pulse:
    """A command whose grandchild writes to a file as long as it lives."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "pulse"
        beat = f"import time\nwhile True: open({str(self.file)!r}, 'a').write('x'); time.sleep(0.01)"
        self.command = [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.run([sys.executable, '-c', {beat!r}])",
        ]

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self.file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def beats(self) -> bool:
        size = self.file.stat().st_size
        time.sleep(0.3)
        return self.file.stat().st_size > size


@pytest.fixture
def pulse(tmp_path: Path) -> Pulse:
    return Pulse(tmp_path)


def run(code: str, **options: object) -> int:
    return run_process([sys.executable, "-c", code], dict(os.environ), **options)  # type: ignore[arg-type]


def test_exit_codes_output_and_folder(tmp_path: Path) -> None:
    assert run("import os; print(os.getcwd()); raise SystemExit(3)", log=tmp_path / "log", folder=tmp_path) == 3
    assert (tmp_path / "log").read_text() == f"{tmp_path}\n"
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGTERM)") == 128 + signal.SIGTERM
    assert run("import sys; sys.exit(bool(sys.stdin.read()))") == 0


def test_what_a_command_leaves_running_is_killed(pulse: Pulse) -> None:
    code = f"import subprocess, time; subprocess.Popen({pulse.command!r})\n"
    assert run(f"{code}import os\nwhile not os.path.exists({str(pulse.file)!r}): time.sleep(0.01)") == 0
    assert not pulse.beats()


def test_out_of_time(pulse: Pulse) -> None:
    with pytest.raises(TimeoutError, match=r"0\.05 minutes"):
        run_process(pulse.command, dict(os.environ), limits=Limits(minutes=0.05))
    assert not pulse.beats()


def test_memory_is_limited(tmp_path: Path) -> None:
    code = "x = bytearray(2 * 10**9)"
    assert run(code, limits=Limits(memory_gb=1), log=tmp_path / "log") == 1
    assert "MemoryError" in (tmp_path / "log").read_text()
    assert run(code) == 0


def test_a_caller_can_stop_it(pulse: Pulse) -> None:
    stop = threading.Event()
    stopper = threading.Thread(target=lambda: (pulse.wait(), stop.set()))
    stopper.start()
    with pytest.raises(StoppedError):
        run_process(pulse.command, dict(os.environ), stop=stop)
    stopper.join()
    assert not pulse.beats()


def test_files_can_be_left_open_for_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        code = f"import os; os.fstat({lock.fileno()})"
        assert run(code, keep_open=[lock.fileno()]) == 0
        assert run(code, log=tmp_path / "log") == 1


def test_it_ends_with_its_caller(pulse: Pulse) -> None:
    module = "armory_skelevision.evaluation.process"
    code = f"import os; from {module} import run_process; run_process({pulse.command!r}, dict(os.environ))"
    caller = subprocess.Popen([sys.executable, "-c", code])
    pulse.wait()
    assert pulse.beats()
    caller.kill()
    caller.wait()
    deadline = time.monotonic() + 5
    while pulse.beats():
        assert time.monotonic() < deadline
