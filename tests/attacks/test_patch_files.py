import json

import cv2
import numpy as np
import pytest

from armory_skelevision.attacks.patch.files import read_patch, write_patch
from armory_skelevision.validation import InvalidValueError, MissingFileError

PATCH = np.random.default_rng(0).random((6, 9, 3)).astype(np.float32)


def test_a_patch_comes_back_as_it_was(tmp_path):
    path = write_patch(tmp_path / "new" / "patch_000", PATCH, {"seed": 3})
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
        (np.full((4, 4, 3), 2.0), "colours in [0, 1]", "2 to 2"),
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
