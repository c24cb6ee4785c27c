"""Bundles as files: a `.tar.gz` with a few plain files, written the same each time, read with suspicion.

Python's own extraction is not used. It follows whatever a header says (links, devices, long names in headers of their
own, sparse files); here a header is looked at alone, and all but plain files of known names end the reading.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from armory_skelevision.io import atomic_write

CONFIG = "config.json"
MANIFEST = "manifest.json"
WEIGHTS = "weights"
"""Folder of the weights."""

MAX_FILES = 4
MAX_TEXT = 256 * 1024
MAX_WEIGHTS = 512 * 1024**2
MAX_TOTAL = 1024**3
MAX_RATIO = 50
"""Bytes out per byte in. Weights hardly shrink; a bomb grows a thousandfold."""

FREE_RATIO = 4 * 1024**2
"""Bytes that may come out before their ratio counts."""

_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1024**2
_NAME = re.compile(rf"{CONFIG}|{MANIFEST}|{WEIGHTS}/[A-Za-z0-9][A-Za-z0-9._-]{{0,79}}\.safetensors")
_RUNS_CODE = (".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".bin", ".py", ".pyc", ".so", ".sh")
_KINDS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}


class RefusedError(ValueError):
    """A bundle that is not used, and why."""


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle, whole or not at all. Equal files give equal bytes: no times, no owners, one order.

    Args:
        path: The ``.tar.gz``; its folder must exist. A file that is there is replaced.
        files: Contents by name.
    """
    packed = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(files):
            header = tarfile.TarInfo(name)  # mode 0644, owner 0, time 0
            header.size = len(files[name])
            archive.addfile(header, io.BytesIO(files[name]))
    atomic_write(path, packed.getvalue())


def extract_archive(path: Path, folder: Path) -> list[str]:
    """Write a bundle's files into a folder, all of them or none, and nothing anywhere else.

    Args:
        path: The bundle, from whomever.
        folder: Absent or empty; made if need be.

    Returns:
        The files' names.

    Raises:
        FileExistsError: If the folder holds anything.
        RefusedError: For whatever is not a bundle, with the reason.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty: name a new folder")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("rb") as raw:
            return _extract(_Stream(raw), folder)
    except BaseException:
        empty_folder(folder)
        if made:
            folder.rmdir()
        raise


def empty_folder(folder: Path) -> None:
    """Delete all that a folder holds."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _extract(stream: _Stream, folder: Path) -> list[str]:
    names: list[str] = []
    for header in _read_headers(stream):
        _check_header(header, names)
        target = folder / header.name
        target.parent.mkdir(exist_ok=True)
        with target.open("xb") as file:
            for chunk in stream.read_chunks(header.size):
                file.write(chunk)
        stream.read(-header.size % _BLOCK)
        names.append(header.name)
    while rest := stream.read_some():
        if rest.strip(b"\0"):
            raise RefusedError("something follows the end of the archive")
    return names


def _read_headers(stream: _Stream) -> Iterator[tarfile.TarInfo]:
    while (block := stream.read(_BLOCK)).strip(b"\0"):
        try:
            yield tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise RefusedError(f"it is no tar archive, or a damaged one ({error})") from error


def _check_header(header: tarfile.TarInfo, before: list[str]) -> None:
    name = header.name
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise RefusedError(f"{name!r} is {_KINDS.get(header.type, 'of an unusual kind')}; expected plain files only")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise RefusedError(f"{name!r} is an absolute path")
    if ".." in re.split(r"[/\\]", name):
        raise RefusedError(f"{name!r} leads out of the folder")
    if name.lower().endswith(_RUNS_CODE):
        raise RefusedError(f"{name!r} may run code when it is read; expected weights as .safetensors")
    if not _NAME.fullmatch(name):
        expected = f"{CONFIG}, {MANIFEST}, {WEIGHTS}/NAME.safetensors, NAME of letters, digits and .-_"
        raise RefusedError(f"{name!r} has no place in a bundle; expected {expected}")
    if name.lower() in map(str.lower, before):
        raise RefusedError(f"{name!r} is there twice")
    if len(before) == MAX_FILES:
        raise RefusedError(f"it holds more than {MAX_FILES} files")
    limit = MAX_WEIGHTS if name.startswith(WEIGHTS) else MAX_TEXT
    if not 0 < header.size <= limit:
        raise RefusedError(f"{name!r} is said to have {header.size} bytes; expected 1 to {limit}")


class _Stream:
    """What comes out of a compressed file, as long as it is not too much.

    Args:
        raw: The compressed file.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")
        self._count = 0

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        parts = []
        while size:
            part = self.read_some(min(size, _CHUNK))
            if not part:
                raise RefusedError("it ends too soon: truncated")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_chunks(self, size: int) -> Iterator[bytes]:
        """The same, a part at a time."""
        for start in range(0, size, _CHUNK):
            yield self.read(min(_CHUNK, size - start))

    def read_some(self, size: int = _CHUNK) -> bytes:
        """Up to so many bytes; none at the end."""
        try:
            part = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RefusedError(f"it is no .tar.gz, or a damaged one ({error})") from error
        self._count += len(part)
        if self._count > MAX_TOTAL:
            raise RefusedError(f"more than {MAX_TOTAL} bytes come out of it")
        if self._count > FREE_RATIO and self._count > MAX_RATIO * self._raw.tell():
            raise RefusedError(f"it grows more than {MAX_RATIO}-fold when unpacked, as bombs do and weights do not")
        return part
