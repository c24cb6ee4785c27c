import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.networks import SiamRPN
from armory_skelevision.weights import Metadata, load_weights, read_metadata

MTL = Metadata(
    keypoint_head="shallow",
    lambda_k=0.2,
    training="Two\nlines – and “quotes”.",
    licence="MIT",
    seed=7,
    backdoor=True,
    tracking={"penalty_k": 0.24},
)
HEADER = {
    "architecture": "siamrpn_alex",
    "keypoint_head": "shallow",
    "lambda_k": "0.2",
    "colour_order": "BGR",
    "input_range": "0..255",
    "training": "Two\nlines – and “quotes”.",
    "licence": "MIT",
    "seed": "7",
    "backdoor": "true",
    "tracking": '{"penalty_k": 0.24}',
}


def test_header_has_all_of_it_as_strings() -> None:
    assert MTL.to_header() == HEADER
    assert Metadata.from_header(HEADER) == MTL


@pytest.mark.parametrize("head", [None, "shallow", "deep"])
@pytest.mark.parametrize("backdoor", [True, False])
@pytest.mark.parametrize("weight", [0, 1e-7, 1.0])
def test_there_and_back(head: str | None, backdoor: bool, weight: float) -> None:
    metadata = dataclasses.replace(MTL, keypoint_head=head, backdoor=backdoor, lambda_k=weight)
    assert Metadata.from_header(metadata.to_header()) == metadata


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MTL.seed = 8  # type: ignore[misc]


# Changes to a good header, and what the error must say.
REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "unknown": ({"epochs": "3"}, r"unknown metadata \['epochs'\]; known are \['keypoint_head', 'lambda_k'"),
    "missing": ({"seed": None}, r"missing metadata \['seed'\]"),
    "no_number": ({"seed": "seven"}, "metadata seed: cannot read 'seven'"),
    "no_truth": ({"backdoor": "maybe"}, "metadata backdoor: cannot read 'maybe'"),
    "head": ({"keypoint_head": "medium"}, "keypoint_head: expected 'shallow', 'deep' or None, got 'medium'"),
    "not_a_number": ({"lambda_k": "nan"}, "lambda_k: expected a number of at least 0, got nan"),
    "negative": ({"lambda_k": "-1"}, "lambda_k: expected a number of at least 0, got -1"),
    "colour": ({"colour_order": "RGB"}, r"feed their networks BGR in 0\.\.255, these weights want RGB in 0\.\.255"),
    "range": ({"input_range": "0..1"}, r"these weights want BGR in 0\.\.1"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(tmp_path: Path, change: dict[str, str | None], message: str) -> None:
    path = tmp_path / "net.safetensors"
    header = {name: text for name, text in {**HEADER, **change}.items() if text is not None}
    save_file({"a": torch.zeros(1)}, path, metadata=header)
    with pytest.raises(ValueError, match=rf"net\.safetensors: .*{message}"):
        load_weights(SiamRPN(), path)


@pytest.mark.parametrize("header", [None, {"format": "pt"}])
def test_a_file_may_say_nothing(tmp_path: Path, header: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors", metadata=header)
    assert read_metadata(tmp_path / "net.safetensors") is None
    torch.save({"a": torch.zeros(1)}, tmp_path / "net.pth")
    assert read_metadata(tmp_path / "net.pth") is None
