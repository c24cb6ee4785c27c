"""Zip archives: what is extracted, and what is refused."""

import os
import shutil
import stat
import tempfile
import warnings
from collections import namedtuple
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zip_archives import pack, pack_sequence, tree

from armory_skelevision.io import archives
from armory_skelevision.io.archives import check_archive, unpack
from armory_skelevision.validation import InvalidValueError, StructuredError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(pack_sequence("Crossing"))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_unpacks_only_what_is_wanted(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"annotations/a.json": b"a", "annotations/b.json": b"b", "annotations/a.json.txt": b"c"}))
    assert unpack(path, out, ["annotations/a.json"]) == [out / "annotations" / "a.json"]
    assert tree(out) == {"annotations/a.json"}


@pytest.mark.parametrize("before", ["", "person/", "LaSOT/person/"])
def test_finds_members_at_any_depth(tmp_path: Path, out: Path, before: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({f"{before}person-1/img/1.jpg": b"1", f"{before}person-10/img/1.jpg": b"10"}))
    unpack(path, out, ["person-1"])
    assert tree(out) == {"person-1/img/1.jpg"}


def test_existing_files_are_left_alone(archive: Path, out: Path) -> None:
    (out / "Crossing").mkdir(parents=True)
    assert unpack(archive, out, ["Crossing"]) == [out / "Crossing"]
    assert tree(out) == set()


def test_unpacked_folders_are_readable_by_others(archive: Path, out: Path) -> None:
    unpack(archive, out, ["Crossing"])
    assert stat.S_IMODE((out / "Crossing").stat().st_mode) == 0o777 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    "name", ["../Crossing/a", "Crossing/../../a", "/Crossing/a", "..\\Crossing", "a/../../Crossing"]
)
def test_members_that_lead_elsewhere_are_refused(tmp_path: Path, out: Path, name: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"Crossing/img/0001.jpg": b"1", name: b"evil"}))
    with pytest.raises(InvalidValueError) as caught:
        unpack(path, out, ["Crossing"])
    assert (caught.value.key, caught.value.got) == (str(path), f"member {name!r}")
    assert tree(tmp_path) == {"a.zip"}


def test_links_are_refused(tmp_path: Path, out: Path) -> None:
    link = ZipInfo("Crossing/img")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(link, "/etc")
    with pytest.raises(InvalidValueError) as caught:
        unpack(tmp_path / "a.zip", out, ["Crossing"])
    assert caught.value.got == "member 'Crossing/img'"


def test_damaged_member_leaves_nothing(archive: Path, out: Path) -> None:
    content = bytearray(archive.read_bytes())
    place = content.index(b"img/0001.jpg") + 500
    content[place : place + 20] = bytes(20)
    archive.write_bytes(content)
    check_archive(archive)
    with pytest.raises(InvalidValueError) as caught:
        unpack(archive, out, ["Crossing"])
    assert (caught.value.key, caught.value.expected) == (str(archive), "an intact zip archive")
    assert list(out.iterdir()) == []


def test_truncated_archives_and_other_files(archive: Path) -> None:
    content = archive.read_bytes()
    for wrong in (content[:-30], content[: len(content) // 2], b"", b"Rar!" * 100):
        archive.write_bytes(wrong)
        with pytest.raises(InvalidValueError) as caught:
            check_archive(archive)
        assert (caught.value.key, caught.value.expected) == (str(archive), "an intact zip archive")


def test_missing_member_is_named(archive: Path, out: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        unpack(archive, out, ["Human7"])
    assert (caught.value.expected, caught.value.got) == ("a member Human7", "only Crossing, __MACOSX")


def test_no_room(archive: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(OSError, match="GB of disk space"):
        unpack(archive, out, ["Crossing"])
    assert tree(out) == set()


def write_zip(path: Path, members: list[tuple[str | ZipInfo, bytes]], **options: Any) -> Path:
    with warnings.catch_warnings(), ZipFile(path, "w", **options) as opened:
        warnings.simplefilter("ignore")  # of zipfile, about the duplicates that are meant here
        for name, content in members:
            opened.writestr(name, content)
    return path


GOOD = ("Crossing/img/0001.jpg", b"1")


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
def test_any_compression_and_zip64(tmp_path: Path, out: Path, compression: int) -> None:
    path = tmp_path / "a.zip"
    with ZipFile(path, "w", compression) as opened, opened.open(GOOD[0], "w", force_zip64=True) as member:
        member.write(GOOD[1] * 1000)
    unpack(path, out, ["Crossing"])
    assert (out / GOOD[0]).read_bytes() == GOOD[1] * 1000


def test_archives_of_windows_and_nested_folders(tmp_path: Path, out: Path) -> None:
    for members in (
        [("Crossing\\img\\0001.jpg", b"1"), ("Crossing\\", b""), ("Crossing\\groundtruth_rect.txt", b"")],
        [("Crossing/Crossing/img/0001.jpg", b"1"), ("Crossing/Crossing/groundtruth_rect.txt", b"")],
        [("Crossing/Crossing/Crossing/img/0001.jpg", b"1"), ("Crossing/groundtruth_rect.txt", b"")],
    ):
        unpack(write_zip(tmp_path / "a.zip", members), out, ["Crossing"])
        assert tree(out) == {"Crossing/img/0001.jpg", "Crossing/groundtruth_rect.txt"}
        shutil.rmtree(out)


def test_a_comment_and_something_in_front_do_no_harm(tmp_path: Path, out: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD])
    with ZipFile(path, "a") as opened:
        opened.comment = b"made by us"
    path.write_bytes(b"MZ" * 500 + path.read_bytes())
    unpack(path, out, ["Crossing"])
    assert tree(out) == {GOOD[0]}
    with ZipFile(path, "a") as opened:
        opened.comment = b"PK\x05\x06" * 40  # which looks like the end of another archive
    with pytest.raises(InvalidValueError) as caught:
        check_archive(path)
    assert caught.value.key == str(path)


def member(name: str, kind: int = 0, flags: int = 0) -> ZipInfo:
    info = ZipInfo(name)
    info.external_attr, info.flag_bits = kind << 16, flags
    return info


@pytest.mark.parametrize(
    "members",
    [
        [GOOD, GOOD],
        [GOOD, ("Crossing\\img\\0001.jpg", b"2")],
        [GOOD, ("crossing/../Crossing/a", b"2")],
        [GOOD, ("Crossing/img", b"2")],
        [GOOD, ("Crossing", b"2")],
        [GOOD, ("Crossing/IMG/0001.JPG", b"2")],
        [GOOD, ("Crossing/Crossing/img/0001.jpg", b"2")],
        [GOOD, ("C:\\Crossing\\a", b"2")],
        [GOOD, ("\\\\host\\share\\Crossing\\a", b"2")],
        [GOOD, ("Crossing/" + "a" * 300, b"2")],
        [GOOD, ("/", b"")],
        [GOOD, (member("Crossing/a", stat.S_IFLNK), b"/etc")],
        [GOOD, (member("Crossing/a", stat.S_IFIFO), b"")],
        [GOOD, (member("Crossing/a", stat.S_IFCHR), b"")],
        [GOOD, ("Crossing/zeros", bytes(120 * 2**20))],
    ],
    ids=lambda members: str(members[1][0])[:40],
)
def test_refused_as_a_whole(tmp_path: Path, out: Path, members: list[tuple[str | ZipInfo, bytes]]) -> None:
    path = write_zip(tmp_path / "a.zip", members, compression=ZIP_DEFLATED)
    with pytest.raises(InvalidValueError) as caught:
        unpack(path, out, ["Crossing"])
    assert caught.value.key == str(path)
    assert tree(tmp_path) == {"a.zip"}


@pytest.mark.parametrize("name", ["a/" * 1000 + "a", "/".join(["a" * 30] * 40)])
def test_paths_that_no_recursion_or_system_takes(tmp_path: Path, out: Path, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, (f"Crossing/{name}", b"2")])
    with pytest.raises(InvalidValueError) as caught:
        unpack(path, out, ["Crossing"])
    assert caught.value.got.startswith("member 'Crossing/a") and len(str(caught.value)) < 400 + len(str(path))
    assert tree(tmp_path) == {"a.zip"}
    write_zip(tmp_path / "b.zip", [("Crossing/" + "a/" * 400 + "a", b"2")])
    assert unpack(tmp_path / "b.zip", out, ["Crossing"]) == [out / "Crossing"]


def test_passwords_and_nul_in_names(tmp_path: Path, out: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, ("Crossing/secret", b"2"), ("Crossing/a?b", b"3")])
    whole = path.read_bytes()
    for old, new, got in ((b"secret", b"s\0cret", "member 'Crossing/s\\x00cret'"), (b"a?b", b"a\0b", "member 'Cross")):
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(InvalidValueError) as caught:
            unpack(path, out, ["Crossing"])
        assert caught.value.got.startswith(got)
    place = whole.index(b"PK\x01\x02") + 8
    path.write_bytes(whole[:place] + b"\x01" + whole[place + 1 :])
    with pytest.raises(InvalidValueError) as caught:
        unpack(path, out, ["Crossing"])
    assert (caught.value.expected, caught.value.got) == ("members without a password", f"{GOOD[0]!r} with one")
    # others than those that are wanted may have one
    path.write_bytes((whole[:place] + b"\x01" + whole[place + 1 :]).replace(b"Crossing/img", b"Xrossing/img"))
    unpack(path, out, ["Crossing"])
    assert tree(out) == {"Crossing/secret", "Crossing/a?b"}


def test_the_bound_grows_with_the_archive(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "a.zip", [("Crossing/a", os.urandom(5000)), ("Crossing/b", bytes(50_000))])
    monkeypatch.setattr(archives, "MAX_SMALL", 1000)
    unpack(path, out, ["Crossing"])
    shutil.rmtree(out)
    packed = write_zip(tmp_path / "b.zip", [("Crossing/b", bytes(50_000))], compression=ZIP_DEFLATED)
    with pytest.raises(InvalidValueError) as caught:
        unpack(packed, out, ["Crossing"])
    assert (caught.value.key, caught.value.got) == (str(packed), "50,000 bytes")


def test_too_many_members(archive: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(InvalidValueError) as caught:
        unpack(archive, out, ["Crossing"])
    assert (caught.value.expected, caught.value.got) == ("at most 2 members", "4")


@pytest.mark.fuzz
@given(st.data())
def test_damaged_archives_are_refused_or_give_what_was_packed(data: st.DataObject) -> None:
    """Any few bytes changed: what is unpacked is what was packed, or nothing."""
    content = bytearray(_sample())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content), data.draw(st.integers(0, 900))]))]
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "a.zip"), Path(folder, "out")
        path.write_bytes(content)
        refused = None
        try:
            unpack(path, out, ["Crossing"])
        except StructuredError as error:
            refused = error.key
        known = {b"1" * 300, b"1 1 9 9", b""}
        assert {file.read_bytes() for file in out.rglob("*") if file.is_file()} <= known
        assert refused is None or (refused == str(path) and not tree(out))
        assert {each.name for each in Path(folder).iterdir()} <= {"a.zip", "out"}


@cache
def _sample() -> bytes:
    return pack({"Crossing/img/0001.jpg": b"1" * 300, "Crossing/groundtruth_rect.txt": b"1 1 9 9", "Crossing/": b""})
