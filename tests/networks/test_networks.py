import pytest
import torch
from torch import Tensor

from armory_skelevision.networks import RPNOutput, SiamRPN
from armory_skelevision.networks.backbone import AlexNet
from armory_skelevision.networks.heads import DepthwiseRPN, depthwise_xcorr
from armory_skelevision.networks.keypoint_head import HeatmapHead, RegressionHead, make_keypoint_head
from armory_skelevision.validation import InvalidValueError

# (inputs, outputs, kernel side) of the five blocks
CONVOLUTIONS = [(3, 96, 11), (96, 256, 5), (256, 384, 3), (384, 384, 3), (384, 256, 3)]


@pytest.fixture(scope="module")
def network() -> SiamRPN:
    torch.manual_seed(0)
    return SiamRPN(keypoint_head="shallow").eval()


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def crops(number: int, side: int, seed: int = 0) -> Tensor:
    return torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 255


def batch_norm(name: str) -> set[str]:
    return {f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}


def pysot_names() -> set[str]:
    names = set()
    for layer in range(1, 6):
        names |= {f"backbone.layer{layer}.0.weight", f"backbone.layer{layer}.0.bias"}
        names |= batch_norm(f"backbone.layer{layer}.1")
    for branch in ("rpn_head.cls", "rpn_head.loc"):
        for part in ("conv_kernel", "conv_search", "head"):
            names |= {f"{branch}.{part}.0.weight"} | batch_norm(f"{branch}.{part}.1")
        names |= {f"{branch}.head.3.weight", f"{branch}.head.3.bias"}
    return names


def test_state_dict_has_pysots_names() -> None:
    assert set(SiamRPN().state_dict()) == pysot_names()


def test_parameter_counts_by_hand() -> None:
    backbone = sum(a * b * side**2 + b + 2 * b for a, b, side in CONVOLUTIONS)  # kernel, bias, BatchNorm
    adapter = 256 * 256 * 9 + 2 * 256

    def branch(outputs: int) -> int:
        return 2 * adapter + 256 * 256 + 2 * 256 + 256 * outputs + outputs

    assert count(AlexNet()) == backbone == 3_749_952
    assert count(DepthwiseRPN()) == branch(10) + branch(20) == 2_501_150
    assert count(SiamRPN()) == 6_251_102
    assert count(HeatmapHead("shallow")) == 438_481
    assert count(HeatmapHead("deep")) == 622_993
    assert count(SiamRPN(keypoint_head="deep")) == 6_251_102 + 622_993


@pytest.mark.parametrize(
    ("side", "sides"), [(127, (29, 12, 10, 8, 6)), (255, (61, 28, 26, 24, 22)), (287, (69, 32, 30, 28, 26))]
)
def test_backbone_sizes(network: SiamRPN, side: int, sides: tuple[int, ...]) -> None:
    with torch.no_grad():
        images = crops(1, side)
        for layer, (_, channels, _), expected in zip(AlexNet.layers, CONVOLUTIONS, sides, strict=True):
            assert network.backbone.activations(images, layer).shape == (1, channels, expected, expected)
        assert network.embed(images).shape == (1, 256, sides[-1], sides[-1])


def test_activations_are_those_on_the_way_through(network: SiamRPN) -> None:
    seen: dict[str, Tensor] = {}
    hooks = [
        network.backbone.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output.clone()})
        )
        for name in AlexNet.layers
    ]
    with torch.no_grad():
        images = crops(1, 127)
        network.embed(images)
        for hook in hooks:
            hook.remove()
        for layer in AlexNet.layers:
            assert torch.equal(network.backbone.activations(images, layer), seen[layer])
    assert all((seen[layer] >= 0).all() for layer in AlexNet.layers[:-1])
    assert (seen["layer5"] < 0).any(), "the last block has no ReLU"


def test_unknown_layer_lists_the_known(network: SiamRPN) -> None:
    with pytest.raises(InvalidValueError) as caught:
        network.backbone.activations(crops(1, 127), "layer6")
    assert (caught.value.key, caught.value.got) == ("layer", "'layer6'")
    assert "layer1, layer2" in caught.value.expected


@pytest.mark.parametrize(("side", "response"), [(255, 17), (287, 21)])
def test_response_sizes(network: SiamRPN, side: int, response: int) -> None:
    with torch.no_grad():
        output = network(crops(1, 127), crops(2, side))
    assert isinstance(output, RPNOutput)
    assert output.cls.shape == (2, 10, response, response)
    assert output.loc.shape == (2, 20, response, response)


def test_forward_is_embed_and_respond(network: SiamRPN) -> None:
    z, x = crops(1, 127), crops(1, 255, seed=1)
    with torch.no_grad():
        whole = network(z, x)
        parts = network.predict_head(network.embed(z), network.embed(x))
    assert torch.equal(whole.cls, parts.cls)
    assert torch.equal(whole.loc, parts.loc)


def test_a_rounded_network_takes_and_gives_float32(network: SiamRPN) -> None:
    rounded, (z, x) = network.rounded(), (crops(1, 127), crops(1, 255, seed=1))
    assert {weight.dtype for weight in rounded.parameters()} == {torch.bfloat16}
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    with torch.no_grad():
        found, wanted = rounded(z, x), network(z, x)
    for values, exact in zip(found, wanted, strict=True):
        assert values.dtype == torch.float32 and not torch.equal(values, exact)
        assert (values - exact).std() < 0.1 * exact.std()


def test_one_template_serves_all_search_crops(network: SiamRPN) -> None:
    with torch.no_grad():
        z, x = network.embed(crops(1, 127)), network.embed(crops(3, 255, seed=1))
        one, repeated = network.predict_head(z, x), network.predict_head(z.repeat(3, 1, 1, 1), x)
    torch.testing.assert_close(one.cls, repeated.cls, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(one.loc, repeated.loc, rtol=1e-5, atol=1e-4)


def test_each_search_crop_meets_its_own_template(network: SiamRPN) -> None:
    with torch.no_grad():
        z, x = network.embed(crops(2, 127)), network.embed(crops(2, 255, seed=1))
        together = network.predict_head(z, x)
        alone = [network.predict_head(z[i : i + 1], x[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together.cls, torch.cat([output.cls for output in alone]), rtol=1e-5, atol=1e-4)
    assert not torch.allclose(network.predict_head(z.flip(0), x).cls, together.cls, atol=1e-2)


@pytest.mark.parametrize("templates", [1, 2])
def test_gradient_flows_to_both_crops_and_all_weights(templates: int) -> None:
    torch.manual_seed(0)
    network = SiamRPN(keypoint_head="shallow")
    z, x = crops(templates, 127).requires_grad_(), crops(2, 255, seed=1).requires_grad_()
    z_features = network.embed(z)
    output = network.predict_head(z_features, network.embed(x))
    (output.cls.square().sum() + output.loc.square().sum() + network.keypoints(z_features).square().sum()).backward()
    for leaf in (z, x):
        assert leaf.grad is not None
        assert all(torch.isfinite(gradient).all() and gradient.abs().sum() > 0 for gradient in leaf.grad)
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("templates", [1, 2])
def test_xcorr_equals_explicit_loops(templates: int) -> None:
    generator = torch.Generator().manual_seed(0)
    search = torch.randn(2, 3, 6, 5, generator=generator, dtype=torch.float64)
    kernel = torch.randn(templates, 3, 4, 2, generator=generator, dtype=torch.float64)
    expected = torch.empty(2, 3, 3, 4, dtype=torch.float64)
    for n in range(2):
        for c in range(3):
            for y in range(3):
                for x in range(4):
                    patch = search[n, c, y : y + 4, x : x + 2]
                    expected[n, c, y, x] = (patch * kernel[n if templates == 2 else 0, c]).sum()
    torch.testing.assert_close(depthwise_xcorr(search, kernel), expected)
    inputs = (search.requires_grad_(), kernel.requires_grad_())
    assert torch.autograd.gradcheck(depthwise_xcorr, inputs)


@pytest.mark.parametrize("shape", [(2, 4, 2, 2), (1, 3, 2, 2)])
def test_xcorr_names_shapes_that_do_not_meet(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidValueError) as caught:
        depthwise_xcorr(torch.zeros(3, 4, 6, 6), torch.zeros(shape))
    assert (caught.value.key, caught.value.got) == ("template features", f"shape {shape}")
    assert "(3, 4, h, w) for search features (3, 4, 6, 6)" in caught.value.expected


def test_keypoints(network: SiamRPN) -> None:
    with torch.no_grad():
        features = network.embed(crops(2, 127))
        assert network.keypoints(features).shape == (2, 17, 127, 127)
        assert network.keypoint_head is not None
        assert network.keypoint_head.deconv(network.keypoint_head.convs(features)).shape == (2, 17, 16, 16)
    assert network.keypoint_head_kind == "shallow"


def test_keypoint_map_is_not_mirrored_or_shifted(network: SiamRPN) -> None:
    """A bright spot at one place of the 16 x 16 map shows at the same place of the 127 x 127 one."""
    assert network.keypoint_head is not None
    head = HeatmapHead("deep").eval()
    coarse = torch.zeros(1, 17, 16, 16)
    coarse[0, 0, 3, 11] = 1
    head.deconv.register_forward_hook(lambda *_: coarse)
    with torch.no_grad():
        position = int(head(torch.zeros(1, 256, 6, 6))[0, 0].argmax())
    row, column = divmod(position, 127)
    assert abs(row + 0.5 - 3.5 * 127 / 16) <= 0.5
    assert abs(column + 0.5 - 11.5 * 127 / 16) <= 0.5


def test_a_head_by_regression_answers_in_pixels_of_the_template() -> None:
    network = SiamRPN("regression").eval()
    head = network.keypoint_head
    assert isinstance(head, RegressionHead)
    assert network.keypoint_head_kind == "regression"
    with torch.no_grad():
        assert network.keypoints(network.embed(crops(2, 127))).shape == (2, 17, 2)
        head.coordinates.weight.zero_()
        head.coordinates.bias.zero_()
        head.coordinates.bias[2:4] = torch.tensor([0.5, -0.25])  # x and y of the second keypoint
        found = network.keypoints(torch.rand(1, 256, 6, 6))[0]
    torch.testing.assert_close(found[:2], torch.tensor([[63.5, 63.5], [127.0, 31.75]]))
    with pytest.raises(InvalidValueError):
        make_keypoint_head("direct")  # type: ignore[arg-type]


def test_without_keypoint_head() -> None:
    network = SiamRPN()
    assert network.keypoint_head is None
    assert network.keypoint_head_kind is None
    with pytest.raises(InvalidValueError) as caught:
        network.keypoints(torch.zeros(1, 256, 6, 6))
    assert (caught.value.key, caught.value.got) == ("keypoint_head", "null")
    with pytest.raises(InvalidValueError) as caught:
        SiamRPN(keypoint_head="medium")  # type: ignore[arg-type]
    assert (caught.value.key, caught.value.got) == ("keypoint_head", "'medium'")
