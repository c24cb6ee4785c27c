"""Bundles made by hand, as teams pack them and as attackers would."""

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from armory_skelevision import __version__
from armory_skelevision.evaluation.configs import DOCKER_IMAGE, build_config, format_config

WEIGHTS = "weights/team_mtl.safetensors"


def make_config(**changes: Any) -> dict[str, Any]:
    """walkers_mtl_patch.json with the team's weights; sections are updated, anything else replaced."""
    config = build_config("walkers", "mtl")
    config["model"]["weights_file"] = Path(WEIGHTS).name
    for name, value in changes.items():
        section = config.get(name)
        config[name] = {**section, **value} if isinstance(section, dict) and isinstance(value, dict) else value
    return config


def make_files(
    data: bytes, config: dict[str, Any] | None = None, name: str = WEIGHTS, **changes: Any
) -> dict[str, bytes]:
    """The files of a bundle whose manifest is right, but for what is changed in it."""
    files = {"config.json": format_config(config or make_config()).encode(), name: data}
    manifest = {
        "format": "armory_skelevision submission 1",
        "team": "team",
        "version": __version__,
        "docker_image": DOCKER_IMAGE,
        "external_github_repo": None,
        "files": {file: {"bytes": len(held), "sha256": sha256(held).hexdigest()} for file, held in files.items()},
        "weights": {name: read_header(data)},
        "claimed": None,
    }
    return {**files, "manifest.json": json.dumps({**manifest, **changes}).encode()}


def read_header(weights: bytes) -> dict[str, str]:
    """What weights say of themselves; nothing where they are none."""
    try:
        size = int.from_bytes(weights[:8], "little")
        return json.loads(weights[8 : 8 + size]).get("__metadata__", {})
    except ValueError:
        return {}


def make_tar(entries: Sequence[tuple[tarfile.TarInfo | str, bytes]], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar archive of whatever entries."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=kind) as archive:
        for header, data in entries:
            header = tarfile.TarInfo(header) if isinstance(header, str) else header
            if header.isreg():
                header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return packed.getvalue()


def compress(data: bytes) -> bytes:
    """What comes of gzip."""
    return gzip.compress(data, compresslevel=1, mtime=0)


def bundle(files: dict[str, bytes], *more: tuple[tarfile.TarInfo | str, bytes]) -> bytes:
    """A bundle of files, and of further entries before them."""
    return compress(make_tar([*more, *files.items()]))


def make_polyglot() -> bytes:
    """Weights that are a tar archive too: their header's strings are where tar has its fields."""
    head = bytearray(b"        " + b'{"__metadata__":{"a":"')
    head += b" " * (512 - len(head))
    head[100:108], head[108:116], head[116:124] = b"0000644 ", b"0000000 ", b"0000000 "
    head[124:136], head[136:148], head[156:157] = b"00000000000 ", b"00000000000 ", b"0"
    tail = b'"},"t":{"data_offsets":[0,4],"dtype":"F32","shape":[1]}}'
    tail += b" " * (-(len(head) - 8 + len(tail)) % 8)
    head[:8] = (len(head) - 8 + len(tail)).to_bytes(8, "little")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o  " % sum(head)
    return bytes(head + tail) + bytes(4)
