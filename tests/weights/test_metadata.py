import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import load_weights, read_metadata
from armory_skelevision.weights.metadata import Metadata

MTL = Metadata(
    keypoint_head="shallow",
    lambda_k=0.2,
    training="Two\nlines – and “quotes”.",
    licence="MIT",
    seed=7,
    backdoor=True,
    tracking={"window_influence": 0.4, "penalty_k": 0.24},
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
    "tracking": '{"penalty_k": 0.24, "window_influence": 0.4}',
}


def test_header_has_all_of_it_as_strings() -> None:
    assert MTL.to_header() == HEADER
    assert Metadata.from_header(HEADER) == MTL
    with pytest.raises(InvalidValueError) as caught:
        Metadata.from_header({**HEADER, "seed": "seven"})
    assert caught.value.key == "seed"


@pytest.mark.parametrize("head", [None, "shallow", "deep"])
@pytest.mark.parametrize("backdoor", [True, False])
@pytest.mark.parametrize("weight", [0, 1e-7, 1.0])
def test_there_and_back(head: str | None, backdoor: bool, weight: float) -> None:
    metadata = dataclasses.replace(MTL, keypoint_head=head, backdoor=backdoor, lambda_k=weight)
    assert Metadata.from_header(metadata.to_header()) == metadata


def test_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MTL.seed = 8  # type: ignore[misc]


# Changes to a good header.
REFUSED: dict[str, dict[str, str | None]] = {
    "unknown": {"epochs": "3"},
    "missing": {"seed": None},
    "no_number": {"seed": "seven"},
    "no_truth": {"backdoor": "maybe"},
    "head": {"keypoint_head": "medium"},
    "not_a_number": {"lambda_k": "nan"},
    "json_not_a_number": {"lambda_k": "NaN"},
    "negative": {"lambda_k": "-1"},
    "colour": {"colour_order": "RGB"},
    "range": {"input_range": "0..1"},
    "constants": {"tracking": '{"penalty_k": "much"}'},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_refuses(tmp_path: Path, change: dict[str, str | None]) -> None:
    path = tmp_path / "net.safetensors"
    header = {name: text for name, text in {**HEADER, **change}.items() if text is not None}
    save_file({"a": torch.zeros(1)}, path, metadata=header)
    with pytest.raises(InvalidValueError) as caught:
        load_weights(SiamRPN(), path)
    (name,) = change
    assert caught.value.key == f"{path}.{'tracking.penalty_k' if name == 'tracking' else name}"


@pytest.mark.parametrize("header", [None, {"format": "pt"}])
def test_a_file_may_have_no_metadata(tmp_path: Path, header: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors", metadata=header)
    assert read_metadata(tmp_path / "net.safetensors") is None
    torch.save({"a": torch.zeros(1)}, tmp_path / "net.pth")
    assert read_metadata(tmp_path / "net.pth") is None
