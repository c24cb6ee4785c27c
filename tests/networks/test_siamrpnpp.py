"""SiamRPN++ has the layers of PySOT's networks, by lists of them, and computes what these do."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from doubles import random_siamrpnpp

from armory_skelevision.networks import SiamRPNpp
from armory_skelevision.validation import InvalidValueError

# A line for each layer of PySOT's networks: its name, the shape of its weights, and how it is applied.
LAYERS = Path(__file__).parent / "layers"
R50, OTB, MOBILE = "siamrpn_r50_l234_dwxcorr", "siamrpn_r50_l234_dwxcorr_otb", "siamrpn_mobilev2_l234_dwxcorr"
PARAMETERS = {R50: 53_950_624, OTB: 53_950_618, MOBILE: 11_150_446}
ALL = pytest.mark.parametrize("name", PARAMETERS)
BOTH = pytest.mark.parametrize("name", [R50, MOBILE])


def shape_of(values):
    return "x".join(map(str, values.shape))


def lines_of(network):
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            (stride, _), (padding, _), (dilation, _) = layer.stride, layer.padding, layer.dilation
            bias = " bias" if layer.bias is not None else ""
            yield f"{name} conv {shape_of(layer.weight)} s{stride} p{padding} d{dilation} g{layer.groups}{bias}"
        elif isinstance(layer, torch.nn.BatchNorm2d):
            yield f"{name} norm {layer.num_features}"
        else:
            for part, values in layer.named_parameters(recurse=False):
                yield f"{name}.{part} parameter {shape_of(values)}"


def pysots_lines(name):
    lines = (LAYERS / f"{name.removesuffix('_otb')}.txt").read_text().splitlines()
    return [line for line in lines if not (name == OTB and "_weight parameter" in line)]


def pysots_state(name):
    """Name and shape of every tensor of PySOT's network, from the lines."""
    shapes = {}
    for layer, kind, size, *_ in map(str.split, pysots_lines(name)):
        shape = tuple(map(int, size.split("x")))
        if kind == "parameter":
            shapes[layer] = shape
            continue
        shapes[f"{layer}.weight"] = shape
        if kind == "norm":
            shapes |= {f"{layer}.{part}": shape for part in ("bias", "running_mean", "running_var")}
            shapes[f"{layer}.num_batches_tracked"] = ()
    biases = {line.split()[0] for line in pysots_lines(name) if line.endswith(" bias")}
    return shapes | {f"{layer}.bias": shapes[f"{layer}.weight"][:1] for layer in biases}


@ALL
def test_layers_tensors_and_counts_are_pysots(name):
    with torch.device("meta"):
        network = SiamRPNpp(name)
    assert list(lines_of(network)) == pysots_lines(name)
    assert {tensor: tuple(values.shape) for tensor, values in network.state_dict().items()} == pysots_state(name)
    assert sum(values.numel() for values in network.parameters()) == PARAMETERS[name]
    assert (network.architecture, network.keypoint_head_kind) == (name, None)


def test_there_are_no_others():
    with pytest.raises(InvalidValueError) as caught:
        SiamRPNpp("siamrpn_r50_l234_dwxcorr_lt")
    assert caught.value.key == "architecture"


@BOTH
def test_sizes(name):
    with torch.device("meta"):
        network, crops = SiamRPNpp(name), {side: torch.zeros(2, 3, side, side) for side in (127, 166, 255)}
    sides = {side: network.embed(images).shape for side, images in crops.items()}
    assert sides == {side: (2, 768, *2 * [31 if side == 255 else 7]) for side in crops}
    for template in (crops[127][:1], crops[127]):
        output = network(template, crops[255])
        assert output.cls.shape == (2, 10, 25, 25) and output.loc.shape == (2, 20, 25, 25)
    levels = network.backbone.levels(crops[127], list(network.levels))
    assert [each.shape[1:] for each in levels] == [(channels, 15, 15) for channels in network.levels.values()]


def conv(state, name, images, **how):
    return F.conv2d(images, state[f"{name}.weight"], state.get(f"{name}.bias"), **how)


def norm(state, name, images):
    parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(images, *parts)


def resnet_levels(state, images):
    """ResNet-50's stages from its tensors alone."""

    def of(name, number, images, **how):
        return norm(state, f"{name}.bn{number}", conv(state, f"{name}.conv{number}", images, **how))

    features = F.max_pool2d(of("backbone", 1, images, stride=2).relu(), 3, stride=2, padding=1)
    levels = []
    for stage, blocks in ((1, 3), (2, 4), (3, 6), (4, 3)):
        for block in range(blocks):
            name = f"backbone.layer{stage}.{block}"
            spread = {3: 2, 4: 4}.get(stage, 1) // (2 if stage > 2 and block == 0 else 1)
            how = {"stride": 2} if stage == 2 and block == 0 else {"padding": spread, "dilation": spread}
            inner = of(name, 2, of(name, 1, features).relu(), **how).relu()
            if block == 0:
                how = {} if stage == 1 else how
                features = norm(state, f"{name}.downsample.1", conv(state, f"{name}.downsample.0", features, **how))
            features = (features + of(name, 3, inner)).relu()
        levels.append(features)
    return levels[1:]


def mobilenet_levels(state, images):
    """MobileNetV2's stages from its tensors alone."""

    def of(name, first, images, **how):
        return norm(state, f"{name}.{first + 1}", conv(state, f"{name}.{first}", images, **how))

    features, levels = F.relu6(of("backbone.layer0", 0, images, stride=2)), []
    for stage, (blocks, spread) in enumerate(((1, 1), (2, 1), (3, 1), (4, 2), (3, 2), (3, 4), (1, 4)), 1):
        for block in range(blocks):
            name = f"backbone.layer{stage}.{block}.conv"
            halved = {4: 1, 6: 2}.get(stage, spread) if block == 0 else spread
            how = {"stride": 2} if stage in (2, 3) and block == 0 else {"padding": halved, "dilation": halved}
            inner = F.relu6(of(name, 0, features))
            found = of(name, 6, F.relu6(of(name, 3, inner, groups=inner.shape[1], **how)))
            features = found + features if block else found
        levels.append(features)
    return [levels[2], levels[4], levels[6]]


def answers(state, z_levels, x_levels):
    """PySOT's adjust layers and heads from their tensors alone: the means of the levels' answers."""
    found = {"cls": [], "loc": []}
    for level, features in enumerate(zip(z_levels, x_levels, strict=True), 2):
        name = f"neck.downsample{level}.downsample"
        z, x = (norm(state, f"{name}.1", conv(state, f"{name}.0", each)) for each in features)
        first = (z.shape[-1] - 7) // 2
        z = z[:, :, first : first + 7, first : first + 7]
        for branch, outputs in found.items():
            head = f"rpn_head.rpn{level}.{branch}"

            def of(part, images, head=head):
                return norm(state, f"{head}.{part}.1", conv(state, f"{head}.{part}.0", images)).relu()

            kernel, search = of("conv_kernel", z), of("conv_search", x)
            correlation = F.conv2d(search, kernel.transpose(0, 1), groups=256)
            outputs.append(conv(state, f"{head}.head.3", of("head", correlation)))
    for branch, outputs in found.items():
        weight = state.get(f"rpn_head.{branch}_weight", torch.ones(3)).softmax(dim=0)
        found[branch] = sum(share * output for share, output in zip(weight, outputs, strict=True))
    return found


@pytest.mark.parametrize(("name", "levels"), [(R50, resnet_levels), (MOBILE, mobilenet_levels)])
def test_answers_equal_those_of_the_tensors_alone(name, levels):
    network = random_siamrpnpp(name)
    state, generator = network.state_dict(), torch.Generator().manual_seed(0)
    z, x = (torch.rand(1, 3, side, side, generator=generator) * 255 for side in (103, 167))
    with torch.no_grad():
        expected, found = answers(state, levels(state, z), levels(state, x)), network(z, x)
    for branch in ("cls", "loc"):
        values = getattr(found, branch)
        assert values.std() > 1e-2
        torch.testing.assert_close(values, expected[branch], rtol=1e-4, atol=1e-5)
