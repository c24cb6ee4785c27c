"""Bundles as files: a `.tar.gz` with a few plain files, written reproducibly and read with suspicion.

Python's own extraction is not used. It follows whatever a header contains (links, devices, long names in headers of
their own, sparse files); here each header is checked by itself, and anything but plain files of known names is refused.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from armory_skelevision.evaluation.check import Finding
from armory_skelevision.io import atomic_write, open_regular
from armory_skelevision.validation import InvalidValueError

CONFIG = "config.json"
MANIFEST = "manifest.json"
WEIGHTS = "weights"
"""Name of the folder of the weights."""

MAX_FILES = 4
MAX_TEXT = 256 * 1024
MAX_WEIGHTS = 512 * 1024**2
MAX_TOTAL = 1024**3
MAX_RATIO = 50
"""Unpacked bytes per packed byte. Weights can hardly be compressed; a bomb grows a thousandfold."""

FREE_RATIO = 4 * 1024**2
"""Unpacked bytes up to which the ratio is not checked."""

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
_BUNDLE = "bundle"
"""Key of what is wrong with a bundle as a whole."""


class RefusedError(InvalidValueError):
    """A bundle that is not used; ``key`` names the file of it that is wrong.

    Attributes:
        findings: All that is wrong with its config; empty if it was refused for something else.
    """

    findings: tuple[Finding, ...] = ()


def write_archive(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle of files, whole or not at all; a file at ``path`` is replaced.

    Equal files give equal bytes: no times, no owners, one order.
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


def extract_archive(path: Path, folder: Path) -> None:
    """Write a bundle's files into a folder, and nothing anywhere else.

    Args:
        path: The bundle, which is not trusted.
        folder: Absent. If the bundle is refused, it has those of the files that came before what is wrong.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is no file, or larger than `MAX_TOTAL`.
        RefusedError: If the file is not a bundle.
    """
    folder.mkdir()
    names: list[str] = []
    with open_regular(path, MAX_TOTAL) as raw:
        stream = _Stream(raw)
        for header in _read_headers(stream):
            _check_header(header, names)
            target = folder / header.name
            target.parent.mkdir(exist_ok=True)
            with target.open("xb") as file:
                file.writelines(stream.read_chunks(header.size))
            stream.read(-header.size % _BLOCK)
            names.append(header.name)
        while rest := stream.read_some():
            if rest.strip(b"\0"):
                raise RefusedError(_BUNDLE, "nothing after the end of the archive", "more data")


def _read_headers(stream: _Stream) -> Iterator[tarfile.TarInfo]:
    while (block := stream.read(_BLOCK)).strip(b"\0"):
        try:
            yield tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise RefusedError(_BUNDLE, "a tar archive", f"something else, or a damaged one ({error})") from error


def _check_header(header: tarfile.TarInfo, before: list[str]) -> None:
    name = header.name
    plain = header.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    limit = MAX_WEIGHTS if name.startswith(WEIGHTS) else MAX_TEXT
    for wrong, expected, got in (
        (not plain, "a plain file", _KINDS.get(header.type, "another")),
        (re.match(r"/|[A-Za-z]:", name), "a name in the bundle", "an absolute path"),
        (".." in re.split(r"[/\\]", name), "a name in the bundle", "a path that leads out of it"),
        (name.lower().endswith(_RUNS_CODE), "weights as .safetensors", "a file that may run code when it is read"),
        (not _NAME.fullmatch(name), f"{CONFIG}, {MANIFEST} or {WEIGHTS}/NAME.safetensors", "another name"),
        (name.lower() in map(str.lower, before), "each file once", "a second one"),
        (len(before) == MAX_FILES, f"at most {MAX_FILES} files", "more"),
        (not 0 < header.size <= limit, f"1 to {limit} bytes", str(header.size)),
    ):
        if wrong:
            raise RefusedError(name, expected, got)


class _Stream:
    """The unpacked data of a compressed file, up to the limits."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")
        self._count = 0

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes."""
        return b"".join(self.read_chunks(size))

    def read_chunks(self, size: int) -> Iterator[bytes]:
        """Read exactly ``size`` bytes, a part at a time."""
        while size:
            part = self.read_some(min(size, _CHUNK))
            if not part:
                raise RefusedError(_BUNDLE, f"{size} more bytes", "a truncated archive")
            yield part
            size -= len(part)

    def read_some(self, size: int = _CHUNK) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        try:
            part = self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RefusedError(_BUNDLE, "a .tar.gz", f"something else, or a damaged one ({error})") from error
        self._count += len(part)
        if self._count > MAX_TOTAL:
            raise RefusedError(_BUNDLE, f"at most {MAX_TOTAL} bytes when unpacked", "more")
        if self._count > FREE_RATIO and self._count > MAX_RATIO * self._raw.tell():
            expected = f"at most {MAX_RATIO} unpacked bytes per packed byte"
            raise RefusedError(_BUNDLE, expected, "more, as in a decompression bomb")
        return part
