"""Published weights: where they are, under which terms, and how they are fetched."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from armory_skelevision.io import atomic_write, hash_file, printable, read_bytes
from armory_skelevision.io.fetch import RemoteFile, fetch_file
from armory_skelevision.validation import InvalidValueError

# Names, Google Drive ids, training data and licence: MODEL_ZOO.md of github.com/STVIR/pysot. No hashes are published.
_PYSOT = {
    "siamrpn_alex_dwxcorr": "1t62x56Jl7baUzPTo0QrC4jJnwvPZm-2m",
    "siamrpn_alex_dwxcorr_otb": "1gCpmR85Qno3C-naR3SLqRNpVfU7VJ2W0",
    "siamrpn_r50_l234_dwxcorr": "1Q4-1563iPwV6wSf_lBHDj5CPFiGSlEPG",
    "siamrpn_r50_l234_dwxcorr_otb": "1Cx_oHu6o0gNeH7F9zZrgevfAGdyWC4D5",
    "siamrpn_mobilev2_l234_dwxcorr": "1JB94pZTvB1ZByU-qSJn4ZAIfjLWE5EBJ",
}


def _address(name: str, drive_id: str) -> str:
    """The address of a download, in the forms of github.com/wkentaro/gdown.

    Google Drive scans files of up to 100 MB for viruses, and answers with a question before it sends larger ones.
    """
    if name.startswith("siamrpn_r50"):
        return f"https://drive.usercontent.google.com/download?id={drive_id}&export=download&confirm=t"
    return f"https://drive.google.com/uc?id={drive_id}"


WEIGHTS = {
    name: RemoteFile(
        name=name,
        file=f"{name}.pth",
        url=_address(name, drive_id),
        page=f"https://drive.google.com/open?id={drive_id}",
        licence="CC BY-SA 3.0",
        about="PySOT's model zoo; trained on VID, YouTube-BB, COCO and ImageNet-Det",
    )
    for name, drive_id in _PYSOT.items()
}
"""PySOT's checkpoints of the networks of this package."""


def architecture(name: str) -> str:
    """The architecture that one of `WEIGHTS` is for; see `weights.architectures`."""
    return "siamrpn_alex" if name.startswith("siamrpn_alex") else name


def fetch_weights(name: str, folder: Path, origin: str | None = None) -> Path:
    """Fetch one of PySOT's checkpoints into a folder and check it.

    Args:
        name: One of `WEIGHTS`.
        folder: Where to; made if need be.
        origin: A mirror, or a local file or folder; None for the published address.

    Raises:
        OSError: If the file cannot be downloaded.
        ValueError: If the name is unknown, the downloaded file holds no weights that fit, or another file of that name
            exists.
    """
    if name not in WEIGHTS:
        raise InvalidValueError("weights", f"one of {', '.join(WEIGHTS)}", printable(name))
    source = WEIGHTS[name]
    found = fetch_file(source, folder, origin, partial(_check, name))
    target = folder / source.file
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # that of another process that fetches the same
        if not target.is_file():
            atomic_write(target, read_bytes(found), new=True)
    if hash_file(target) != hash_file(found):
        same = f"the same file as {printable(found)}"
        raise InvalidValueError(printable(target), same, "another one", "delete or rename it first")
    return target


def _check(name: str, path: Path) -> None:
    """Refuse a file that holds no weights for the network of the published ones of that name."""
    from armory_skelevision.weights.loading import load_siamrpn  # imports PyTorch, which `resolve` does not need

    network = load_siamrpn(path)
    if network.architecture != architecture(name):
        raise InvalidValueError(printable(path), f"weights of {architecture(name)}", f"those of {network.architecture}")
