"""Weights that can be fetched: where they are published, and under which terms."""

from __future__ import annotations

from armory_skelevision.io.remote_file import RemoteFile

# Names, Google Drive ids, training data and licence: MODEL_ZOO.md of github.com/STVIR/pysot. No hashes are published.
# The form of the download's address is that of github.com/wkentaro/gdown.
_PYSOT = {
    "siamrpn_alex_dwxcorr": "1t62x56Jl7baUzPTo0QrC4jJnwvPZm-2m",
    "siamrpn_alex_dwxcorr_otb": "1gCpmR85Qno3C-naR3SLqRNpVfU7VJ2W0",
}
WEIGHTS = {
    name: RemoteFile(
        name=name,
        file=f"{name}.pth",
        url=f"https://drive.google.com/uc?id={drive_id}",
        page=f"https://drive.google.com/open?id={drive_id}",
        licence="CC BY-SA 3.0",
        about="PySOT's model zoo; trained on VID, YouTube-BB, COCO and ImageNet-Det",
    )
    for name, drive_id in _PYSOT.items()
}
"""PySOT's checkpoints of the network that this package has."""
