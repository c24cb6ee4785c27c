import io
import os
import re
import shutil
import stat
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
from file_server import FileServer, serve

from armory_skelevision.datasets import fetch as data
from armory_skelevision.datasets.fetch import fetch_coco, fetch_lasot, fetch_otb
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.io.archives import check_archive, unpack


def pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def pack_sequence(name: str) -> bytes:
    noise = {f"__MACOSX/{name}/._a": b"x", f"{name}/": b""}
    return pack({f"{name}/groundtruth_rect.txt": b"1,1,9,9\n", f"{name}/img/0001.jpg": os.urandom(2000)} | noise)


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(pack_sequence("Crossing"))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve() as server:
        yield server


def test_unpacks_only_what_is_wanted(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({"annotations/a.json": b"a", "annotations/b.json": b"b", "annotations/a.json.txt": b"c"}))
    assert unpack(path, out, ["annotations/a.json"]) == [out / "annotations" / "a.json"]
    assert tree(out) == {"annotations/a.json"}


@pytest.mark.parametrize("before", ["", "person/", "LaSOT/person/"])
def test_finds_what_is_wanted_wherever_it_stands(tmp_path: Path, out: Path, before: str) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(pack({f"{before}person-1/img/1.jpg": b"1", f"{before}person-10/img/1.jpg": b"10"}))
    unpack(path, out, ["person-1"])
    assert tree(out) == {"person-1/img/1.jpg"}


def test_what_is_there_is_left_alone(archive: Path, out: Path) -> None:
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
    with pytest.raises(ValueError, match="is refused: its member .* leads out of the folder or is a link"):
        unpack(path, out, ["Crossing"])
    assert tree(tmp_path) == {"a.zip"}


def test_links_are_refused(tmp_path: Path, out: Path) -> None:
    link = ZipInfo("Crossing/img")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(link, "/etc")
    with pytest.raises(ValueError, match="or is a link"):
        unpack(tmp_path / "a.zip", out, ["Crossing"])


def test_damaged_member_leaves_nothing(archive: Path, out: Path) -> None:
    content = bytearray(archive.read_bytes())
    place = content.index(b"img/0001.jpg") + 500
    content[place : place + 20] = bytes(20)
    archive.write_bytes(content)
    check_archive(archive)
    with pytest.raises(ValueError, match=r"a\.zip is no zip archive, or a damaged one"):
        unpack(archive, out, ["Crossing"])
    assert list(out.iterdir()) == []


def test_archives_cut_off_or_of_another_kind(archive: Path) -> None:
    content = archive.read_bytes()
    for wrong in (content[:-30], content[: len(content) // 2], b"", b"Rar!" * 100):
        archive.write_bytes(wrong)
        with pytest.raises(ValueError, match="is no zip archive"):
            check_archive(archive)


def test_missing_member_is_named(archive: Path, out: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no Human7; it holds Crossing, __MACOSX"):
        unpack(archive, out, ["Human7"])


def test_no_room(archive: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(OSError, match="unpacking needs"):
        unpack(archive, out, ["Crossing"])
    assert tree(out) == set()


def test_otb_from_a_mirror_and_not_twice(files: FileServer, out: Path) -> None:
    files.content = pack_sequence("Crossing")
    assert fetch_otb(out, ["Crossing"], files.url + "seq/") == [out / "Crossing"]
    assert tree(out) == {"Crossing.zip", "Crossing/groundtruth_rect.txt", "Crossing/img/0001.jpg"}
    assert not (out / "Crossing" / "._a").exists()
    (out / "Crossing.zip").unlink()
    fetch_otb(out, ["Crossing"], files.url + "seq/")
    assert [path for path, _ in files.asked] == ["/seq/Crossing.zip"]


def test_a_length_that_is_too_short_is_found_out(files: FileServer, out: Path) -> None:
    files.content = pack_sequence("Crossing")
    files.length = len(files.content) - 100
    with pytest.raises(ValueError, match=r"is no zip archive.*By hand: get Crossing\.zip"):
        fetch_otb(out, ["Crossing"], files.url)
    assert tree(out) == set()
    files.length = None
    fetch_otb(out, ["Crossing"], files.url)


def test_otb_from_local_archives(tmp_path: Path, out: Path) -> None:
    for name in PERSON_FOLDERS:
        (tmp_path / f"{name}.zip").write_bytes(pack_sequence(name))
    assert [path.name for path in fetch_otb(out, origin=str(tmp_path))] == sorted(PERSON_FOLDERS)
    assert not list(out.glob("*.zip"))


def test_otb_refuses_what_it_does_not_know(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder Crosing; those with persons are \['Basketball'"):
        fetch_otb(out, ["Crosing"])
    with pytest.raises(ValueError, match=r"is one file, wanted are Crossing\.zip, Human7\.zip…: give their folder"):
        fetch_otb(out, ["Crossing", "Human7"], "http://127.0.0.1:9/Crossing.zip")


def test_lasot(tmp_path: Path, out: Path) -> None:
    members = {f"person-{number}/img/00000001.jpg": b"x" for number in range(1, 21)}
    (tmp_path / "mine.zip").write_bytes(pack(members | {"person-1/groundtruth.txt": b"1,1,9,9"}))
    assert len(fetch_lasot(out, str(tmp_path / "mine.zip"))) == 20
    assert tree(out) == {f"person/{name}" for name in members} | {"person/person-1/groundtruth.txt"}


def test_coco(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "val2017.zip").write_bytes(pack({"val2017/000000000139.jpg": b"x"}))
    annotations = [f"annotations/{kind}_val2017.json" for kind in ("person_keypoints", "captions")]
    (tmp_path / "annotations_trainval2017.zip").write_bytes(pack(dict.fromkeys(annotations, b"{}")))
    with pytest.raises(ValueError, match=r"but published is 113a836d90.*By hand: get annotations_trainval2017\.zip"):
        fetch_coco(out, ["val"], str(tmp_path))
    monkeypatch.setattr(data, "COCO_ANNOTATIONS", replace(data.COCO_ANNOTATIONS, sha256=None))
    monkeypatch.setattr(data, "COCO_IMAGES", {"val": replace(data.COCO_IMAGES["val"], sha256=None)})
    fetch_coco(out, ["val"], str(tmp_path))
    assert tree(out) == {"annotations/person_keypoints_val2017.json", "val2017/000000000139.jpg"}
    with pytest.raises(ValueError, match=re.escape("no split test with keypoints; expected val")):
        fetch_coco(out, ["test"])
