"""Where the file is that a `weights_file` names."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS


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
