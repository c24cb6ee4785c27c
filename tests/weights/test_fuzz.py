"""Mutated weights files: accepted by `verify` and by loading, or refused by both with an error that names the file."""

import json
import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from safetensors.torch import save

from armory_skelevision.models import load_tracker
from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import StructuredError
from armory_skelevision.weights import loading, unet
from armory_skelevision.weights.listing import describe_file, format_description
from armory_skelevision.weights.loading import read_state
from armory_skelevision.weights.metadata import Metadata

pytestmark = pytest.mark.fuzz

SHARED_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
HEADER = Metadata("shallow", 0.2, "Ten pairs.", "MIT", 7, tracking={"penalty_k": 0.24}).to_header()
UNET_HEADER = {
    name: "small" if name == "width" else "unet" if name == "architecture" else "1"
    for name in (
        *(
            "width",
            "settings",
            "training",
            "validation",
            "tracker",
            "tracker_sha256",
            "licence",
            "seed",
            "architecture",
        ),
    )
}
CONSTANTS = ("penalty_k", "window_influence", "learning_rate", "context", "instance_size", "min_size", "penalty", "")

NUMBERS = st.one_of(
    st.sampled_from(
        ["NaN", "Infinity", "-Infinity", "1e999", "-5", "0", "-0.0", "1e-320", "9" * 30, "0x1", "1_0", "٣"]
    ),
    st.floats().map(repr),
    st.integers().map(str),
)
VALUES = st.one_of(NUMBERS, st.sampled_from(["true", "null", "[]", "{}", '"0.1"']), st.text().map(json.dumps))
TRACKING = st.lists(st.tuples(st.sampled_from(CONSTANTS), VALUES), max_size=3).map(
    lambda pairs: "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in pairs) + "}"
)
TEXTS = st.one_of(VALUES, TRACKING, st.text(), st.sampled_from(["none", "deep", "shallow", "small", "unet", "RGB"]))
CHANGES = st.dictionaries(
    st.one_of(st.sampled_from([*HEADER, "width", "tracker"]), st.text()), st.none() | TEXTS, max_size=3
)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(SiamRPN("shallow").state_dict())


@pytest.fixture
def _without_tensors(tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every file has the right tensors, which are not read: only its header counts."""
    monkeypatch.setattr(loading, "read_checkpoint", lambda _: tensors)
    for module in (loading, unet):
        monkeypatch.setattr(module, "fill", lambda *_: None)
    return


def attempt(read: Any, path: Path) -> tuple[str, str] | None:
    """What is wrong with a file; None if it is read."""
    try:
        read(path)
        return None
    except StructuredError as raised:
        error = raised
    assert error.key.startswith(str(path)), error
    assert len(str(error)) < 2000
    return error.key, error.got


@pytest.mark.usefixtures("_without_tensors")
@SHARED_FILE
@given(st.sampled_from([HEADER, UNET_HEADER, {}]), CHANGES)
@example(HEADER, {"tracking": '{"penalty_k": NaN}'})
@example(HEADER, {"tracking": '{"penalty": 1}'})
@example(HEADER, {"licence": "MIT\n  sha256    0"})
def test_headers(tmp_path: Path, header: dict[str, str], changes: dict[str, str | None]) -> None:
    changed = {name: text for name, text in {**header, **changes}.items() if text is not None}
    path = tmp_path / "net.safetensors"
    try:
        path.write_bytes(save({"a": torch.zeros(1)}, changed))
    except Exception:  # texts that no header can have
        return
    verified = attempt(describe_file, path)
    if changed.get("architecture") == "unet":
        assert attempt(unet.read_unet_metadata, path) == verified
        return
    assert attempt(load_tracker, path) == verified
    if verified is None:
        lines = format_description(describe_file(path)).split("\n")
        assert all(line.isprintable() for line in lines)
        assert len(lines) <= 6


def mutations(data: bytes) -> st.SearchStrategy[bytes]:
    """Data with some bytes changed, left out, repeated or cut off."""
    places = st.integers(0, len(data) - 1)
    change = st.tuples(places, st.binary(max_size=9), st.integers(0, 9))

    def carry_out(changes: list[tuple[int, bytes, int]]) -> bytes:
        changed = data
        for place, new, old in changes:
            changed = changed[:place] + new + changed[place + old :]
        return changed

    return st.lists(change, min_size=1, max_size=4).map(carry_out)


def pickled(legacy: bool) -> bytes:
    file = BytesIO()
    torch.save({"state_dict": {"module.a": torch.arange(5.0)}}, file, _use_new_zipfile_serialization=not legacy)
    return file.getvalue()


SAFETENSORS = save({"a": torch.arange(5.0)}, HEADER)
FILES = st.one_of(
    mutations(SAFETENSORS).map(lambda data: (".safetensors", data)),
    mutations(SAFETENSORS[: 8 + 700]).map(lambda data: (".safetensors", data)),
    mutations(pickled(False)).map(lambda data: (".pth", data)),
    mutations(pickled(True)).map(lambda data: (".pt", data)),
    mutations(pickle.dumps({"a": [1, 2.0, ("b",)]}, 2)).map(lambda data: (".ckpt", data)),
)


@SHARED_FILE
@pytest.mark.filterwarnings("ignore")
@given(FILES)
def test_bytes(tmp_path: Path, file: tuple[str, bytes]) -> None:
    suffix, data = file
    path = tmp_path / f"net{suffix}"
    path.write_bytes(data)
    if attempt(read_state, path) is None:
        assert all(isinstance(tensor, torch.Tensor) for tensor in read_state(path).values())
    assert attempt(describe_file, path) is not None  # it has none of the network's tensors
