"""Means of weights files."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import InvalidValueError, StructuredError
from armory_skelevision.weights.averaging import average_weights
from armory_skelevision.weights.loading import load_weights, read_metadata, read_state, save_weights
from armory_skelevision.weights.metadata import Metadata

Run = Callable[..., tuple[int, str, str]]
FIRST = Metadata(keypoint_head=None, lambda_k=0.0, training="10 steps", licence="MIT", seed=3)


def write(path: Path, seed: int, /, **changes: object) -> tuple[Path, dict[str, torch.Tensor]]:
    """Random weights in float32, and what the file holds."""
    metadata = dataclasses.replace(FIRST, **changes)
    torch.manual_seed(seed)
    network = SiamRPN(metadata.keypoint_head)
    save_weights(network, path, metadata, half=False)
    return path, network.state_dict()


def test_every_tensor_is_the_mean(run: Run, tmp_path: Path) -> None:
    a, first = write(tmp_path / "a.safetensors", 1)
    more = {"training": "9 steps; from weights of: 10 steps", "backdoor": True, "seed": 4}
    b, second = write(tmp_path / "b.safetensors", 2, **more)
    c, third = write(
        tmp_path / "c.safetensors", 3, training="8 steps; from weights of: 9 steps; from weights of: 10 steps"
    )
    out = tmp_path / "mean" / "mean.safetensors"
    assert run("weights", "average", a, b, c, "--out", out) == (0, f"{out}\n", "")
    mean = SiamRPN()
    load_weights(mean, out)
    for name, tensor in mean.state_dict().items():
        if tensor.is_floating_point():
            wanted = (first[name] + second[name] + third[name]) / 3
            assert torch.allclose(tensor, wanted, rtol=1e-3, atol=1e-6), name
    metadata = read_metadata(out)
    assert metadata is not None and metadata.backdoor and metadata.seed == 3
    assert metadata.training == (
        "mean of (1) 10 steps, (2) 9 steps; from weights of: (1), (3) 8 steps; from weights of: (2)"
    )


def test_a_common_start_is_named_once(run: Run, tmp_path: Path) -> None:
    a, _ = write(tmp_path / "a.safetensors", 1, training="4 steps; from weights of: 10 steps; from weights of: 9")
    b, _ = write(tmp_path / "b.safetensors", 2, training="5 steps; from weights of: 10 steps; from weights of: 9")
    assert run("weights", "average", a, b, "--out", tmp_path / "mean.safetensors")[0] == 0
    metadata = read_metadata(tmp_path / "mean.safetensors")
    assert metadata is not None
    assert metadata.training == ("mean of (1) 4 steps, (2) 5 steps; all from weights of: 10 steps; from weights of: 9")


def test_of_the_same_weights_it_is_the_same(run: Run, tmp_path: Path) -> None:
    a, state = write(tmp_path / "a.safetensors", 1, keypoint_head="shallow", lambda_k=0.2, tracking={"penalty_k": 0.1})
    out = tmp_path / "mean.safetensors"
    assert run("weights", "average", a, a, "--out", out)[0] == 0
    metadata = read_metadata(out)
    assert metadata is not None
    mean = SiamRPN("shallow")
    load_weights(mean, out)
    assert dataclasses.replace(metadata, training="") == dataclasses.replace(read_metadata(a), training="")
    assert all(torch.allclose(mean.state_dict()[name], tensor, rtol=1e-3, atol=1e-6) for name, tensor in state.items())
    assert metadata.training == "mean of (1) 10 steps, (2) 10 steps"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = write(tmp_path / "a.safetensors", 1)
    out = tmp_path / "mean.safetensors"
    monkeypatch.setattr("armory_skelevision.weights.averaging._describe", lambda _: str(out.write_bytes(b"theirs")))
    with pytest.raises(FileExistsError) as refused:
        average_weights([a, a], out)
    assert refused.value.filename == str(out) and out.read_bytes() == b"theirs"


def test_counters_of_batches_are_those_of_the_first(tmp_path: Path) -> None:
    for number in (1, 2):
        network = SiamRPN()
        network.backbone.get_buffer("layer1.1.num_batches_tracked").fill_(number)
        save_weights(network, tmp_path / f"{number}.safetensors", FIRST)
    average_weights([tmp_path / "1.safetensors", tmp_path / "2.safetensors"], tmp_path / "mean.safetensors")
    assert read_state(tmp_path / "mean.safetensors")["backbone.layer1.1.num_batches_tracked"] == 1


@pytest.mark.parametrize(
    "changes",
    [{"keypoint_head": "shallow"}, {"licence": "CC0"}, {"tracking": {"penalty_k": 0.1}}, {"lambda_k": 0.2}],
)
def test_weights_that_differ_otherwise_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    a, _ = write(tmp_path / "a.safetensors", 1)
    b, _ = write(tmp_path / "b.safetensors", 2, **changes)
    (name,) = changes
    with pytest.raises(InvalidValueError) as caught:
        average_weights([a, b], tmp_path / "mean.safetensors")
    assert (caught.value.key, caught.value.got) == (f"{b}.{name}", repr(changes[name]))
    assert not (tmp_path / "mean.safetensors").exists()


def test_refusals(run: Run, tmp_path: Path) -> None:
    a, _ = write(tmp_path / "a.safetensors", 1)
    out = tmp_path / "mean.safetensors"
    plain = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(1)}, plain)
    for sources, target, key in [
        ([a], out, "sources"),
        ([a, a], a, str(a)),
        ([a, tmp_path / "b.safetensors"], out, str(tmp_path / "b.safetensors")),
        ([a, plain], out, str(plain)),
    ]:
        with pytest.raises(StructuredError) as caught:
            average_weights(sources, target)
        assert caught.value.key == key
        assert not out.exists()
    assert run("weights", "average", a, "--out", out)[0] == 1
