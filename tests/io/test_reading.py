import json
import os
from pathlib import Path

import pytest

from armory_skelevision.io import (
    leads_out,
    message,
    parse_json,
    printable,
    read_bytes,
    read_json,
    read_object,
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
    + [str(2**63), '"\\ud800"', "[" * 100_000, "1 2", "'a'", "\ufeff1"],
)
def test_json_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        parse_json(text.encode())


def test_json_is_read_as_its_standard_says() -> None:
    value = {"a": [1, -2.5, 1e300, True, None, "ä\U0001f600"], "b": {"a": -(2**63)}}
    assert parse_json(json.dumps(value)) == parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


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
    assert len(shown) <= 4003 and shown.startswith("key: x") and shown.endswith("xfix")
    assert ("…" in shown) == (length > 4000)
    assert message("a\x1b\n b") == "a\\x1b b"


def test_any_text_is_printable() -> None:
    assert printable("é“ \ud800\udce4\u202e\x85\u2028\U000e0001\t") == (r"é“ \ud800\xe4\u202e\x85\u2028\U000e0001\t")


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
