"""Limits of pickled checkpoints, checked before they are read: a few bytes of a pickle can ask for endless work.

PyTorch's reader runs no code, but it builds whatever a pickle describes: tuples of twice the tuple before, forty times
over, take 2⁴⁰ steps when they become the key of a dictionary. Here pickles are parsed, and nothing is built.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from armory_skelevision.io import open_regular, printable
from armory_skelevision.validation import InvalidValueError

MAX_PICKLE = 2**20
"""Bytes of a pickle without its tensors. Checkpoints of this package's networks, with optimisers, have 0.1 MB."""

MAX_WORK = 50_000_000
"""Items and characters that a pickle hands to functions and containers; what is handed on again counts again."""

_LEGACY_PICKLES = 5
"""Before PyTorch 1.6: a magic number, the version, sizes of numbers, the checkpoint, and the names of its storages."""

_PUT, _GET = ("BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"), ("BINGET", "LONG_BINGET", "GET")
_CHANGING = ("SETITEM", "SETITEMS", "APPEND", "APPENDS", "BUILD")

Size = list[int]
"""The number of items of an object, in a list, since objects that the pickle still refers to grow."""


def check_pickles(path: Path, max_bytes: int) -> None:
    """Refuse a PyTorch file that could take endless work or memory; what is damaged is left to its reader.

    Args:
        path: A ``.pth``, ``.pt`` or ``.ckpt`` file.
        max_bytes: How many bytes the file and its members may have.

    Raises:
        InvalidValueError: If a limit is exceeded.
    """
    with open_regular(path, max_bytes) as file:
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        try:
            for pickled in _open_members(file, path, max_bytes) if is_zip else [file] * _LEGACY_PICKLES:
                _check_pickle(pickled, path)
        except InvalidValueError:
            raise
        except Exception:  # of a damaged file the parser, too, can raise any kind of error
            return


def _open_members(file: IO[bytes], path: Path, max_bytes: int) -> Iterator[IO[bytes]]:
    """The pickles in a zip archive."""
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise InvalidValueError(printable(path), "uncompressed members, as PyTorch writes them", "compressed ones")
    if unpacked > max_bytes:
        raise InvalidValueError(printable(path), f"at most {max_bytes} bytes in its members", f"{unpacked} bytes")
    for member in members:
        if member.filename.endswith(".pkl"):
            if member.file_size > MAX_PICKLE:
                raise _too_long(path)
            yield archive.open(member)


def _check_pickle(file: IO[bytes], path: Path) -> None:
    """Add up what a pickle would have its reader do."""
    stack: list[Size] = []
    marks: list[int] = []
    memo: dict[Any, Size] = {}
    start, work = file.tell(), 0
    for opcode, argument, position in pickletools.genops(file):
        if opcode.name == "MARK":
            marks.append(len(stack))
        elif opcode.name in _PUT:
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif opcode.name in _GET:
            stack.append(memo[argument])
        else:
            work += _run(opcode, argument, stack, marks)
        if work > MAX_WORK:
            raise InvalidValueError(printable(path), f"a pickle of at most {MAX_WORK} items", "more, as in a bomb")
        if (position or 0) - start > MAX_PICKLE:
            raise _too_long(path)


def _too_long(path: Path) -> InvalidValueError:
    return InvalidValueError(printable(path), f"a pickle of at most {MAX_PICKLE} bytes", "a longer one")


def _run(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Size], marks: list[int]) -> int:
    """Carry out an operation on sizes instead of objects; the size of all that it takes from the stack."""
    before = opcode.stack_before
    if pickletools.markobject in before:
        first = marks.pop() - before.index(pickletools.markobject)
    else:
        first = len(stack) - len(before)
    taken = stack[first:]
    del stack[first:]
    if opcode.name in _CHANGING:
        changed, *added = taken
        count = sum(size for (size,) in added)
        changed[0] += count
        stack.append(changed)
        return count
    count = sum(size for (size,) in taken)
    length = len(argument) if isinstance(argument, str | bytes) else 0
    stack.extend([1 + count + length] for _ in opcode.stack_after)
    return count
