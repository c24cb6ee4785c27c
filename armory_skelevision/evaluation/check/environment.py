"""The environment of a check: that of `armory run --no-docker`, without its messages."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def as_in_a_run() -> Iterator[None]:
    """Use ARMORY's folders of the host and modules of the working directory, and print nothing; restored afterwards.

    ARMORY and TensorFlow print messages as soon as they are imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    modules, disabled, collects = list(sys.path), logging.root.manager.disable, gc.isenabled()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from armory import paths

        mode = "host" if paths.NO_DOCKER else "docker"
        logging.disable(logging.WARNING)
        sys.path.insert(0, os.getcwd())
        paths.set_mode("host", set_art_path=False)
        gc.disable()  # little of what imports make is garbage, and looking for it takes a sixth of a check's time
        try:
            yield
        finally:
            paths.set_mode(mode, set_art_path=False)
            sys.path[:] = modules
            logging.disable(disabled)
            if collects:
                gc.enable()
