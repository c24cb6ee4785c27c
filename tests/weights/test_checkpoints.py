import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError
from armory_skelevision.weights.checkpoints import WEIGHTS_FILE, read_header, write_checkpoint
from armory_skelevision.weights.loading import load_weights, read_metadata, read_state

# Files that are no weights: name, contents, a part of what the error must report.
OTHER_FILES = {
    "empty": ("net.pth", b"", "empty"),
    "spaces": ("net.safetensors", b"  \n ", "empty"),
    "other_suffix": ("net.onnx", b"x", "another kind of file"),
    "html": ("net.pth", b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
    "html_safetensors": ("net.safetensors", b"<html>" + b" " * 99, "web page"),
    "json": ("net.safetensors", b'{"message": "Not Found"}', "JSON"),
    "lfs": ("net.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "garbage_pth": ("net.pth", b"garbage of no kind" * 9, "Unsupported operand 103"),
    "garbage": ("net.safetensors", b"garbage of no kind" * 9, "a header of 23"),
    "short": ("net.safetensors", b"abc", "no header"),
    "claims_endless_bytes": ("net.pth", b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f" + b"x" * 9, "damaged"),
    "dictionary": ("net.pth", pickle.dumps({"a": 1}, 4), "damaged"),
    "begins_like_a_pickle": ("net.pth", b"\x80\x02", "EOFError"),
    "module": (
        "net.pth",
        pickle.dumps(torch.nn.Linear(1, 1), protocol=2),
        "torch.nn.modules.linear.Linear",
    ),
    "module_of_the_first_protocol": ("net.pth", pickle.dumps([torch.nn.Linear(1, 1)], protocol=0), "runs code"),
    "instance_of_the_first_protocol": ("net.pth", b"(lp0\n(icodecs\nencode\na.", "a pickle that runs code"),
}


@pytest.mark.parametrize(("name", "data", "found"), OTHER_FILES.values(), ids=OTHER_FILES.keys())
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_files_that_are_no_weights(tmp_path: Path, name: str, data: bytes, found: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidValueError) as caught:
        load_weights(SiamRPN(), tmp_path / name)
    assert caught.value.key == str(tmp_path / name)
    assert caught.value.expected in (WEIGHTS_FILE, "tensors and nothing else")
    assert found in caught.value.got


@pytest.mark.parametrize("read", [read_state, read_metadata])
def test_no_file_at_all(tmp_path: Path, read: Any) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for path in (tmp_path / "nothing.pth", tmp_path, tmp_path / "pipe.pth"):
        with pytest.raises(StructuredError) as caught:
            read(path)
        assert isinstance(caught.value, InvalidValueError if path.exists() else MissingFileError)
        assert caught.value.key == str(path)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.99, 0.99999])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"net{suffix}"
    (torch.save if suffix == ".pth" else save_file)({"a": torch.zeros(20_000)}, path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InvalidValueError) as caught:
        read_state(path)
    assert caught.value.key == str(path)
    assert ". " not in caught.value.got and "None" not in caught.value.got  # the first sentence of PyTorch's reason


@pytest.mark.parametrize("length", [0x3C20, 0x7B20, 0x3C0A])
def test_a_header_length_is_not_taken_for_text(tmp_path: Path, length: int) -> None:
    """The first bytes of a safetensors file are a length, which may read like the beginning of a page."""
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.ones(1)}, path)
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].ljust(length)
    path.write_bytes(length.to_bytes(8, "little") + header + data[8 + size :])
    assert read_state(path) == {"a": torch.ones(1)}


class Attack:
    """Unpickled, it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.mark), "w")


@pytest.mark.parametrize("form", [0, 2, 4, 5, "zip", "old"])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_pickled_code_is_refused_and_never_run(tmp_path: Path, form: int | str) -> None:
    mark, path = tmp_path / "mark", tmp_path / "net.pth"
    checkpoint = {"state_dict": {"a": torch.zeros(1)}, "callback": Attack(mark)}
    if isinstance(form, int):
        path.write_bytes(pickle.dumps(checkpoint["callback"], protocol=form))
        pickle.loads(path.read_bytes()).close()
        assert mark.exists(), "the attack is harmless: this test shows nothing"
        mark.unlink()
    else:
        torch.save(checkpoint, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InvalidValueError) as caught:
        load_weights(SiamRPN(), path)
    assert caught.value.key == str(path)
    assert "runs code" in caught.value.got and "torch.save" in caught.value.fix
    assert not mark.exists()
    path.rename(tmp_path / "net.safetensors")
    with pytest.raises(InvalidValueError):
        load_weights(SiamRPN(), tmp_path / "net.safetensors")
    assert not mark.exists()


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.arange(5, dtype=torch.float16)}
    strings = {name: name.upper() + " é“" for name in "zyxwvabc"}
    files = [tmp_path / f"{index}.safetensors" for index in range(5)]
    for path in [*files, files[0]]:  # which is replaced
        write_checkpoint(tensors, strings, path)
    data = files[0].read_bytes()
    assert {path.read_bytes() for path in files} == {data}
    assert len(data) == len(save(tensors, strings))  # nothing is written in another way than by the library
    size = int.from_bytes(data[:8], "little")
    assert size % 8 == 0
    assert list(json.loads(data[8 : 8 + size])["__metadata__"]) == sorted(strings)
    assert read_header(files[0]) == strings
    loaded = load_file(files[0])
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
