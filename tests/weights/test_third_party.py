from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch

from armory_skelevision.networks import SiamRPN
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights import third_party
from armory_skelevision.weights.third_party import (
    current_name,
    keypoint_head_kind,
    legacy_name,
    list_some,
    rename,
    unwrap,
)

# Layers in PySOT's older checkpoints and what they are called now.
FEATURES = {0: "1.0", 1: "1.1", 4: "2.0", 5: "2.1", 8: "3.0", 9: "3.1", 11: "4.0", 12: "4.1", 14: "5.0", 15: "5.1"}

State = dict[str, Any]

PATH = "net.pth"


@pytest.fixture(scope="module")
def state() -> State:
    """The network's names, each with a number of its own."""
    return {name: torch.tensor([float(index)]) for index, name in enumerate(SiamRPN().state_dict())}


def old_names(state: State) -> State:
    """The backbone as in PySOT's older checkpoints."""
    renamed = {}
    for name, tensor in state.items():
        for index, layer in FEATURES.items():
            name = name.replace(f"backbone.layer{layer}.", f"backbone.features.{index}.")
        renamed[name] = tensor
    assert sum(name.startswith("backbone.features.") for name in renamed) == 35
    return renamed


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


# What trainers make of a state dict.
WRAPPINGS: dict[str, Callable[[State], object]] = {
    "plain": dict,
    "ordered": OrderedDict,
    "pysot_old_names": old_names,
    "data_parallel": lambda state: prefixed("module.", state),
    "pysot_training": lambda state: {"epoch": 3, "state_dict": prefixed("module.", old_names(state)), "optimizer": {}},
    "lightning": lambda state: {
        "state_dict": prefixed("model.", state),
        "global_step": 5,
        "hyper_parameters": {"a": 1},
    },
    "lightning_data_parallel": lambda state: {"state_dict": prefixed("model.module.", old_names(state))},
    "under_model": lambda state: {"model": state, "epoch": 3},
    "twice": lambda state: {"model": {"state_dict": prefixed("module.model.", state)}},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS.keys())
def test_finds_the_tensors_under_todays_names(state: State, wrap: Callable[[State], object]) -> None:
    assert rename(unwrap(wrap(state), PATH), PATH) == state


# Checkpoints that are no dictionary of tensors, and the end of what the error must report.
OTHERS = {
    "list": ([torch.zeros(1)], "list"),
    "tensor": (torch.zeros(1), "Tensor"),
    "empty": ({"state_dict": {}}, "an empty one"),
    "numbers": ({"epoch": 3, "a.weight": torch.zeros(1), 5: torch.zeros(1)}, "no plain tensors: epoch, 5"),
    "sparse": ({"a.weight": torch.zeros(2, 2).to_sparse()}, "no plain tensors: a.weight"),
    "model_is_a_name": ({"model": "SiamRPN", "a.weight": torch.zeros(1)}, "no plain tensors: model"),
}


@pytest.mark.parametrize(("checkpoint", "found"), OTHERS.values(), ids=OTHERS.keys())
def test_refuses_other_contents(checkpoint: object, found: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        unwrap(checkpoint, PATH)
    assert caught.value.key == PATH
    wrappers = "'state_dict' or 'model' or 'model_state_dict'"
    assert caught.value.expected == f"a dictionary of tensors, possibly inside {wrappers}"
    assert caught.value.got.endswith(found)


def test_the_size_of_the_tensors_is_that_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = {"a": torch.zeros(3, dtype=torch.float64), "b": torch.zeros(1).expand(2, 5)}
    monkeypatch.setattr(third_party, "MAX_TENSORS", 4 * 13)
    assert unwrap(checkpoint, PATH).keys() == {"a", "b"}
    monkeypatch.setattr(third_party, "MAX_TENSORS", 4 * 13 - 1)
    with pytest.raises(InvalidValueError) as caught:
        unwrap(checkpoint, PATH)
    assert (caught.value.key, caught.value.got) == (PATH, "52 bytes")


def test_a_checkpoint_that_contains_itself_is_refused() -> None:
    checkpoint: dict[str, object] = {}
    checkpoint["model"] = checkpoint
    with pytest.raises(InvalidValueError):
        unwrap(checkpoint, PATH)


def test_refuses_two_tensors_of_one_name() -> None:
    with pytest.raises(InvalidValueError) as caught:
        rename({"model.a.b": torch.zeros(1), "a.b": torch.ones(1)}, PATH)
    assert caught.value.key == PATH
    assert "model.a.b, a.b" in caught.value.got


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("backbone.layer3.1.running_var", "backbone.layer3.1.running_var"),
        ("module.model.rpn_head.cls.head.3.bias", "rpn_head.cls.head.3.bias"),
        ("model.backbone.features.14.weight", "backbone.layer5.0.weight"),
        ("backbone.features.3.weight", "backbone.features.3.weight"),  # a ReLU: no such tensor
        ("models.backbone.features.0.weight", "models.backbone.features.0.weight"),
        *((f"backbone.features.{index}.bias", f"backbone.layer{layer}.bias") for index, layer in FEATURES.items()),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert current_name(name) == expected


def test_legacy_names_are_the_inverse() -> None:
    names = list(SiamRPN("shallow").state_dict())
    legacy = [legacy_name(name) for name in names]
    assert [current_name(name) for name in legacy] == names
    assert {name.split(".")[2] for name in legacy if name.startswith("backbone.")} == {str(index) for index in FEATURES}


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "name", ["module." * 200_000 + "a", f"backbone.features.{'9' * 5000}.bias", "backbone.features.٤.bias"]
)
def test_strange_names_are_names(name: str) -> None:
    assert current_name(name) == name.replace("module.", "")


def test_renaming_leaves_its_argument_alone() -> None:
    state = {"module.backbone.features.0.weight": torch.zeros(1)}
    assert list(rename(state, PATH)) == ["backbone.layer1.0.weight"]
    assert list(state) == ["module.backbone.features.0.weight"]


@pytest.mark.parametrize("kind", [None, "shallow", "deep", "regression"])
def test_kind_of_head_by_names(kind: Any) -> None:
    assert keypoint_head_kind(SiamRPN(keypoint_head=kind).state_dict()) == kind


def test_lists_are_cut() -> None:
    assert list_some("abc") == "a, b, c"
    assert list_some(["a\n\x1b[2J\ud800", "x" * 1000]) == r"a\n\x1b[2J\ud800, " + "x" * 80 + "…"
    assert list_some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
    assert list_some([*"abcdefg", "x" * 80]) == "a, b, c, d, e, f, g, " + "x" * 80
