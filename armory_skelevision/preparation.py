"""What a run under ARMORY needs before its model loads, in the function that our configs name as `user_init`."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from armory_skelevision.pretrained import PACKAGED_WEIGHTS, install_weights


def prepare_run() -> None:
    """Put the packaged weights into ARMORY's `saved_model_dir`, and an `ffmpeg` within reach of its exporter.

    ARMORY calls this in the process of the evaluation, with its paths already set for Docker or for the host.
    """
    from armory import paths

    folders = paths.runtime_paths()
    install_weights(folders.saved_model_dir)
    if shutil.which("ffmpeg") is None:
        provide_ffmpeg(folders.tmp_dir)


def saved_model_dir() -> Path:
    """The folder where ARMORY looks for a config's `weights_file` on this machine."""
    from armory import paths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ARMORY's advice to configure it; its default folder serves too
        return Path(paths.HostPaths().saved_model_dir)


def find_weights(name: str | os.PathLike[str]) -> Path:
    """A weights file by its path, by its name in ARMORY's `saved_model_dir`, or by that of a packaged one.

    Raises:
        FileNotFoundError: If there is no such file; the message says where it was looked for.
    """
    path = Path(name)
    if path.is_file():
        return path
    from armory import paths

    folder = Path(paths.runtime_paths().saved_model_dir)
    # Before its first run, ARMORY's folder has none of the packaged ones.
    for place in (folder, PACKAGED_WEIGHTS):
        if (place / path).is_file():
            return place / path
    raise FileNotFoundError(
        f"no weights file {path}: it is neither at {path.absolute()} nor in ARMORY's saved_model_dir, {folder}, "
        "and none of that name comes with the package"
    )


def record_result(name: str, value: Any) -> None:
    """Add a value to the list of that name in the result file of ARMORY's run; outside of one, nothing happens.

    Args:
        name: The key under "results".
        value: Anything that JSON can hold.
    """
    # Whoever uses ART alone has not imported ARMORY, and need not wait for it here.
    instrument = sys.modules.get("armory.instrument")
    if instrument is not None and instrument.get_hub().default_writers:
        instrument.get_hub().record(name, value)


def provide_ffmpeg(folder: str | os.PathLike[str]) -> Path:
    """Let this process call the program that `imageio-ffmpeg` carries by the name `ffmpeg`, as ARMORY's exporter does.

    The program has another name in its wheel, so a link of the right name is made and its folder added to `PATH`.

    Args:
        folder: Where the link goes, in a folder of its own.

    Returns:
        The link.
    """
    import imageio_ffmpeg

    program = Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    # One link per program: environments that share ARMORY's folders do not get into each other's way.
    link = Path(folder) / f"ffmpeg-{hashlib.sha256(bytes(program)).hexdigest()[:12]}" / "ffmpeg"
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(program)
    os.environ["PATH"] = os.pathsep.join([str(link.parent), os.environ.get("PATH", os.defpath)])
    return link
