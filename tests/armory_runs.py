"""ARMORY's evaluation of a config in this process: what `armory run` starts, without ten seconds of imports.

What `armory run` promises by itself (options, exit codes, messages, Ctrl-C) is tested on real processes, in
integration/test_armory_run.py.
"""

import uuid
import warnings
from pathlib import Path
from typing import Any

from armory_skelevision.evaluation.configs import format_config


def armorys_folder(name: str) -> Path:
    """One of ARMORY's folders of this machine, such as "output_dir"."""
    from armory.paths import HostPaths

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as below
        return Path(getattr(HostPaths(), name))


def evaluate(config: dict[str, Any], folder: Path, batches: int | None = None, skip_attack: bool = False) -> Path:
    """Evaluate a config as `armory run --no-docker` would, and return the result file.

    Args:
        config: ARMORY's config.
        folder: Where it may be written to.
        batches: Videos, or all if None.
        skip_attack: As the option of that name.
    """
    from armory import paths
    from armory.instrument import ResultsLogWriter, del_globals
    from armory.scenarios import main

    name = uuid.uuid4().hex
    path = folder / f"{name}.json"
    path.write_text(format_config({**config, "eval_id": name}))
    write = ResultsLogWriter._write  # which the config's hook changes for the process
    paths.set_mode("host", set_art_path=False)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="armory.paths")  # that there is no configuration
            main.run_config(str(path), num_eval_batches=batches, skip_benign=False, skip_attack=skip_attack)
    finally:
        paths.set_mode("docker", set_art_path=False)
        ResultsLogWriter._write = write
        del_globals()
    (result,) = (armorys_folder("output_dir") / name).glob("*.json")
    return result
