import json
import os

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from armory_skelevision.attacks.patch.files import (
    check_export_folder,
    load_start,
    read_patch,
    refuse_exported,
    write_patch,
)
from armory_skelevision.validation import InvalidValueError, MissingFileError

PATCH = np.random.default_rng(0).random((6, 9, 3)).astype(np.float32)


def test_a_patch_comes_back_as_it_was(tmp_path):
    path = write_patch(tmp_path / "new" / "below" / "patch_000", PATCH, {"seed": 3})
    np.testing.assert_array_equal(read_patch(path), PATCH)
    np.testing.assert_allclose(read_patch(path.with_suffix(".png")), PATCH, atol=0.5 / 255 + 1e-6)
    assert json.loads(path.with_suffix(".json").read_text()) == {"seed": 3}
    assert sorted(file.name for file in path.parent.iterdir()) == [
        f"patch_000.{kind}" for kind in ("json", "npy", "png")
    ]


def test_a_patch_replaces_no_file(tmp_path):
    for suffix in (".npy", ".png", ".json"):
        there = tmp_path / f"patch_000{suffix}"
        there.write_bytes(b"a user's")
        with pytest.raises(FileExistsError):
            write_patch(tmp_path / "patch_000", PATCH, {})
        assert there.read_bytes() == b"a user's"
        for path in tmp_path.iterdir():
            path.unlink()


def test_files_of_a_patch_are_what_other_programs_expect(tmp_path):
    path = write_patch(tmp_path / "patch_000", PATCH.astype(np.float64), {"seed": 3, "eps": [1]})
    assert np.load(path).dtype == np.float32
    expected = np.floor(PATCH * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(path.with_suffix(".png"))), expected)
    described = '{\n    "eps": [\n        1\n    ],\n    "seed": 3\n}\n'
    assert path.with_suffix(".json").read_text() == described
    write_patch(tmp_path / "patch_001", PATCH, {})  # into the same folder
    assert write_patch(str(tmp_path / "a.b"), PATCH, {}) == tmp_path / "a.b.npy"


def test_the_array_is_written_last(tmp_path):
    (tmp_path / "patch_000.npy").touch()
    with pytest.raises(FileExistsError):
        write_patch(tmp_path / "patch_000", PATCH, {})
    assert (tmp_path / "patch_000.png").exists() and (tmp_path / "patch_000.json").exists()


@pytest.mark.parametrize("suffix", [".npy", ".png", ".json"])
def test_a_folder_with_one_file_of_a_patch_is_refused(tmp_path, suffix):
    refuse_exported(tmp_path, "patch_000")
    (tmp_path / f"patch_000{suffix}").touch()
    refuse_exported(tmp_path, "patch_001")
    with pytest.raises(InvalidValueError) as caught:
        refuse_exported(tmp_path, "patch_000")
    assert caught.value.key == "export" and f"patch_000{suffix}" in caught.value.got
    assert "another folder" in caught.value.fix


def test_a_folder_for_patches_is_there_or_can_be_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, str(tmp_path), ".", "new", tmp_path / "new" / "below" / "it"):
        check_export_folder(folder)
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for folder in ("", "file", tmp_path / "file" / "below", "nowhere", tmp_path / "nowhere" / "below"):
        with pytest.raises(InvalidValueError) as caught:
            check_export_folder(folder)
        assert (caught.value.key, caught.value.expected) == ("export", "a folder that can be written to")
        assert caught.value.got == repr(str(folder))
    assert sorted(os.listdir()) == ["file", "nowhere"]


@pytest.mark.parametrize("missing", [os.W_OK, os.X_OK])
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch, missing):
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode & missing))
    with pytest.raises(InvalidValueError) as caught:
        check_export_folder(tmp_path / "new" / "below")
    assert caught.value.key == "export"


@pytest.mark.parametrize("patch_hw", [(6, 9), (12, 9), (6, 20), (13, 31), (3, 4), (5, 3), (1, 1)], ids=str)
def test_a_start_is_resized_as_a_picture_is(tmp_path, patch_hw):
    write_patch(tmp_path / "patch_003", PATCH, {})
    size = (patch_hw[1], patch_hw[0])
    channels = [Image.fromarray(PATCH[..., c]).resize(size, Image.Resampling.BILINEAR) for c in range(3)]
    for path in (tmp_path, tmp_path / "patch_003.npy", str(tmp_path)):
        start = load_start(path, "patch_003", patch_hw)
        assert start.dtype == torch.float32
        np.testing.assert_allclose(start.numpy(), np.stack(channels, axis=-1), atol=1e-6)


def test_a_start_stays_within_the_colours(tmp_path):
    path = write_patch(tmp_path / "patch_000", (PATCH > 0.5).astype(np.float32), {})
    for side in range(1, 40):
        start = load_start(path, "any", (side, 2 * side))
        assert start.shape == (side, 2 * side, 3) and 0 <= start.min() <= start.max() <= 1


@pytest.mark.parametrize(
    ("path", "error"), [("", InvalidValueError), ("gone.npy", MissingFileError), (".", MissingFileError)]
)
def test_a_start_that_is_none_is_refused(tmp_path, monkeypatch, path, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        load_start(path, "patch_000", (4, 4))
    assert caught.value.key == "patch_init"
    if error is MissingFileError:
        assert ("patch_000.npy" if path == "." else path) in caught.value.got


def test_pictures_are_red_green_blue(tmp_path):
    red = np.zeros((4, 4, 3), dtype=np.float32)
    red[..., 0] = 1
    path = write_patch(tmp_path / "red", red, {})
    assert cv2.imread(str(path.with_suffix(".png")))[0, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("name", "content", "error", "expected"),
    [
        ("missing.npy", None, MissingFileError, "a file"),
        ("patch.jpg", b"x", InvalidValueError, "a .npy or .png file"),
        ("broken.npy", b"nothing", InvalidValueError, "an array of numbers (.npy)"),
        ("broken.png", b"nothing", InvalidValueError, "a JPEG or PNG image"),
    ],
)
def test_files_that_are_no_patches_are_refused(tmp_path, name, content, error, expected):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        read_patch(tmp_path / name)
    assert (caught.value.key, caught.value.expected) == ("patch_init", expected)
    assert name in caught.value.got


@pytest.mark.parametrize(
    ("array", "expected", "got"),
    [
        (np.zeros((4, 4)), "floats (h, w, 3)", "float64 (4, 4)"),
        (np.zeros((4, 4, 3), dtype=np.uint8), "floats (h, w, 3)", "uint8 (4, 4, 3)"),
        (np.zeros((4, 4, 4)), "floats (h, w, 3)", "float64 (4, 4, 4)"),
        (np.zeros((1, 4, 4, 3)), "floats (h, w, 3)", "float64 (1, 4, 4, 3)"),
        (np.zeros((4, 0, 3)), "floats (h, w, 3)", "float64 (4, 0, 3)"),
        (np.full((4, 4, 3), 2.0), "colours in [0, 1]", "2 to 2"),
        (np.linspace(-0.1, 1, 12).reshape(2, 2, 3), "colours in [0, 1]", "-0.1 to 1"),
        (np.linspace(0, 1.1, 12).reshape(2, 2, 3), "colours in [0, 1]", "0 to 1.1"),
        (np.full((4, 4, 3), np.nan), "colours in [0, 1]", "nan to nan"),
        (np.array([{"a": 1}], dtype=object), "an array of numbers (.npy)", "values of type object"),
    ],
)
def test_arrays_that_are_no_patches_are_refused(tmp_path, array, expected, got):
    np.save(tmp_path / "patch.npy", array, allow_pickle=True)
    with pytest.raises(InvalidValueError) as caught:
        read_patch(tmp_path / "patch.npy")
    assert (caught.value.key, caught.value.expected) == ("patch_init", expected)
    assert caught.value.got.startswith(got) and "patch.npy" in caught.value.got


def test_full_colours_and_single_pixels_are_patches(tmp_path):
    for array in (np.zeros((1, 1, 3)), np.ones((2, 1, 3), np.float16), np.linspace(0, 1, 6).reshape(1, 2, 3)):
        np.save(tmp_path / "patch.npy", array)
        read = read_patch(str(tmp_path / "patch.npy"))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, array.astype(np.float32))
