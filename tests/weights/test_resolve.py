"""Where the files are looked for that a `weights_file` names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from armory_skelevision.validation import InvalidValueError, MissingFileError
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
        ("mine.pth", f"dualossdef_small.safetensors, {PACKAGED}, "),
        ("nanotrackv3.pth", "https://github.com/HonglinChu/SiamTrackers"),
        ("siamrpn_alex_dwxcorr.pth", "skelevision weights fetch siamrpn_alex_dwxcorr"),
        ("siamrpn_alex_mtl_backdoor.safetensors", "skelevision train backdoor"),
    ],
)
def test_a_missing_file_comes_with_where_it_was_looked_for_and_how_to_get_it(folder: Path, name: str, fix: str) -> None:
    with pytest.raises(MissingFileError) as missing:
        resolve(name)
    assert missing.value.key == "weights_file"
    assert missing.value.expected.startswith(f"a file at {Path.cwd() / name} or {folder / name}, or ")
    assert fix in missing.value.fix


def test_only_places_that_were_looked_at_are_named(folder: Path) -> None:
    for by_armory in (False, True):
        with pytest.raises(MissingFileError) as missing:
            resolve("/nowhere/mine.pth", by_armory)
        assert missing.value.expected.startswith("a file at /nowhere/mine.pth, or ")
    with pytest.raises(MissingFileError) as missing:
        resolve("mine.pth", by_armory=True)
    assert missing.value.expected.startswith(f"a file at {folder / 'mine.pth'}, or ")


HOSTILE = {
    "NUL": "a\0b.pth",
    "Latin-1": os.fsdecode(b"\xe4.pth"),
    "control characters": "a\n\x1b[2J.pth",
    "long": "a" * 10_000,
    "many folders": "a/" * 2000 + "b.pth",
    "nothing": "",
    "here": ".",
    "up": "..",
    "the root": "/",
    "a folder": "folder",
    "a pipe": "pipe.pth",
    "a device": "/dev/zero",
    "a loop": "loop.pth",
    "a link to nothing": "dangling.pth",
    "below a file": "file.pth/x.pth",
    "the package's code": "../packaged.py",
    "a packaged file by a path": f"./../pretrained/{PACKAGED}",
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("by_armory", [False, True])
def test_names_that_are_no_file(name: str, by_armory: bool, folder: Path) -> None:
    for place in (folder, Path.cwd()):
        (place / "folder").mkdir()
        (place / "file.pth").touch()
        os.mkfifo(place / "pipe.pth")
        (place / "loop.pth").symlink_to("loop.pth")
        (place / "dangling.pth").symlink_to("nothing")
    with pytest.raises(MissingFileError) as missing:
        resolve(HOSTILE[name], by_armory)
    assert missing.value.key == "weights_file"
    assert str(missing.value).isprintable()


def test_links_and_absolute_paths_are_the_users_own(folder: Path, tmp_path: Path) -> None:
    """Weights are read, and nothing of them is passed on, so that they may lie anywhere."""
    (tmp_path / "large.pth").touch()
    (folder / "link.pth").symlink_to(tmp_path / "large.pth")
    assert resolve("link.pth", by_armory=True) == folder / "link.pth"
    assert resolve(tmp_path / "large.pth", by_armory=True) == tmp_path / "large.pth"


@pytest.mark.parametrize("settings", ["{", "[]", "{}", '{"saved_model_dir": 3}', '{"a": 1, "a": 2}'])
def test_settings_of_armory_that_are_none_are_named(
    settings: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".armory").mkdir()
    path = tmp_path / ".armory" / "config.json"
    path.write_text(settings)
    with pytest.raises(InvalidValueError) as refused:
        saved_model_dir()
    assert refused.value.key == str(path)
    path.write_text(json.dumps({"saved_model_dir": "/elsewhere"}))
    assert saved_model_dir() == Path("/elsewhere")
    assert [each.name for each in tmp_path.rglob("*")] == [".armory", "config.json"]


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
