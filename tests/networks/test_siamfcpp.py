"""SiamFC++ has the layers of video_analyst's network, by a list of them, and its head computes what that does."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from doubles import random_siamfcpp

from armory_skelevision.networks import SiamFCpp
from armory_skelevision.weights.third_party import rename

# A line for each layer of video_analyst's network: its name, the shape of its weights, and how it is applied.
LAYERS = (Path(__file__).parent / "layers" / "siamfcpp_alexnet.txt").read_text().splitlines()


def lines_of(network):
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            shape = "x".join(map(str, layer.weight.shape))
            how = f"s{layer.stride[0]} p{layer.padding[0]} d{layer.dilation[0]} g{layer.groups}"
            yield f"{name} conv {shape} {how}{' bias' if layer.bias is not None else ''}"
        elif isinstance(layer, torch.nn.BatchNorm2d):
            yield f"{name} norm {layer.num_features}"
        elif isinstance(layer, torch.nn.MaxPool2d):
            yield f"{name} pool {layer.kernel_size} s{layer.stride} ceil {layer.ceil_mode}"
        else:
            for part, _ in layer.named_parameters(recurse=False):
                yield f"{name}.{part} parameter 1"


def test_layers_and_counts_are_video_analysts():
    with torch.device("meta"):
        network = SiamFCpp()
    assert sorted(lines_of(network)) == LAYERS
    assert sum(values.numel() for values in network.parameters()) == 9_655_380
    assert len(network.state_dict()) == 108


def test_video_analysts_names_are_read():
    state = SiamFCpp().state_dict()
    theirs = {name.replace("backbone.", "basemodel."): values for name, values in state.items()}
    assert "basemodel.conv1.conv.weight" in theirs
    assert rename(theirs, "net.pkl").keys() == state.keys()


@pytest.mark.parametrize(("side", "response"), [(175, 1), (207, 5), (303, 17)])
def test_sizes(side, response):
    with torch.device("meta"):
        network, z, x = SiamFCpp(), torch.zeros(1, 3, 127, 127), torch.zeros(2, 3, side, side)
    assert network.embed(z).shape == (1, 256, 6, 6)
    output = network(z, x)
    assert output.cls.shape == (2, 2, response, response) and output.loc.shape == (2, 4, response, response)
    assert response == (side - 127) // 8 + 1 + network.base_size


def test_answers_equal_those_of_the_tensors_alone():
    network = random_siamfcpp()
    state, generator = network.state_dict(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        state["head.si"].fill_(0.8)
        state["head.bi"].fill_(0.3)

    def block(name, images, stride=1, relu=True):
        images = F.conv2d(images, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], stride)
        if f"{name}.bn.weight" in state:
            parts = (state[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
            images = F.batch_norm(images, *parts)
        return images.relu() if relu else images

    def embed(images):
        images = F.max_pool2d(block("backbone.conv1", images, 2), 3, 2, ceil_mode=True)
        images = F.max_pool2d(block("backbone.conv2", images), 3, 2, ceil_mode=True)
        return block("backbone.conv5", block("backbone.conv4", block("backbone.conv3", images)), relu=False)

    def filtered(branch, z, x):
        kernel, search = block(f"{branch[0]}_z_k", z, relu=False), block(f"{branch[0]}_x", x, relu=False)
        response = F.conv2d(search, kernel.transpose(0, 1), groups=256)
        for number in (1, 2, 3):
            response = block(f"head.{branch[1]}_p5_conv{number}", response)
        return response

    z, x = (torch.rand(1, 3, side, side, generator=generator) * 255 for side in (127, 191))
    with torch.no_grad():
        found, crops = network(z, x), (embed(z), embed(x))
        cls, loc = filtered(("c", "cls"), *crops), filtered(("r", "bbox"), *crops)
        scores = [block(f"head.{name}_p5", cls, relu=False) for name in ("cls_score", "ctr_score")]
        lengths = 8 * (0.8 * block("head.bbox_offsets_p5", loc, relu=False) + 0.3).exp()
    torch.testing.assert_close(found.cls, torch.cat(scores, dim=1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.loc, lengths.log(), rtol=1e-4, atol=1e-4)
    assert found.cls.std() > 0.01 and math.isfinite(float(found.loc.sum()))
