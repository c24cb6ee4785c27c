import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from armory_skelevision.io import locked


def test_a_folder_is_made_and_locked_once(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    with locked(folder):
        with pytest.raises(BlockingIOError) as caught, locked(folder):
            pass
        assert caught.value.filename == str(folder)
    with locked(folder):
        pass


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from armory_skelevision.io import locked\n"
    code += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked(tmp_path):
            pass
        os.kill(process.pid, signal.SIGKILL)
    with locked(tmp_path):
        pass
