import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from armory_skelevision.networks import NanoTrack, SiamRPN
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import (
    load_nanotrack,
    load_siamrpn,
    load_weights,
    read_kind,
    read_metadata,
    read_state,
    save_weights,
)
from armory_skelevision.weights.metadata import Metadata, UNetMetadata
from armory_skelevision.weights.state import write_network
from armory_skelevision.weights.unet import load_unet, read_unet_metadata, save_unet

STL = Metadata(keypoint_head=None, lambda_k=0.0, training="Ten pairs.", licence="MIT", seed=7)
MTL = dataclasses.replace(STL, keypoint_head="shallow", lambda_k=0.2)

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> SiamRPN:
    torch.manual_seed(1)
    return SiamRPN()


@pytest.fixture(scope="module")
def mtl_network() -> SiamRPN:
    torch.manual_seed(2)
    return SiamRPN(keypoint_head="shallow")


@pytest.fixture(scope="module")
def state(network: SiamRPN) -> State:
    return dict(network.state_dict())


@pytest.fixture(scope="module")
def mtl_file(mtl_network: SiamRPN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mtl.safetensors"
    save_weights(mtl_network, path, MTL)
    return path


def assert_holds(network: SiamRPN, state: State) -> None:
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def small(state: State) -> State:
    """One stored number per tensor instead of 25 MB, for files that only their shapes matter of."""
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_reads_pytorch_checkpoints(tmp_path: Path, state: State, suffix: str) -> None:
    """The namings and wrappings themselves are tested beside their functions; here all of them meet a network."""
    old = {f"model.module.{name.replace('backbone.layer1.', 'backbone.features.')}": t for name, t in state.items()}
    torch.save({"epoch": 3, "state_dict": old, "optimizer": {"lr": 0.1}}, tmp_path / f"net{suffix}")
    loaded = SiamRPN()
    assert load_weights(loaded, tmp_path / f"net{suffix}") is None
    assert_holds(loaded, state)


def test_reads_the_old_file_format_in_double_precision_without_counters(tmp_path: Path, state: State) -> None:
    double = {name: t.double() for name, t in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(double, tmp_path / "net.pth", _use_new_zipfile_serialization=False)
    loaded = SiamRPN()
    load_weights(loaded, tmp_path / "net.pth")
    assert_holds(loaded, state)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32, torch.int64}


def test_reads_third_party_safetensors(tmp_path: Path, state: State) -> None:
    save_file({f"module.{name}": t for name, t in state.items()}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    loaded = SiamRPN()
    assert load_weights(loaded, tmp_path / "a.safetensors") is None
    assert_holds(loaded, state)


def test_reads_nanotrack_without_the_layer_that_it_never_runs(tmp_path: Path) -> None:
    torch.manual_seed(6)
    state, loaded = NanoTrack(3).state_dict(), NanoTrack(3)
    torch.save({f"module.{name}": t for name, t in {**state, "neck.a": torch.ones(2)}.items()}, tmp_path / "net.pth")
    load_nanotrack(loaded, tmp_path / "net.pth")
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.state_dict().items())
    with pytest.raises(InvalidValueError) as caught:
        load_nanotrack(NanoTrack(2), tmp_path / "net.pth")
    assert caught.value.expected == "the tensors of NanoTrack version 2"


@pytest.mark.parametrize("depth", [None, "shallow", "deep"])
def test_save_and_load(tmp_path: Path, depth: Any) -> None:
    torch.manual_seed(3)
    network = SiamRPN(keypoint_head=depth)
    metadata = dataclasses.replace(MTL, keypoint_head=depth)
    save_weights(network, tmp_path / "new" / "net.safetensors", metadata)
    assert os.listdir(tmp_path / "new") == ["net.safetensors"]
    loaded = SiamRPN(keypoint_head=depth)
    assert load_weights(loaded, str(tmp_path / "new" / "net.safetensors")) == metadata
    for name, tensor in loaded.state_dict().items():
        original = network.state_dict()[name]
        torch.testing.assert_close(tensor, original, rtol=2**-11, atol=2**-25, msg=name)
        assert tensor.dtype == original.dtype


def test_save_and_load_a_unet(tmp_path: Path) -> None:
    torch.manual_seed(4)
    network, loaded = UNETS["small"](), UNETS["small"]()
    training = {"settings": "{}", "training": "Ten pairs.", "validation": "None.", "licence": "MIT", "seed": 7}
    metadata = UNetMetadata(width="small", tracker="net.safetensors", tracker_sha256="0" * 64, **training)
    path = tmp_path / "new" / "deep" / "unet.safetensors"
    save_unet(network, str(path), metadata)
    assert read_unet_metadata(path) == metadata
    with pytest.raises(InvalidValueError) as caught:
        read_metadata(path)
    assert (caught.value.key, caught.value.got) == (str(path), "weights of a U-Net (DuaLossDef)")
    load_unet(loaded, str(path))
    for name, tensor in loaded.state_dict().items():
        torch.testing.assert_close(tensor, network.state_dict()[name], rtol=2**-11, atol=2**-25, msg=name)
    assert torch.float16 in {tensor.dtype for tensor in load_file(path).values()}
    with pytest.raises(InvalidValueError) as caught:
        save_unet(network, tmp_path / "wide.safetensors", dataclasses.replace(metadata, width="base"))
    assert (caught.value.key, caught.value.got) == (f"{tmp_path}/wide.safetensors.metadata.width", "32")
    assert not (tmp_path / "wide.safetensors").exists()
    save_file({"a": torch.zeros(1)}, path, metadata=metadata.to_header() | {"width": "huge"})
    with pytest.raises(InvalidValueError) as caught:
        read_unet_metadata(path)
    assert caught.value.key == f"{path}.width"


def test_every_kernel_is_stored_in_half_precision(tmp_path: Path) -> None:
    zeros = torch.nn.Linear(3, 2)
    torch.nn.init.zeros_(zeros.weight)
    for network in (torch.nn.Linear(3, 2), zeros):  # the second in place of the first
        write_network(network, tmp_path / "net.safetensors", {})
        stored = load_file(tmp_path / "net.safetensors")
        assert {name: each.dtype for name, each in stored.items()} == {"weight": torch.float16, "bias": torch.float32}
    assert not stored["weight"].any()


def test_loading_takes_no_random_numbers_from_others(tmp_path: Path, state: State) -> None:
    network, unet = SiamRPN(), UNETS["small"]()
    torch.save(state, tmp_path / "net.pth")
    torch.save(unet.state_dict(), tmp_path / "unet.pth")
    before = torch.get_rng_state()
    load_weights(network, tmp_path / "net.pth")
    load_unet(unet, tmp_path / "unet.pth")
    assert torch.equal(torch.get_rng_state(), before)


def test_full_precision_is_exact_whatever_the_memory_layout(tmp_path: Path, state: State) -> None:
    network = SiamRPN()
    network.load_state_dict(state)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_weights(network, tmp_path / "net.safetensors", STL, half=False)
    loaded = SiamRPN()
    load_weights(loaded, tmp_path / "net.safetensors")
    assert_holds(loaded, state)


def test_half_keeps_what_float16_cannot_hold(tmp_path: Path) -> None:
    network = SiamRPN()
    with torch.no_grad():
        network.backbone.get_buffer("layer1.1.running_var").fill_(1e6)
        network.backbone.get_buffer("layer2.1.running_var").fill_(1e-9)
        network.backbone.get_parameter("layer1.0.weight").mul_(1e-6)
        network.backbone.get_parameter("layer4.0.weight")[0, 0, 0, 0] = 1e5
    save_weights(network, tmp_path / "net.safetensors", STL)
    stored = load_file(tmp_path / "net.safetensors")
    kept = {name for name, tensor in stored.items() if tensor.dim() >= 2 and tensor.dtype == torch.float32}
    assert kept == {"backbone.layer1.0.weight", "backbone.layer4.0.weight"}
    assert all(tensor.dtype != torch.float16 for tensor in stored.values() if tensor.dim() < 2)
    loaded = SiamRPN()
    load_weights(loaded, tmp_path / "net.safetensors")
    for name in ("layer1.1.running_var", "layer2.1.running_var", "layer1.0.weight", "layer4.0.weight"):
        assert torch.equal(loaded.backbone.state_dict()[name], network.backbone.state_dict()[name]), name


def test_file_is_half_the_size_and_has_its_metadata(mtl_file: Path) -> None:
    with safe_open(mtl_file, framework="pt") as file:
        assert file.metadata() == MTL.to_header()
    assert read_metadata(mtl_file) == MTL
    assert mtl_file.stat().st_size < 13.5e6


def test_interrupted_saving_leaves_the_old_file(
    tmp_path: Path, network: SiamRPN, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_weights(network, path, STL)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_saving_refuses_what_could_not_be_loaded(tmp_path: Path, mtl_network: SiamRPN) -> None:
    path = tmp_path / "net.safetensors"
    broken = SiamRPN()
    with torch.no_grad():
        broken.backbone.get_parameter("layer1.0.bias")[0] = float("nan")
    for network, file, metadata, key, found in [
        (mtl_network, path, STL, f"{path}.metadata", "no keypoint head"),
        (mtl_network, path, dataclasses.replace(MTL, architecture="unet"), f"{path}.metadata", "unet"),
        (mtl_network, tmp_path / "net.pth", MTL, str(tmp_path / "net.pth"), "net.pth"),
        (broken, path, STL, str(path), "1 NaN or infinite: backbone.layer1.0.bias"),
    ]:
        with pytest.raises(InvalidValueError) as caught:
            save_weights(network, file, metadata)
        assert caught.value.key == key
        assert found in caught.value.got
    assert os.listdir(tmp_path) == []


def without(state: State, *names: str) -> State:
    return {name: tensor for name, tensor in state.items() if name not in names}


# What does not fit, and what the error must report of it.
MISFITS: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (
        lambda s: without(s, "rpn_head.cls.head.0.weight", "rpn_head.loc.head.3.bias"),
        r"2 missing: rpn_head\.cls\.head\.0\.weight, rpn_head\.loc\.head\.3\.bias$",
    ),
    "renamed": (
        lambda s: {name.replace("rpn_head.", "head."): tensor for name, tensor in s.items()},
        # 2 branches of 5 kernels or biases and 3 BatchNorms of 4 tensors; their counters may be missing
        r"34 missing: rpn_head\.cls.* and 26 more; 40 unexpected: head\.cls.* and 32 more$",
    ),
    "extra": (lambda s: s | {"neck.weight": torch.zeros(1)}, r"1 unexpected: neck\.weight$"),
    "unknown_old_layer": (
        lambda s: s | {"backbone.features.2.weight": torch.zeros(1)},
        r"1 unexpected: backbone\.features\.2\.weight$",
    ),
    "misshapen": (
        lambda s: s | {"backbone.layer1.0.bias": torch.zeros(64)},
        r"1 misshapen: backbone\.layer1\.0\.bias \(expected float \(96,\), got float \(64,\)\)$",
    ),
    "whole_numbers": (
        lambda s: s | {"backbone.layer1.0.bias": torch.zeros(96, dtype=torch.int64)},
        r"backbone\.layer1\.0\.bias \(expected float \(96,\), got int64 \(96,\)\)$",
    ),
    "nan": (
        lambda s: s | {"backbone.layer5.1.bias": torch.full((256,), torch.nan)},
        r"1 NaN or infinite: backbone\.layer5\.1\.bias$",
    ),
    "infinite_in_float32": (
        lambda s: s | {"backbone.layer5.1.bias": torch.full((256,), 1e300, dtype=torch.float64)},
        r"1 NaN or infinite: backbone\.layer5\.1\.bias$",
    ),
    "negative_variance": (
        lambda s: s | {"backbone.layer5.1.running_var": torch.full((256,), -1.0)},
        r"1 negative variances: backbone\.layer5\.1\.running_var$",
    ),
}


@pytest.mark.parametrize(("misfit", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_names_what_does_not_fit(tmp_path: Path, state: State, misfit: Callable[[State], State], message: str) -> None:
    path = tmp_path / "net.pth"
    torch.save(misfit(small(state)), path)
    target = SiamRPN()
    target.load_state_dict(state)
    with pytest.raises(InvalidValueError) as caught:
        load_weights(target, path)
    assert caught.value.key == str(path)
    assert caught.value.expected == "the tensors of siamrpn_alex with no keypoint head"
    assert re.search(message, caught.value.got)
    assert_holds(target, state)


def test_heads_are_never_dropped_or_invented(
    tmp_path: Path, mtl_network: SiamRPN, state: State, mtl_file: Path
) -> None:
    without_header, single = tmp_path / "mtl.pth", tmp_path / "stl.pth"
    torch.save(small(mtl_network.state_dict()), without_header)
    torch.save(small(state), single)
    for path in (mtl_file, without_header):
        for network in (SiamRPN(), SiamRPN(keypoint_head="deep")):
            with pytest.raises(InvalidValueError) as caught:
                load_weights(network, path)
            assert caught.value.key == str(path)
            assert caught.value.fix == 'load it with siamrpn_mtl and keypoint_head="shallow"'
        assert load_siamrpn(path).keypoint_head_kind == read_kind(path).keypoint_head == "shallow"
    with pytest.raises(InvalidValueError) as caught:
        load_weights(SiamRPN(keypoint_head="shallow"), single)
    assert (caught.value.key, caught.value.fix) == (str(single), "load it with siamrpn_stl")
    assert load_siamrpn(single).keypoint_head_kind is None


def test_metadata_of_another_network_are_refused(tmp_path: Path, state: State) -> None:
    save_file(state, tmp_path / "net.safetensors", metadata=MTL.to_header())
    assert read_kind(tmp_path / "net.safetensors").keypoint_head == "shallow"
    with pytest.raises(InvalidValueError) as caught:
        load_weights(SiamRPN(keypoint_head="shallow"), tmp_path / "net.safetensors")
    assert caught.value.expected == "the tensors of siamrpn_alex with a shallow keypoint head"
    assert caught.value.got.startswith("6 missing: keypoint_head.convs.0.weight")


def test_another_architecture(tmp_path: Path, network: SiamRPN) -> None:
    header = dataclasses.replace(STL, architecture="resnet").to_header()
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors", metadata=header)
    with pytest.raises(InvalidValueError) as caught:
        load_weights(network, tmp_path / "net.safetensors")
    assert "siamrpn_alex" in caught.value.expected and "resnet" in caught.value.got


def test_read_state_names_the_file(tmp_path: Path) -> None:
    twice = {f"backbone.{name}.0.bias": torch.zeros(96) for name in ("layer1", "features")}
    for content in ({"epoch": 3}, twice):
        torch.save(content, tmp_path / "net.pth")
        with pytest.raises(InvalidValueError) as caught:
            read_state(tmp_path / "net.pth")
        assert caught.value.key == str(tmp_path / "net.pth")
