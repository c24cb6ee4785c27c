"""Limits of pickles, to the item and to the byte."""

import copy
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights import pickles
from armory_skelevision.weights.checkpoints import MAX_FILE
from armory_skelevision.weights.pickles import check_pickles

BEFORE = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
"""What comes before the checkpoint in files of PyTorch's old format."""

ONE = ["aaa"]


def is_refused(path: Path, max_bytes: int = MAX_FILE) -> bool:
    try:
        check_pickles(path, max_bytes)
    except InvalidValueError as error:
        return error.key == str(path)
    return False


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "work"),
    [
        # "a" is 1 item and 1 letter, "bc" 1 and 2; the list takes 5, and the reader's result is the list and these
        (["a", "bc"], 5 + 6),
        # the inner list takes 4, the outer one twice 5
        ([ONE, ONE], 4 + 10 + 11),
        # the tuple takes 8, the innermost list 1, that around it 1 + 2, the dictionary 2 + 9 + 2 + 4
        ({"k": ("a", "b", "c", "d"), "l": [1, [2]]}, 8 + 1 + 3 + 17 + 18),
    ],
    ids=["letters", "twice", "nested"],
)
def test_what_is_handed_on_is_counted(
    value: Any, work: int, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps(value, protocol))
    monkeypatch.setattr(pickles, "MAX_WORK", work)
    assert not is_refused(path)
    monkeypatch.setattr(pickles, "MAX_WORK", work - 1)
    assert is_refused(path)


def test_any_place_in_the_memo_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.pth"
    path.write_bytes(b"\x80\x02](X\x01\0\0\0aq\x07h\x07e.")  # a list of "a", put at 7, and the same again
    monkeypatch.setattr(pickles, "MAX_WORK", 4 + 5)
    assert not is_refused(path)
    monkeypatch.setattr(pickles, "MAX_WORK", 4 + 4)
    assert is_refused(path)


def test_the_size_of_the_file_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(data := pickle.dumps({"a": 1}, 2))
    assert not is_refused(tmp_path / "net.pth", len(data))
    assert is_refused(tmp_path / "net.pth", len(data) - 1)


def test_the_length_of_each_pickle_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, checkpoint = tmp_path / "net.pth", pickle.dumps(["x" * 1000], 2)
    path.write_bytes(b"".join(pickle.dumps(value, 2) for value in BEFORE) + checkpoint)
    last = len(checkpoint) - 1  # where its last operation is
    monkeypatch.setattr(pickles, "MAX_PICKLE", last)
    assert not is_refused(path)
    monkeypatch.setattr(pickles, "MAX_PICKLE", last - 1)
    assert is_refused(path)


def test_the_length_of_a_pickle_in_an_archive_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.zeros(1)}, path := tmp_path / "net.pth")
    with zipfile.ZipFile(path) as archive:
        (size,) = (member.file_size for member in archive.infolist() if member.filename.endswith(".pkl"))
    monkeypatch.setattr(pickles, "MAX_PICKLE", size)
    assert not is_refused(path)
    monkeypatch.setattr(pickles, "MAX_PICKLE", size - 1)
    assert is_refused(path)


def test_members_that_share_their_bytes_count_each(tmp_path: Path) -> None:
    """An archive of some MB could have its reader fill the memory with copies."""
    torch.save({"a": torch.zeros(1000)}, path := tmp_path / "net.pth")
    with zipfile.ZipFile(path, "a") as archive:
        (shared,) = (member for member in archive.infolist() if member.filename.endswith("data/0"))
        for number in range(1, 10):
            again = copy.copy(shared)
            again.filename = shared.filename[:-1] + str(number)
            archive.filelist.append(again)
        archive.writestr("more", b"")
        unpacked = sum(member.file_size for member in archive.infolist())
    assert path.stat().st_size < unpacked
    assert not is_refused(path, unpacked)
    assert is_refused(path, unpacked - 1)
