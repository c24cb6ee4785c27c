"""Child processes that hear Ctrl-C wherever the tests were started."""

import signal


def hear_ctrl_c() -> None:
    """For ``preexec_fn``: who is started in a shell's background inherits deafness to SIGINT, and so do all below."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
