import json
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.io import (
    check_depth,
    leads_out,
    list_folder,
    message,
    parse_json,
    printable,
    read_bytes,
    read_json,
    read_object,
    read_tail,
    read_text,
)
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError


def test_reads_up_to_the_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", max_bytes=5) == b"12345"
    with pytest.raises(InvalidValueError) as refused:
        read_bytes(tmp_path / "a", max_bytes=4)
    assert refused.value.key == str(tmp_path / "a")
    assert (refused.value.expected, refused.value.got) == ("at most 4 bytes", "5 bytes")


def test_sparse_files_are_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InvalidValueError, match=str(2**40)):
        read_bytes(tmp_path / "a", max_bytes=1000)


@pytest.mark.timeout(10)
def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(InvalidValueError) as refused:
            read_bytes(tmp_path / name)
        assert refused.value.expected == "a regular file"


def test_what_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file/below"):
        with pytest.raises(MissingFileError) as missing:
            read_bytes(tmp_path / name)
        assert missing.value.key == str(tmp_path / name)
    for path in (tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InvalidValueError):
            read_bytes(path)


@pytest.mark.parametrize(("name", "got"), [("a\0b", "embedded null byte"), ("a" * 300, "File name too long")])
def test_names_that_no_file_can_have_are_named(tmp_path: Path, name: str, got: str) -> None:
    for read in (read_bytes, partial(read_tail, max_bytes=1), list_folder):
        with pytest.raises(InvalidValueError) as refused:
            read(tmp_path / name)
        assert (refused.value.key, refused.value.got) == (printable(tmp_path / name), got)
        assert refused.value.expected.endswith(" that can be read")


NO_SIZE, FAILING = Path("/proc/self/limits"), Path("/proc/self/mem")
on_linux = pytest.mark.skipif(not FAILING.exists(), reason="needs /proc")


@on_linux
def test_files_that_state_no_size_are_read_up_to_the_bound() -> None:
    assert NO_SIZE.stat().st_size == 0
    data = read_bytes(NO_SIZE)
    assert data == NO_SIZE.read_bytes()
    assert read_bytes(NO_SIZE, max_bytes=len(data)) == data
    with pytest.raises(InvalidValueError) as refused:
        read_bytes(NO_SIZE, max_bytes=10)
    assert (refused.value.key, refused.value.got) == (str(NO_SIZE), "11 bytes or more")
    assert len(read_tail(NO_SIZE, 10)) == 10


def test_a_file_that_vanishes_while_it_is_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fstat = tmp_path / "a", os.fstat
    path.touch()

    def vanish(descriptor: int) -> os.stat_result:
        path.unlink(missing_ok=True)
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", vanish)
    with pytest.raises(InvalidValueError) as refused:
        read_bytes(path, inside=tmp_path)
    assert (refused.value.key, refused.value.got) == (str(path), "No such file or directory")


@on_linux
def test_files_that_cannot_be_read_are_named() -> None:
    for read in (read_bytes, partial(read_tail, max_bytes=1)):
        with pytest.raises(InvalidValueError) as refused:
            read(FAILING)
        assert (refused.value.key, refused.value.got) == (str(FAILING), "Input/output error")


def test_tails_are_the_last_bytes_whatever_they_are(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes("first\nsäcond\n".encode())
    assert read_tail(tmp_path / "log", 8) == "säcond\n"
    assert read_tail(tmp_path / "log", 6) == "\ufffdcond\n"
    assert read_tail(tmp_path / "log", 1000) == "first\nsäcond\n"


READERS: list[Callable[..., Any]] = [read_bytes, partial(read_tail, max_bytes=99), read_text, read_json, read_object]


@pytest.mark.parametrize("read", READERS)
def test_links_out_of_the_given_folder_are_not_followed(tmp_path: Path, read: Callable[..., Any]) -> None:
    (folder := tmp_path / "in").mkdir()
    (tmp_path / "out.json").write_text("{}")
    (folder / "near.json").write_text("{}")
    (folder / "link.json").symlink_to("near.json")
    (folder / "far.json").symlink_to(tmp_path / "out.json")
    assert read(folder / "link.json", inside=folder) == read(tmp_path / "out.json")
    for name in ("far.json", "../out.json"):
        with pytest.raises(InvalidValueError) as refused:
            read(folder / name, inside=folder)
        assert (refused.value.key, refused.value.expected) == (str(folder / name), f"a file in {folder}")


def test_folders_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / name).touch()
    assert list_folder(tmp_path) == [tmp_path / name for name in "abc"]
    for path, error in ((tmp_path / "none", MissingFileError), (tmp_path / "a", InvalidValueError)):
        with pytest.raises(error) as refused:
            list_folder(path)
        assert (refused.value.key, refused.value.expected) == (str(path), "a folder")


def test_text_in_utf_8_or_marked_as_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes("ä\r\n€".encode(encoding))
        assert read_text(path) == "ä\r\n€"
    path.write_bytes(b"ab\xe4")
    with pytest.raises(InvalidValueError) as refused:
        read_text(path)
    assert (refused.value.key, refused.value.got) == (str(path), "byte 0xe4 at position 2")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1, "a": 2}', '[{"a": [{"b": 1, "b": 1}]}]', "NaN", "-Infinity", "1e999", "9" * 400, "9" * 5000]
    + [
        str(2**63),
        str(-(2**63) - 1),
        "1" * 21,
        "[" + "0" * 21 + "]",
        '"\\ud800"',
        "[" * 100_000,
        "1 2",
        "'a'",
        "\ufeff1",
    ],
)
def test_json_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_json(text.encode())


def test_json_is_read_as_its_standard_says() -> None:
    value = {"a": [1, -2.5, 1e300, True, None, "ä\U0001f600"], "b": {"a": -(2**63)}}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_json_is_read_to_a_depth() -> None:
    for begin, end in (("[", "]"), ('{"a": 2, "b": ', "}")):
        check_depth("grid", parse_json(begin * 50 + "1" + end * 50))
        with pytest.raises(InvalidValueError) as refused:
            check_depth("grid", parse_json(begin * 51 + "1" + end * 51))
        assert (refused.value.key, refused.value.expected) == ("grid", "at most 50 levels")
    check_depth("grid", 1)


def test_json_has_nan_only_where_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": NaN}')
    for read in (read_json, read_object):
        assert math.isnan(read(tmp_path / "a.json", allow_nan=True)["a"])
        with pytest.raises(InvalidValueError):
            read(tmp_path / "a.json")


def test_json_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1, "a": 1}')
    with pytest.raises(InvalidValueError) as refused:
        read_json(path)
    assert refused.value.key == str(path)
    path.write_text("[1]")
    assert read_json(path) == [1]
    with pytest.raises(StructuredError) as refused_object:
        read_object(path)
    assert refused_object.value.got == "JSON of type list"


def test_paths_are_printable(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/a\xe4\n\x1b[31m"))
    path.write_text("{")
    with pytest.raises(InvalidValueError) as refused:
        read_json(path)
    assert refused.value.key == printable(path) == f"{tmp_path}/a\\xe4\\n\\x1b[31m"
    assert str(refused.value).isprintable()


def test_some_characters_may_be_kept() -> None:
    assert printable("a\nb\tc\x1b", keep="\n\t") == "a\nb\tc\\x1b"


@pytest.mark.parametrize("length", [3999, 4000, 4001, 20_000])
def test_messages_have_one_line_of_bounded_length(length: int) -> None:
    text = "key: \n" + "x" * (length - 8) + "fix"
    shown = message(text)
    assert len(shown) == (4003 if length > 4000 else length)
    assert shown.startswith("key: x") and shown.endswith("xfix")
    assert ("…" in shown) == (length > 4000)
    assert message("a\x1b\n b") == "a\\x1b b"


def test_any_text_is_printable() -> None:
    assert printable("é“ \ud800\udce4\u202e\x85\u2028\U000e0001\t") == (r"é“ \ud800\xe4\u202e\x85\u2028\U000e0001\t")
    assert printable("\udc7f\udc80\udcff\udd00") == r"\udc7f\x80\xff\udd00"


def test_links_that_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "out").touch()
    (folder / "file").touch()
    (folder / "near").symlink_to("file")
    (folder / "far").symlink_to(tmp_path / "out")
    (folder / "up").symlink_to("..")
    found = {name: leads_out(folder / name, folder) for name in ("file", "near", "far", "up/out", "../out", "none")}
    assert found == {"file": False, "near": False, "far": True, "up/out": True, "../out": True, "none": False}
