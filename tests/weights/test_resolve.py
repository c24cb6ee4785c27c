"""Where the files are looked for that a `weights_file` names."""

import subprocess
import sys
from pathlib import Path

import pytest

from armory_skelevision.validation import MissingFileError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS
from armory_skelevision.weights.resolve import named_weights, resolve, saved_model_dir

PACKAGED = "siamrpn_alex_mtl.safetensors"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ARMORY's `saved_model_dir`; the working directory is another, empty one."""
    (working := tmp_path / "working").mkdir()
    (saved := tmp_path / "saved_models").mkdir()
    monkeypatch.chdir(working)
    mounted = {"saved_model_dir": str(saved), "dataset_dir": str(tmp_path)}
    monkeypatch.setattr("armory.paths.DockerPaths.__init__", lambda self: vars(self).update(mounted))
    return saved


def test_paths_come_before_armorys_folder_and_packaged_files_last(folder: Path) -> None:
    assert saved_model_dir() == folder
    assert resolve(PACKAGED) == PACKAGED_WEIGHTS / PACKAGED
    (folder / PACKAGED).touch()
    assert resolve(PACKAGED) == resolve(folder / PACKAGED) == folder / PACKAGED
    Path(PACKAGED).touch()
    assert resolve(PACKAGED) == Path(PACKAGED)
    assert resolve(PACKAGED, by_armory=True) == folder / PACKAGED


def test_without_a_container_the_users_folder_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert saved_model_dir() == tmp_path / ".armory" / "saved_models"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("mine.pth", PACKAGED),
        ("nanotrackv3.pth", "https://github.com/HonglinChu/SiamTrackers"),
        ("siamrpn_alex_dwxcorr.pth", "skelevision weights fetch siamrpn_alex_dwxcorr"),
        ("siamrpn_alex_mtl_backdoor.safetensors", "skelevision train backdoor"),
    ],
)
def test_a_missing_file_comes_with_where_it_was_looked_for_and_how_to_get_it(folder: Path, name: str, fix: str) -> None:
    with pytest.raises(MissingFileError) as missing:
        resolve(name)
    assert missing.value.key == "weights_file"
    assert str(folder / name) in missing.value.expected and str(Path.cwd() / name) in missing.value.expected
    assert fix in missing.value.fix


def test_weights_that_a_config_names() -> None:
    config = {"model": {"weights_file": "a"}, "defense": {"kwargs": {"weights_file": "b"}}}
    assert named_weights(config) == {"model.weights_file": "a", "defense.kwargs.weights_file": "b"}
    assert named_weights({"model": {"weights_file": ["a", "c"]}, "defense": None}) == {
        "model.weights_file.0": "a",
        "model.weights_file.1": "c",
    }
    assert named_weights({"model": {"weights_file": {"x": "a"}}}) == {"model.weights_file.x": "a"}
    assert named_weights({"model": {"weights_file": None}}) == {}


@pytest.mark.parametrize("module", ["weights.resolve", "weights.packaged", "weights.published", "sweeps.sweep"])
def test_what_only_looks_for_files_starts_without_pytorch(module: str) -> None:
    code = f"import sys, armory_skelevision.{module}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
