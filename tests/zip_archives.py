"""Small zip archives, and what lies in a folder."""

import io
import os
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile


def pack(members: dict[str, bytes]) -> bytes:
    """A zip archive with the given files."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pack_sequence(name: str) -> bytes:
    """An archive of one OTB sequence, with the extra files that macOS adds."""
    noise = {f"__MACOSX/{name}/._a": b"x", f"{name}/": b""}
    return pack({f"{name}/groundtruth_rect.txt": b"1,1,9,9\n", f"{name}/img/0001.jpg": os.urandom(2000)} | noise)


def tree(folder: Path) -> set[str]:
    """All files below a folder, except hidden ones."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
