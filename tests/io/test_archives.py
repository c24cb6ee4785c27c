"""Zip archives: what is extracted, and what is refused."""

import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest
from zip_archives import pack, pack_sequence, tree

from armory_skelevision.io.archives import check_archive, unpack
from armory_skelevision.validation import InvalidValueError


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
