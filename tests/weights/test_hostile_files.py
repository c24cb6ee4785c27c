"""Weights files that lie, or ask for endless work: `verify` and loading refuse the same, soon, and name the file."""

import dataclasses
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from pickle import dumps
from typing import Any

import pytest
import torch
from safetensors.torch import save

from armory_skelevision.models import load_tracker
from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.validation import InvalidValueError, StructuredError
from armory_skelevision.weights import pickles
from armory_skelevision.weights.checkpoints import MAX_FILE, MAX_HEADER, read_checkpoint, read_header, write_checkpoint
from armory_skelevision.weights.listing import describe_file
from armory_skelevision.weights.loading import load_siamrpn
from armory_skelevision.weights.metadata import Metadata
from armory_skelevision.weights.recognition import load_network
from armory_skelevision.weights.unet import load_unet

Run = Callable[..., tuple[int, str, str]]
State = dict[str, torch.Tensor]
HEADER = Metadata(None, 0.0, "None.", "MIT", 1).to_header()

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return dict(SiamRPN().state_dict())


def refused(path: Path) -> InvalidValueError:
    """Both doors refuse a file, with the same words."""
    errors = []
    for read in (describe_file, load_siamrpn, load_tracker):
        with pytest.raises(InvalidValueError) as caught:
            read(path)
        errors.append(caught.value)
    assert errors[0].key.startswith(str(path))
    assert len({(each.key, each.got) for each in errors}) == 1
    return errors[0]


def with_header(header: bytes, tensors: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if size is None else size) + header + tensors


def with_entry(**entry: Any) -> bytes:
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4], **entry}
    return with_header(json.dumps({"backbone.layer1.0.bias": one}).encode(), bytes(4))


HEADERS = {
    "longer than the file": with_header(b"{}", size=10**11),
    "longer than any": with_header(b"{}" + b" " * MAX_HEADER),
    "longer than the file's rest": with_header(b"{}", size=1000),
    "no UTF-8": with_header(b'{"__metadata__": {"a": "\xff"}}'),
    "half a surrogate": with_header(b'{"__metadata__": {"a": "\\ud800"}}'),
    "nested deeply": with_header(b'{"a": ' + b"[" * 100_000),
    "no object": with_header(b"[]"),
    "a key twice": with_header(b'{"__metadata__": {"licence": "MIT"}, "__metadata__": {"licence": "CC0"}}'),
    "metadata twice": with_header(b'{"__metadata__": {"licence": "MIT", "licence": "CC0"}}'),
    "metadata no object": with_header(b'{"__metadata__": []}'),
    "metadata no texts": with_header(b'{"__metadata__": {"seed": 7}}'),
    "beyond the end": with_entry(shape=[2**35], data_offsets=[0, 2**37]),
    "backwards": with_entry(data_offsets=[4, 0]),
    "negative": with_entry(data_offsets=[-4, 0]),
    "overflowing": with_entry(shape=[2**62, 2**62]),
    "of another size": with_entry(shape=[3]),
    "negative shape": with_entry(shape=[-1]),
    "no shape": with_entry(shape="1"),
    "unknown type": with_entry(dtype="F31"),
    "type without numbers": with_entry(dtype="F4", shape=[8]),
    "a gap": with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', bytes(8)),
    "more than it says": with_entry() + b"more",
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_another_form(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(HEADERS[name])
    error = refused(path)
    assert error.key == str(path) and "None" not in error.got


def test_limits_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(HEADERS["longer than any"])
    assert str(MAX_HEADER) in refused(path).got
    path.write_bytes(with_header(b"{}".ljust(MAX_HEADER)))
    assert read_header(path) == {}
    with path.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    assert refused(path).expected == f"at most {MAX_FILE} bytes"


def test_a_large_file_within_the_limits_is_read(tmp_path: Path) -> None:
    size = 257 * 2**20  # more than other files may have
    entry = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    path = tmp_path / "net.safetensors"
    path.write_bytes(header := with_header(json.dumps(entry).encode()))
    os.truncate(path, len(header) + size)
    checkpoint = read_checkpoint(path)
    assert isinstance(checkpoint, dict) and checkpoint["a"].shape == (size,)


TRACKING = {
    "NaN": ('{"penalty_k": NaN}', "tracking"),
    "infinity": ('{"learning_rate": Infinity}', "tracking"),
    "too large": ('{"penalty_k": 1e999}', "tracking"),
    "twice": ('{"penalty_k": 0.1, "penalty_k": 0.2}', "tracking"),
    "no object": ("[0.1]", "tracking"),
    "negative": ('{"penalty_k": -5}', "tracking.penalty_k"),
    "beyond its range": ('{"window_influence": 1.5}', "tracking.window_influence"),
    "unknown": ('{"penalty": 0.1}', "tracking.penalty"),
    "truth": ('{"learning_rate": true}', "tracking.learning_rate"),
    "text": ('{"learning_rate": "0.1"}', "tracking.learning_rate"),
    "no whole number": ('{"instance_size": 287.5}', "tracking.instance_size"),
    "two that do not go together": ('{"instance_size": 100}', "tracking.instance_size"),
}


@pytest.mark.parametrize(("text", "key"), TRACKING.values(), ids=TRACKING.keys())
def test_constants_of_the_tracker(text: str, key: str, tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.safetensors"
    write_checkpoint(state, {**HEADER, "tracking": text}, path)
    assert refused(path).key == f"{path}.{key}"


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "NaN": lambda tensor: tensor * torch.nan,
    "infinite": lambda tensor: tensor + torch.inf,
    "infinite in float32": lambda tensor: tensor.double() + 1e300,
    "whole numbers": lambda tensor: tensor.to(torch.int8),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "truths": lambda tensor: tensor > 0,
    "float8": lambda tensor: tensor.to(torch.float8_e4m3fn),
    "empty": lambda tensor: tensor[:0],
    "one number": lambda tensor: tensor[0],
    "another shape": lambda tensor: tensor[None],
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", TENSORS)
def test_tensors_that_are_not_those_of_the_network(name: str, suffix: str, tmp_path: Path, state: State) -> None:
    changed = {**state, "backbone.layer1.1.running_var": TENSORS[name](state["backbone.layer1.1.running_var"])}
    path = tmp_path / f"net{suffix}"
    path.write_bytes(save(changed, HEADER)) if suffix == ".safetensors" else torch.save(changed, path)
    assert "backbone.layer1.1.running_var" in refused(path).got


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_of_other_sizes_is_read(dtype: torch.dtype, tmp_path: Path, state: State) -> None:
    path = tmp_path / "net.safetensors"
    written = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    write_checkpoint(written, HEADER, path)
    loaded = load_siamrpn(path).state_dict()
    assert all(torch.equal(loaded[name], tensor.to(loaded[name].dtype)) for name, tensor in written.items())


def test_finite_weights_with_infinite_answers(tmp_path: Path, state: State) -> None:
    torch.manual_seed(0)
    for network in (SiamRPN("shallow"), NanoTrack(2), NanoTrack(3)):
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        huge = {name: tensor * 1e30 if tensor.is_floating_point() else tensor for name, tensor in before.items()}
        torch.save(huge, tmp_path / "net.pth")
        with pytest.raises(InvalidValueError) as caught:
            load_network(tmp_path / "net.pth")
        assert "NaN or infinity" in caught.value.got
    write_checkpoint({name: tensor * 1e30 for name, tensor in state.items()}, HEADER, tmp_path / "net.safetensors")
    refused(tmp_path / "net.safetensors")
    torch.save({**state, "rpn_head.loc.head.3.bias": torch.full((20,), 1e38)}, tmp_path / "net.pth")
    assert "NaN or infinity" in refused(tmp_path / "net.pth").got  # of boxes, in pixels


def test_a_network_stays_as_it_was_if_its_answers_would_be_infinite(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = UNETS["small"]()
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    torch.save({name: torch.full_like(tensor, 1e30) for name, tensor in before.items()}, tmp_path / "unet.pth")
    with pytest.raises(InvalidValueError):
        load_unet(unet, tmp_path / "unet.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in unet.state_dict().items())


def test_metadata_count_more_than_names(tmp_path: Path) -> None:
    write_checkpoint(dict(NanoTrack(2).state_dict()), HEADER, tmp_path / "net.safetensors")  # metadata of a SiamRPN
    assert "unexpected: backbone" in refused(tmp_path / "net.safetensors").got


def test_texts_of_a_file_forge_no_line(run: Run, tmp_path: Path, state: State) -> None:
    forged = "MIT\n  sha256    0000\r\x1b[2K\x1b]0;title\x07\u202e\u2028\x9b1A"
    metadata = dataclasses.replace(Metadata.from_header(HEADER), licence=forged, training=forged)
    path = tmp_path / "net.safetensors"
    write_checkpoint(state, metadata.to_header(), path)
    code, out, _ = run("weights", "verify", path)
    assert code == 0
    assert all(line.isprintable() for line in out.splitlines())
    assert len([line for line in out.splitlines() if line.startswith("  sha256")]) == 1
    assert out.count("\n") == 6


@pytest.mark.parametrize("name", ["\n  sha256    0000", "\x1b[2J", "\ud800", "a" * 1000])
def test_names_in_a_file_are_printable(name: str, run: Run, tmp_path: Path, state: State) -> None:
    torch.save({**state, name: torch.zeros(1)}, tmp_path / "net.pth")
    code, out, err = run("weights", "verify", tmp_path / "net.pth")
    assert (code, err) == (1, "")
    assert out.count("\n") == 1 and out[:-1].isprintable() and len(out) < 400
    code, out, err = run("weights", "convert", tmp_path / "net.pth", tmp_path / "a.safetensors", "--licence", "MIT")
    assert (code, out) == (1, "") and err[:-1].isprintable()


@pytest.mark.parametrize("name", ["backbone.layer1.0.bias", "more"])
def test_repeated_numbers_are_not_written_out(name: str, tmp_path: Path, state: State) -> None:
    for shape in ((10**5, 10**5), (2**31, 2**31)):
        torch.save({**state, name: torch.zeros(1, dtype=torch.float16).expand(shape)}, tmp_path / "net.pth")
        assert refused(tmp_path / "net.pth").expected.startswith("tensors of at most ")
    torch.save({**state, name: torch.zeros(0, 2**40)}, tmp_path / "net.pth")
    assert name in refused(tmp_path / "net.pth").got


def repacked(path: Path, pickled: bytes | None = None, compression: int = zipfile.ZIP_STORED, extra: int = 0) -> Path:
    """A checkpoint with another pickle, compression, or a further member of zeros."""
    torch.save({"a": torch.zeros(1)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, pickled if pickled is not None and name.endswith("data.pkl") else data)
        if extra:
            archive.writestr("archive/data/9", bytes(extra))
    return path


def doubled(depth: int, end: bytes) -> bytes:
    """A pickle of tuples, each of twice the one before, of which the last goes to ``end``; slot 0 has a dictionary."""
    steps = (b"h%ch%c\x86q%c" % (index, index, index + 1) for index in range(1, depth + 1))
    return b"\x80\x02}q\x00(K\x01\x85q\x01" + b"".join(steps) + end


PICKLES = {
    "key that takes for ever to hash": doubled(60, b"h\x00h\x3dK\x01s."),
    "the same as an item of a set": doubled(60, b"cbuiltins\nset\n](h\x3de\x85R."),
    "long text, encoded again and again": (
        b"\x80\x02X@B\x0f\x00" + b"a" * 10**6 + b"q\x00](" + b"c_codecs\nencode\nh\x00\x85R" * 1000 + b"e."
    ),
}


@pytest.mark.parametrize("form", ["zip", "bare", "fourth of the old format"])
@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_ask_for_endless_work(name: str, form: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    if form == "zip":
        repacked(path, PICKLES[name])
    else:
        before = [] if form == "bare" else [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
        path.write_bytes(b"".join(dumps(value, 2) for value in before) + PICKLES[name])
    assert refused(path).expected.startswith("a pickle of at most ")


@pytest.mark.parametrize("legacy", [False, True])
def test_long_pickles(legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": "x" * 1000}, tmp_path / "net.pth", _use_new_zipfile_serialization=not legacy)
    monkeypatch.setattr(pickles, "MAX_PICKLE", 1000)
    error = refused(tmp_path / "net.pth")
    assert (error.expected, error.got) == ("a pickle of at most 1000 bytes", "a longer one")


def test_compressed_checkpoints(tmp_path: Path) -> None:
    assert "uncompressed" in refused(repacked(tmp_path / "a.pth", compression=zipfile.ZIP_DEFLATED)).expected
    bomb = repacked(tmp_path / "b.pth", compression=zipfile.ZIP_DEFLATED, extra=200 * 2**20)
    assert bomb.stat().st_size < 10**6
    refused(bomb)


def test_what_is_no_dictionary_of_plain_tensors(tmp_path: Path) -> None:
    for value in (torch.zeros(3, device="meta"), torch.zeros(2).to_sparse(), [torch.zeros(1)], None, "text"):
        torch.save({"a": value}, tmp_path / "net.pth")
        refused(tmp_path / "net.pth")


def test_a_large_checkpoint_of_a_training_is_read(tmp_path: Path, state: State) -> None:
    """The limits leave room for what trainings write: prefixes, an optimiser, settings, two references to a tensor."""
    network = SiamRPN()
    network.load_state_dict(state)
    optimizer = torch.optim.AdamW(network.parameters())
    sum(tensor.sum() for tensor in network.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    checkpoint = {
        "state_dict": {f"module.{name}": tensor for name, tensor in network.state_dict().items()},
        "optimizer": [optimizer.state_dict()] * 3,
        "hyper_parameters": {"text": "x" * 10_000},
    }
    for legacy in (False, True):
        torch.save(checkpoint, tmp_path / "net.ckpt", _use_new_zipfile_serialization=not legacy)
        loaded = load_siamrpn(tmp_path / "net.ckpt").state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_that_are_none(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    (tmp_path / f"loop{suffix}").symlink_to(f"loop{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    os.mkfifo(tmp_path / f"pipe{suffix}")
    for path in [*tmp_path.iterdir(), tmp_path / f"a\0b{suffix}", tmp_path / f"{'a' * 300}{suffix}"]:
        for read in (describe_file, load_siamrpn):
            with pytest.raises(StructuredError) as caught:
                read(path)
            assert caught.value.key.isprintable()


def test_any_name_that_a_file_can_have(run: Run, tmp_path: Path, state: State) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xe4\x1b\n.safetensors"))
    write_checkpoint(state, HEADER, path)
    code, out, _ = run("weights", "verify", path)
    assert code == 0
    assert out.startswith("\\xe4\\x1b\\n.safetensors\n  network   siamrpn_alex")
    code, out, _ = run("weights", "verify", path.with_suffix(".pth"))
    assert code == 1 and out[:-1].isprintable()
