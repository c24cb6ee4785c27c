"""Folders that are there as a whole, or not at all."""

import os
import stat
from pathlib import Path

import pytest

from armory_skelevision.io.folders import new_folder
from armory_skelevision.validation import InvalidValueError


def test_a_folder_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with new_folder(target) as folder:
        (folder / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o777 & ~mask


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "file").write_text("content")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "file").touch()
    assert (tmp_path / "out" / "file").exists()


@pytest.mark.parametrize("kind", ["file", "filled folder", "dangling link", "link to an empty folder"])
def test_nothing_is_replaced(tmp_path: Path, kind: str) -> None:
    target, other = tmp_path / "out", tmp_path / "other"
    if kind == "file":
        target.touch()
    elif kind == "filled folder":
        target.mkdir()
        (target / "mine").touch()
    else:
        target.symlink_to(other)
        if "empty" in kind:
            other.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidValueError), new_folder(target):
        raise AssertionError("it must not begin")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_appears_in_the_meantime_stays(tmp_path: Path) -> None:
    def write_slowly() -> None:
        with new_folder(tmp_path / "out"):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine").touch()

    with pytest.raises(InvalidValueError):
        write_slowly()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]
