"""What the evaluations share: weights that ARMORY can load."""

import pytest

from armory_skelevision.pretrained import PACKAGED_WEIGHTS

MTL = "siamrpn_alex_mtl.safetensors"


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The packaged weights by name, or, while there are none, random ones by path."""
    if (PACKAGED_WEIGHTS / MTL).is_file():
        return MTL
    import torch

    from armory_skelevision.networks import Metadata, SiamRPN, save_weights

    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SiamRPN(keypoint_head="shallow")
    save_weights(network, path, Metadata("shallow", 0.2, training="none", licence="MIT", seed=0))
    return str(path)
