"""The weights that come with the package, and their way into the folder where ARMORY looks for weights.

ARMORY looks up a config's `weights_file` in its `saved_model_dir`, so the packaged files are copied there. A file of
the same name that was not installed from here is kept and used, with a warning. To tell the two apart, a small file
beside them lists the hashes of all files that were ever installed from here.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from armory_skelevision.io import atomic_write, hash_file, printable, read_text
from armory_skelevision.validation import MissingFileError

PACKAGED_WEIGHTS = Path(__file__).parent / "pretrained"
"""The folder of the packaged `.safetensors` files."""

LEDGER = ".armory_skelevision_weights"
"""Name of the list of hashes, one per line, in the folder of the installed files."""


def packaged_weights(name: str) -> Path:
    """The path of a packaged weights file.

    Args:
        name: Such as "siamrpn_alex_mtl.safetensors".

    Raises:
        MissingFileError: If no such file is packaged.
    """
    path = PACKAGED_WEIGHTS / name
    if not path.is_file():
        known = sorted(other.name for other in PACKAGED_WEIGHTS.glob("*.safetensors"))
        raise MissingFileError(name, f"packaged weights, one of {', '.join(known)}", "no such file")
    return path


def install_weights(folder: str | os.PathLike[str], packaged: str | os.PathLike[str] = PACKAGED_WEIGHTS) -> list[Path]:
    """Copy the packaged weights into a folder, and return the files that were written.

    A missing file is copied, an equal one left alone, and one that an earlier version of this package installed is
    replaced. Any other file of the same name is kept.

    Args:
        folder: Where to; made if need be.
        packaged: Where from.

    Warns:
        UserWarning: For each file of a packaged name that differs and was not installed from here.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    ledger = target / LEDGER
    written = []
    for source in sorted(Path(packaged).glob("*.safetensors")):
        destination = target / source.name
        wanted = hash_file(source)
        found = hash_file(destination) if destination.is_file() else None
        if found == wanted:
            continue
        installed = set(read_text(ledger).split()) if ledger.is_file() else set()
        if found is not None and found not in installed:
            warnings.warn(
                f"{printable(destination)} is not the file that comes with armory_skelevision, nor an earlier one: "
                f"it is kept and will be used. Delete or rename it to get the packaged weights",
                stacklevel=2,
            )
            continue
        # The hash is written first: after an interruption in between, the file is still recognised as installed.
        atomic_write(ledger, "".join(f"{entry}\n" for entry in sorted(installed | {wanted})).encode())
        atomic_write(destination, source.read_bytes())
        written.append(destination)
    return written
