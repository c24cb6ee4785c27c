"""The process between a caller and the command that it runs, as a script: `guard.py BYTES COMMAND…`.

It ends the command when its caller is gone, however that ended: the caller holds the writing end of the pipe that is
this process's standard input. Once the pipe closes, the whole process group is killed, this process included. Only
Python's own library is imported, so that it starts at once.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys


def main(max_bytes: int, command: list[str]) -> int:
    """Run a command until it ends or standard input closes.

    Args:
        max_bytes: Most memory for the data of each process; 0 for no limit.
        command: Program and arguments.

    Returns:
        The command's exit code; 128 and more stand for a signal, as in a shell.
    """
    if max_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (max_bytes, max_bytes))
    # What the caller has left open, such as a lock, stays open until the command has ended.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)
    while process.poll() is None:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            os.killpg(0, signal.SIGKILL)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
