"""Data sets fetched from mirrors and local archives."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from file_server import FileServer, serve
from zip_archives import pack, pack_sequence, tree

from armory_skelevision.datasets import fetch as data
from armory_skelevision.datasets.fetch import fetch_coco, fetch_lasot, fetch_otb
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.validation import InvalidValueError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def files() -> Iterator[FileServer]:
    with serve() as server:
        yield server


def test_otb_from_a_mirror_and_not_twice(files: FileServer, out: Path) -> None:
    files.content = pack_sequence("Crossing")
    assert fetch_otb(out, ["Crossing"], files.url + "seq/") == [out / "Crossing"]
    assert tree(out) == {"Crossing.zip", "Crossing/groundtruth_rect.txt", "Crossing/img/0001.jpg"}
    assert not (out / "Crossing" / "._a").exists()
    (out / "Crossing.zip").unlink()
    fetch_otb(out, ["Crossing"], files.url + "seq/")
    assert [path for path, _ in files.asked] == ["/seq/Crossing.zip"]


def test_a_length_that_is_too_short_is_detected(files: FileServer, out: Path) -> None:
    files.content = pack_sequence("Crossing")
    files.length = len(files.content) - 100
    with pytest.raises(InvalidValueError) as caught:
        fetch_otb(out, ["Crossing"], files.url)
    assert caught.value.expected == "an intact zip archive" and "get Crossing.zip from http" in caught.value.fix
    assert tree(out) == set()
    files.length = None
    fetch_otb(out, ["Crossing"], files.url)


def test_otb_from_local_archives(tmp_path: Path, out: Path) -> None:
    for name in PERSON_FOLDERS:
        (tmp_path / f"{name}.zip").write_bytes(pack_sequence(name))
    assert [path.name for path in fetch_otb(out, origin=str(tmp_path))] == sorted(PERSON_FOLDERS)
    assert not list(out.glob("*.zip"))


def test_otb_refuses_unknown_names_and_one_file_for_several(out: Path) -> None:
    with pytest.raises(InvalidValueError) as caught:
        fetch_otb(out, ["Crosing"])
    assert (caught.value.key, caught.value.got) == ("names", "Crosing")
    with pytest.raises(InvalidValueError) as caught:
        fetch_otb(out, ["Crossing", "Human7"], "http://127.0.0.1:9/Crossing.zip")
    assert (caught.value.key, caught.value.expected) == ("--from", "the folder of Crossing.zip, Human7.zip…")


def test_lasot(tmp_path: Path, out: Path) -> None:
    members = {f"person-{number}/img/00000001.jpg": b"x" for number in range(1, 21)}
    (tmp_path / "mine.zip").write_bytes(pack(members | {"person-1/groundtruth.txt": b"1,1,9,9"}))
    assert len(fetch_lasot(out, str(tmp_path / "mine.zip"))) == 20
    assert tree(out) == {f"person/{name}" for name in members} | {"person/person-1/groundtruth.txt"}


def test_coco(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "val2017.zip").write_bytes(pack({"val2017/000000000139.jpg": b"x"}))
    annotations = [f"annotations/{kind}_val2017.json" for kind in ("person_keypoints", "captions")]
    (tmp_path / "annotations_trainval2017.zip").write_bytes(pack(dict.fromkeys(annotations, b"{}")))
    with pytest.raises(InvalidValueError) as caught:
        fetch_coco(out, ["val"], str(tmp_path))
    assert caught.value.key == str(tmp_path / "annotations_trainval2017.zip")
    assert "113a836d90" in caught.value.expected and "get annotations_trainval2017.zip from" in caught.value.fix
    monkeypatch.setattr(data, "COCO_ANNOTATIONS", replace(data.COCO_ANNOTATIONS, sha256=None))
    monkeypatch.setattr(data, "COCO_IMAGES", {"val": replace(data.COCO_IMAGES["val"], sha256=None)})
    fetch_coco(out, ["val"], str(tmp_path))
    assert tree(out) == {"annotations/person_keypoints_val2017.json", "val2017/000000000139.jpg"}
    with pytest.raises(InvalidValueError) as caught:
        fetch_coco(out, ["test"])
    assert (caught.value.key, caught.value.expected, caught.value.got) == ("splits", "some of val", "test")


def test_something_else_in_the_place_of_a_folder_is_named(tmp_path: Path, out: Path) -> None:
    (tmp_path / "Crossing.zip").write_bytes(pack_sequence("Crossing"))
    out.mkdir()
    (out / "Crossing").write_text("not a folder")
    with pytest.raises(InvalidValueError) as caught:
        fetch_otb(out, ["Crossing"], str(tmp_path))
    assert (caught.value.key, caught.value.expected, caught.value.got) == (str(out / "Crossing"), "a folder", "a file")


def test_a_folder_nested_twice_can_be_read(tmp_path: Path, out: Path) -> None:
    members = {"groundtruth_rect.txt": b"1,1,9,9\n", "img/0001.jpg": b"x"}
    nested = pack({f"Crossing\\Crossing\\{name}": content for name, content in members.items()})
    (tmp_path / "Crossing.zip").write_bytes(nested)
    fetch_otb(out, ["Crossing"], str(tmp_path))
    (sequence,) = find_sequences(out)
    assert (sequence.name, len(sequence.images)) == ("Crossing", 1)


def test_the_command_prints_any_name(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    (tmp_path / "Crossing.zip").write_bytes(pack_sequence("Crossing"))
    out = tmp_path / os.fsdecode(b"Caf\xe9")
    code, printed, _ = run("data", "otb", "--out", out, "Crossing", "--from", tmp_path)
    assert (code, printed) == (0, f"{tmp_path}/Caf\\xe9/Crossing\n")
    (tmp_path / "Human7.zip").write_bytes(pack({"Human7/img/0001.jpg": b"1", "Human7/zeros": bytes(110 * 2**20)}))
    code, _, message = run("data", "otb", "--out", out, "Human7", "--from", tmp_path)
    assert code == 1 and f"{tmp_path}/Human7.zip" in message and "Traceback" not in message


def test_an_archive_that_cannot_be_unpacked_does_not_keep_the_right_one_out(tmp_path: Path, out: Path) -> None:
    archive, right = tmp_path / "Crossing.zip", pack_sequence("Crossing")
    archive.write_bytes(pack_sequence("Human7"))
    with pytest.raises(InvalidValueError):
        fetch_otb(out, ["Crossing"], str(archive))
    archive.write_bytes(right)
    fetch_otb(out, ["Crossing"], str(archive))
    (out / "Crossing").rename(tmp_path / "old")
    archive.write_bytes(pack_sequence("Human7"))
    with pytest.raises(InvalidValueError, match="recorded"):  # what was unpacked is still what later ones must be
        fetch_otb(out, ["Crossing"], str(archive))
    archive.write_bytes(right)
    fetch_otb(out, ["Crossing"], str(archive))


def test_an_empty_folder_is_no_data_set(tmp_path: Path, out: Path) -> None:
    (tmp_path / "Crossing.zip").write_bytes(pack_sequence("Crossing"))
    (out / "Crossing" / "img").mkdir(parents=True)
    with pytest.raises(InvalidValueError) as caught:
        fetch_otb(out, ["Crossing"], str(tmp_path))
    assert caught.value.key == str(out / "Crossing")
