"""The scaling of inputs and its way into the first convolution."""

import torch
from doubles import random_siamrpnpp

from armory_skelevision.networks import SiamRPN
from armory_skelevision.training.input_scaling import fold_scaling, load_initial_weights, normalise, unfold_scaling
from armory_skelevision.weights.loading import save_weights
from armory_skelevision.weights.metadata import Metadata


def test_scaling_folds_into_the_first_convolution():
    torch.manual_seed(0)
    network = SiamRPN().eval()
    crops = torch.randint(0, 256, (1, 127, 127, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = network.embed(normalise(crops))
        fold_scaling(network)
        torch.testing.assert_close(network.embed(crops.permute(0, 3, 1, 2).float()), expected, rtol=1e-3, atol=1e-4)
        unfold_scaling(network)
        torch.testing.assert_close(network.embed(normalise(crops)), expected, rtol=1e-3, atol=1e-4)


def test_scaling_folds_into_the_norm_of_a_convolution_without_bias():
    network = random_siamrpnpp()
    generator = torch.Generator().manual_seed(0)
    crops = torch.randint(0, 256, (1, 103, 103, 3), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        expected = network.embed(crops.permute(0, 3, 1, 2).float())
        unfold_scaling(network)
        torch.testing.assert_close(network.embed(normalise(crops)), expected, rtol=1e-3, atol=1e-4)
        fold_scaling(network)
        torch.testing.assert_close(network.embed(crops.permute(0, 3, 1, 2).float()), expected, rtol=1e-3, atol=1e-4)


def test_multi_task_starts_from_single_task_weights(tmp_path):
    source = SiamRPN()
    metadata = Metadata(keypoint_head=None, lambda_k=0, training="none", licence="MIT", seed=0)
    save_weights(source, tmp_path / "stl.safetensors", metadata, half=False)
    network = SiamRPN("shallow")
    head = network.keypoint_head.state_dict()
    load_initial_weights(network, tmp_path / "stl.safetensors")
    torch.testing.assert_close(network.rpn_head.state_dict(), source.rpn_head.state_dict())
    torch.testing.assert_close(network.keypoint_head.state_dict(), head)
