"""Limits of pickles, to the item and to the byte."""

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


def is_refused(path: Path) -> bool:
    try:
        check_pickles(path, MAX_FILE)
    except InvalidValueError as error:
        assert error.key == str(path)
        return True
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
