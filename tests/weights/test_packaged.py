import json
import os
import warnings
from pathlib import Path

import pytest

from armory_skelevision.validation import MissingFileError
from armory_skelevision.weights.checkpoints import read_header
from armory_skelevision.weights.loading import read_metadata
from armory_skelevision.weights.packaged import LEDGER, install_weights, packaged_weights
from armory_skelevision.weights.unet import read_unet_metadata

NAME = "net.safetensors"
RENDERED_STL = "562a954c57a4d7d759bee04de019364ce77076e88b03c18a41a28be4795d5735"
"""Of the single-task weights that were packaged before these, which the packaged defense was trained in front of."""
RECIPE = Path(__file__).parent.parent.parent / "training_configs/dualossdef.json"


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    folder = tmp_path / "packaged"
    folder.mkdir()
    (folder / NAME).write_bytes(b"version 1")
    return folder


def test_installs_into_a_new_folder_and_only_once(tmp_path: Path, packaged: Path) -> None:
    target = tmp_path / "deep" / "saved_models"
    assert install_weights(target, packaged) == [target / NAME]
    assert (target / NAME).read_bytes() == b"version 1"
    assert install_weights(target, packaged) == []
    assert sorted(os.listdir(target)) == [LEDGER, NAME]


def test_replaces_what_an_earlier_version_installed(tmp_path: Path, packaged: Path) -> None:
    install_weights(tmp_path, packaged)
    (packaged / NAME).write_bytes(b"version 2")
    assert install_weights(tmp_path, packaged) == [tmp_path / NAME]
    (packaged / NAME).write_bytes(b"version 1")  # and back: two environments may share the folder
    assert install_weights(tmp_path, packaged) == [tmp_path / NAME]
    assert (tmp_path / NAME).read_bytes() == b"version 1"


def test_keeps_a_file_of_the_users_and_warns(tmp_path: Path, packaged: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.warns(UserWarning, match="it is kept"):
        assert install_weights(tmp_path, packaged) == []
    assert (tmp_path / NAME).read_bytes() == b"mine"


def test_a_file_that_is_left_alone_does_not_end_the_installation(tmp_path: Path, packaged: Path) -> None:
    for name in ("mine.safetensors", "same.safetensors"):
        (packaged / name).write_bytes(b"version 1")
    (tmp_path / "mine.safetensors").write_bytes(b"mine")
    (tmp_path / "same.safetensors").write_bytes(b"version 1")
    (packaged / "z.safetensors").write_bytes(b"the last one")
    with pytest.warns(UserWarning, match="mine.safetensors"):
        assert install_weights(tmp_path, packaged) == [tmp_path / NAME, tmp_path / "z.safetensors"]


def test_keeps_an_installed_file_that_was_changed(tmp_path: Path, packaged: Path) -> None:
    install_weights(tmp_path, packaged)
    (tmp_path / NAME).write_bytes(b"fine-tuned")
    with pytest.warns(UserWarning, match="it is kept"):
        install_weights(tmp_path, packaged)
    assert (tmp_path / NAME).read_bytes() == b"fine-tuned"


def test_after_an_interruption_the_file_is_still_recognised(
    tmp_path: Path, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_weights(tmp_path, packaged)
    (packaged / NAME).write_bytes(b"version 2")
    replace = os.replace

    def fail_on_weights(source: str, target: Path) -> None:
        if Path(target).name == NAME:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_on_weights)
    with pytest.raises(KeyboardInterrupt):
        install_weights(tmp_path, packaged)
    assert (tmp_path / NAME).read_bytes() == b"version 1"
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert install_weights(tmp_path, packaged) == [tmp_path / NAME]
    assert (tmp_path / NAME).read_bytes() == b"version 2"


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(MissingFileError) as caught:
        packaged_weights("resnet.pth")
    assert caught.value.key == "resnet.pth"
    assert "siamrpn_alex_stl.safetensors" in caught.value.expected


@pytest.mark.parametrize(("model", "keypoint_head"), [("stl", None), ("mtl", "shallow")])
def test_packaged_weights_are_what_they_are_called(model: str, keypoint_head: str | None) -> None:
    path = packaged_weights(f"siamrpn_alex_{model}.safetensors")
    metadata = read_metadata(path)
    assert metadata is not None
    assert metadata.keypoint_head == keypoint_head
    assert metadata.lambda_k == (0.2 if keypoint_head else 0)
    assert metadata.licence.startswith("MIT (code, rendered people); real people: Open Images")
    assert "rendered people" in metadata.training and "crops of real people" in metadata.training
    assert path.stat().st_size < 13 * 2**20


def test_the_packaged_defense_names_its_tracker() -> None:
    path = packaged_weights("dualossdef_small.safetensors")
    assert read_unet_metadata(path).width == "small"
    header = read_header(path)
    assert (header["tracker"], header["tracker_sha256"]) == ("siamrpn_alex_stl.safetensors", RENDERED_STL)
    assert header["licence"] == "MIT"
    settings = json.loads(header["settings"])
    recipe = json.loads(RECIPE.read_text())
    assert {name: settings[name] for name in recipe} == recipe
    assert path.stat().st_size < 4 * 10**6
