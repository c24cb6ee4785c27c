"""Reads files that may be anything: bounded, from regular files only, with errors that name the file."""

from __future__ import annotations

import codecs
import json
import math
import os
import stat
from collections import Counter
from io import BufferedReader
from pathlib import Path
from typing import Any

from armory_skelevision.validation import InvalidValueError, MissingFileError

MAX_BYTES = 256 * 2**20
"""What a file may have unless its reader says otherwise, in bytes: many times what any text of this package has."""

MAX_LINE = 4000
"""Characters of a message."""

MAX_DEPTH = 50
"""Levels of objects and lists within each other that configs, grids and records may have."""

_BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def open_regular(
    path: str | os.PathLike[str], max_bytes: int | None = None, inside: str | os.PathLike[str] | None = None
) -> BufferedReader:
    """Open a regular file of bounded size for reading. Pipes and devices are refused instead of being waited for.

    Args:
        path: The file.
        max_bytes: How many bytes it may have; None for any number.
        inside: A folder that the file must be in, whatever links the path goes through; None for any place.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is no regular file, cannot be opened, is larger, or is outside of the folder.
    """
    key = printable(path)
    try:
        # a pipe without a writer would block the call
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(key, "a file", "none") from None
    except IsADirectoryError:
        raise InvalidValueError(key, "a file", "a folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from None
    try:
        _check_opened(path, os.fstat(file.fileno()), max_bytes, inside)
    except OSError as error:
        file.close()
        raise _unreadable(path, error) from None
    except InvalidValueError:
        file.close()
        raise
    return file


def read_bytes(
    path: str | os.PathLike[str], max_bytes: int = MAX_BYTES, inside: str | os.PathLike[str] | None = None
) -> bytes:
    """Read a file that `open_regular` opens, with its errors; also refused is a file that cannot be read."""
    with open_regular(path, max_bytes, inside) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = file.read(min(max_bytes, size) + 1)  # reading claims memory for all that it may read
            if len(data) > size:  # a file that grows, or states no size
                data += file.read(max_bytes + 1 - len(data))
        except OSError as error:
            raise _unreadable(path, error) from None
    if len(data) > max_bytes:
        raise InvalidValueError(printable(path), f"at most {max_bytes} bytes", f"{len(data)} bytes or more")
    return data


def read_tail(path: str | os.PathLike[str], max_bytes: int, inside: str | os.PathLike[str] | None = None) -> str:
    """The end of a text file such as a log, whatever its size and encoding; otherwise as `read_bytes`."""
    with open_regular(path, inside=inside) as file:
        try:
            file.seek(max(0, os.fstat(file.fileno()).st_size - max_bytes))
            return file.read(max_bytes).decode("utf-8", "replace")
        except OSError as error:
            raise _unreadable(path, error) from None


def read_text(
    path: str | os.PathLike[str], max_bytes: int = MAX_BYTES, inside: str | os.PathLike[str] | None = None
) -> str:
    """Read text in UTF-8, or in UTF-16 if it begins with a byte order mark; otherwise as `read_bytes`."""
    data = read_bytes(path, max_bytes, inside)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        got = f"byte {data[error.start]:#04x} at position {error.start}"
        raise InvalidValueError(printable(path), "text in UTF-8", got, "save the file as UTF-8") from None


def list_folder(path: str | os.PathLike[str]) -> list[Path]:
    """The entries of a folder, sorted by name.

    Raises:
        MissingFileError: If there is none.
        InvalidValueError: If it is a file, or cannot be read.
    """
    try:
        return sorted(Path(path).iterdir())
    except FileNotFoundError:
        raise MissingFileError(printable(path), "a folder", "none") from None
    except NotADirectoryError:
        raise InvalidValueError(printable(path), "a folder", "a file") from None
    except (OSError, ValueError) as error:
        got = str(getattr(error, "strerror", error))
        raise InvalidValueError(printable(path), "a folder that can be read", got) from None


def read_json(
    path: str | os.PathLike[str],
    max_bytes: int = MAX_BYTES,
    inside: str | os.PathLike[str] | None = None,
    allow_nan: bool = False,
) -> Any:
    """Read a JSON file as `parse_json` does; otherwise as `read_text`."""
    text = read_text(path, max_bytes, inside)
    try:
        return parse_json(text, allow_nan)
    except ValueError as error:
        raise InvalidValueError(printable(path), "JSON", str(error)) from None


def read_object(
    path: str | os.PathLike[str],
    max_bytes: int = MAX_BYTES,
    inside: str | os.PathLike[str] | None = None,
    allow_nan: bool = False,
) -> dict[str, Any]:
    """Read a JSON file that must hold an object; otherwise as `read_json`."""
    content = read_json(path, max_bytes, inside, allow_nan)
    if not isinstance(content, dict):
        raise InvalidValueError(printable(path), "a JSON object", f"JSON of type {type(content).__name__}")
    return content


def parse_json(text: str | bytes, allow_nan: bool = False) -> Any:
    """Parse JSON, strictly: what Python's reader takes in silence, or misreads, is refused.

    Args:
        text: Text, or its bytes in UTF-8.
        allow_nan: Whether NaN and infinity are numbers, as in files that Python or ARMORY wrote.

    Raises:
        ValueError: If it is not JSON, with the reason and the place; also for a key that occurs twice in one object,
            NaN and infinity unless allowed, numbers too large for 64 bits, halves of surrogate pairs, and objects
            nested too deeply.
    """
    try:
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        value = json.loads(
            plain,
            object_pairs_hook=_refuse_duplicates,
            parse_constant=float if allow_nan else _refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
        )
        if "\\u" in plain:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair, which is no character") from None
    return value


def check_depth(key: str, value: Any) -> None:
    """Refuse a value of JSON that is nested deeper than `MAX_DEPTH` (`InvalidValueError`), which no recursion survives.

    Args:
        key: What it is, for the message.
        value: Any value that `parse_json` gave.
    """
    level = [value] if isinstance(value, dict | list) else [[]]
    for _ in range(MAX_DEPTH):
        inner = (each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer))
        level = [each for each in inner if isinstance(each, dict | list)]
        if not level:
            return
    raise InvalidValueError(key, f"at most {MAX_DEPTH} levels", "more")


def printable(text: str | os.PathLike[str], keep: str = "") -> str:
    """A path or other text as any terminal or browser shows it, in one line.

    Line breaks, control characters, marks that change the direction of writing, and bytes that are no UTF-8 are shown
    as escapes.

    Args:
        text: The path or text.
        keep: Characters to leave as they are, such as line breaks.
    """
    decoded = os.fsdecode(text)
    if decoded.isprintable():
        return decoded
    return "".join(each if each.isprintable() or each in keep else _escape(each) for each in decoded)


def message(text: str) -> str:
    """A message in one `printable` line of bounded length; of a longer one the middle is left out."""
    line = " ".join(text.split())
    if len(line) > MAX_LINE:  # the ends say what it is about, and what to do
        line = f"{line[: MAX_LINE // 2]} … {line[-MAX_LINE // 2 :]}"
    return printable(line)


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path below a folder leads out of it, by a link or by "..". Missing files lead nowhere."""
    return not path.resolve().is_relative_to(folder.resolve())


def _check_opened(
    path: str | os.PathLike[str], status: os.stat_result, max_bytes: int | None, inside: str | os.PathLike[str] | None
) -> None:
    key = printable(path)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidValueError(key, "a regular file", "a pipe, a device or a socket")
    # the opened file is compared, too: a link may be put in the file's place at any moment
    if inside is not None and not (
        (real := Path(path).resolve()).is_relative_to(Path(inside).resolve())
        and os.path.samestat(os.stat(real), status)
    ):
        raise InvalidValueError(key, f"a file in {printable(inside)}", "a link that leads out of it")
    if max_bytes is not None and status.st_size > max_bytes:
        raise InvalidValueError(key, f"at most {max_bytes} bytes", f"{status.st_size} bytes")


def _unreadable(path: str | os.PathLike[str], error: OSError | ValueError) -> InvalidValueError:
    return InvalidValueError(printable(path), "a file that can be read", str(getattr(error, "strerror", error)))


def _escape(character: str) -> str:
    # how Python holds a byte of a path that is no UTF-8
    undecodable = "\udc80" <= character <= "\udcff"
    return f"\\x{ord(character) - 0xDC00:02x}" if undecodable else character.encode("unicode_escape").decode()


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    duplicates = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    if duplicates:
        raise ValueError(f"the key {', '.join(map(repr, duplicates))} occurs twice in one object")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _parse_int(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError(f"{digits[:20]}… has more than 64 bits")
    return value


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"{digits[:20]} is too large for a number")
    return value
