"""Arrays as users have them: whatever stores the same numbers gives the same boxes, anything else is named."""

import numpy as np
import pytest
import torch
from doubles import random_estimator, screen_scene, tiny_estimator, unaligned

from armory_skelevision.validation import InvalidTypeError, InvalidValueError


def objects(videos):
    array = np.empty(len(videos), dtype=object)
    for index, video in enumerate(videos):
        array[index] = video
    return array


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def every_other(x):
    wide = np.zeros((x.shape[0], 2 * x.shape[1], *x.shape[2:]), x.dtype)
    wide[:, ::2] = x
    return wide[:, ::2]


def record(x):
    """A field between others, whose strides are no multiples of its size."""
    packed = np.zeros(x.shape, dtype=[("flag", "u1"), ("value", x.dtype)])
    packed["value"] = x
    return packed["value"]


LAYOUTS = {
    "colours turned twice": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "frames turned twice": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
    "mirrored twice": lambda x: np.ascontiguousarray(x[:, :, ::-1, ::-1])[:, :, ::-1, ::-1],
    "big-endian": lambda x: x.astype(">f4"),
    "double": lambda x: x.astype(np.float64),
    "big-endian double": lambda x: x.astype(">f8"),
    "more than double": lambda x: x.astype(np.longdouble),
    "Fortran order": np.asfortranarray,
    "channels first in memory": lambda x: np.ascontiguousarray(np.moveaxis(x, -1, 2)).swapaxes(2, 3).swapaxes(3, 4),
    "part of an array": lambda x: np.pad(x, [(0, 0), (1, 1), (2, 2), (3, 3), (0, 0)])[:, 1:-1, 2:-2, 3:-3],
    "every other frame": every_other,
    "unaligned": unaligned,
    "field of records": record,
    "read-only": read_only,
    "masked without masks": np.ma.masked_array,
    "list": list,
    "tuple": tuple,
    "objects": objects,
    "tensor": torch.from_numpy,
    "tensor with gradients": lambda x: torch.from_numpy(x).requires_grad_(),
    "tensor of doubles": lambda x: torch.from_numpy(x).double(),
    "list of tensors": lambda x: [torch.from_numpy(video) for video in x],
}
LESS = {"half": lambda x: x.astype(np.float16), "bfloat16": lambda x: torch.from_numpy(x).bfloat16()}
X, Y, METADATA = screen_scene(frames=3)


@pytest.fixture(scope="module")
def estimator():
    return tiny_estimator()


@pytest.fixture(scope="module")
def expected(estimator):
    return estimator.predict(X, y_init=Y[0]["boxes"][:1])[0]["boxes"]


@pytest.mark.parametrize("change", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_layout_of_a_video_does_not_matter(estimator, expected, change):
    boxes = estimator.predict(change(X.copy()), y_init=Y[0]["boxes"][:1])[0]["boxes"]
    np.testing.assert_array_equal(boxes.detach() if isinstance(boxes, torch.Tensor) else boxes, expected)


@pytest.mark.parametrize("change", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_the_layout_does_not_matter_to_losses_and_gradients(estimator, change):
    x = change(X.copy())
    np.testing.assert_allclose(estimator.compute_loss(x, Y), estimator.compute_loss(X, Y), rtol=1e-6)
    gradient = estimator.loss_gradient(x, Y)
    assert len(gradient) == 1 and gradient[0].shape == X[0].shape
    np.testing.assert_allclose(gradient[0].astype(np.float32), estimator.loss_gradient(X, Y)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("change", LESS.values(), ids=LESS.keys())
def test_less_precise_numbers_give_nearly_the_same_boxes(estimator, expected, change):
    boxes = estimator.predict(change(X.copy()), y_init=Y[0]["boxes"][:1])[0]["boxes"]
    np.testing.assert_allclose(np.asarray(boxes), expected, atol=2)


BOXES = {
    "list": lambda boxes: boxes.tolist(),
    "tuples": lambda boxes: tuple(map(tuple, boxes.tolist())),
    "tensor": torch.from_numpy,
    "list of tensors": lambda boxes: [torch.from_numpy(box) for box in boxes],
    "big-endian": lambda boxes: boxes.astype(">f4"),
    "turned": lambda boxes: np.ascontiguousarray(boxes[:, ::-1])[:, ::-1],
    "double": lambda boxes: boxes.astype(np.float64),
    "half": lambda boxes: boxes.astype(np.float16),
    "whole numbers": lambda boxes: boxes.astype(np.int64),
    "unsigned": lambda boxes: boxes.astype(np.uint16),
    "objects": lambda boxes: boxes.astype(object),
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("change", BOXES.values(), ids=BOXES.keys())
def test_the_kind_of_boxes_does_not_matter(estimator, expected, change):
    boxes = change(Y[0]["boxes"].copy())  # all of them whole numbers
    np.testing.assert_array_equal(estimator.predict(X, y_init=boxes[:1])[0]["boxes"], expected)
    for y in ([{"boxes": boxes}], ({"boxes": boxes},), {"boxes": boxes}, objects([{"boxes": boxes}])):
        np.testing.assert_array_equal(estimator.compute_loss(X, y), estimator.compute_loss(X, Y))


BAD_BATCHES = {
    "none": (None, InvalidTypeError, "x"),
    "text": ("walkers/mini/0", InvalidTypeError, "x"),
    "number": (3.0, InvalidTypeError, "x"),
    "number as an array": (np.float32(3), InvalidTypeError, "x"),
    "dict": ({"x": X}, InvalidTypeError, "x"),
    "single video": (X[0], InvalidValueError, "x"),
    "single video as a tensor": (torch.from_numpy(X[0]), InvalidValueError, "x"),
    "no video": (X[:0], InvalidValueError, "x"),
    "empty list": ([], InvalidValueError, "x"),
    "no frame": (X[:, :0], InvalidValueError, "x[0]"),
    "no pixels": (X[:, :, :0], InvalidValueError, "x[0]"),
    "frames in lists": ([list(X[0])], InvalidTypeError, "x[0]"),
    "numbers in lists": ([X[0].tolist()], InvalidTypeError, "x[0]"),
    "objects": (X.astype(object), InvalidTypeError, "x[0]"),
    "uint8": ((X * 255).astype(np.uint8), InvalidTypeError, "x[0]"),
    "truth values": (X > 0.5, InvalidTypeError, "x[0]"),
    "complex": (X.astype(complex), InvalidTypeError, "x[0]"),
    "complex tensor": (torch.from_numpy(X).to(torch.complex64), InvalidTypeError, "x[0]"),
    "text in arrays": (np.full(X.shape, "a"), InvalidTypeError, "x[0]"),
    "masked": (np.ma.masked_array(X, X > 0.5), InvalidValueError, "x[0]"),
    "channels first": (np.moveaxis(X, -1, 2), InvalidValueError, "x[0]"),
    "four channels": (np.concatenate([X, X[..., :1]], axis=-1), InvalidValueError, "x[0]"),
    "second video": ([X[0], X[0] * np.nan], InvalidValueError, "x[1]"),
}


@pytest.mark.parametrize(("x", "error", "key"), BAD_BATCHES.values(), ids=BAD_BATCHES.keys())
def test_bad_batches_are_named(estimator, x, error, key):
    y_init = np.repeat(Y[0]["boxes"][:1], len(x) if hasattr(x, "__len__") else 1, axis=0)
    with pytest.raises(error) as caught:
        estimator.predict(x, y_init=y_init)
    assert caught.value.key == key
    with pytest.raises(error) as caught:
        estimator.loss_gradient(x, Y * len(y_init))
    assert caught.value.key == key


BAD_LABELS = {
    "none": (None, "y"),
    "number": (3, "y"),
    "text": ("boxes", "y"),
    "too many": (Y * 2, "y"),
    "no dict": ([Y[0]["boxes"]], "y[0]"),
    "no boxes": ([{"keypoints": 1}], "y[0]"),
    "text for boxes": ([{"boxes": "a"}], "y[0]"),
    "nothing for boxes": ([{"boxes": None}], "y[0]"),
    "rows of different lengths": ([{"boxes": [[1, 2, 3, 4], [1, 2]]}], "y[0]"),
    "one box": ([{"boxes": Y[0]["boxes"][0]}], "y[0]"),
    "NaN": ([{"boxes": Y[0]["boxes"] * np.nan}], "y[0]"),
    "complex": ([{"boxes": Y[0]["boxes"] * 1j}], "y[0]"),
    "corners the other way round": ([{"boxes": [Y[0]["boxes"][0], [80, 40, 60, 85], [60, 40, 80, 85]]}], "y[0]"),
    "lists of different lengths": ([[[1, 2, 3, 4], [1, 2]]], "y[0]"),
    "truth values": ([{"boxes": Y[0]["boxes"] > 50}], "y[0]"),
}


@pytest.mark.parametrize(("y", "key"), BAD_LABELS.values(), ids=BAD_LABELS.keys())
def test_bad_labels_are_named(estimator, y, key):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        estimator.compute_loss(X, y)
    assert caught.value.key == key


@pytest.mark.parametrize(
    "y_init",
    [None, 3, "box", {"boxes": 1}, np.float32(1), [["a", 1, 2, 3]], [None], [{}], [[1j] * 4], {(60, 40, 80, 85)}],
)
def test_first_boxes_that_are_none_are_named(estimator, y_init):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        estimator.predict(X, y_init=y_init)
    assert caught.value.key in ("y_init", "y_init[0]")


def test_first_boxes_of_different_lengths_are_named(estimator):
    with pytest.raises(InvalidValueError) as caught:
        estimator.predict(np.concatenate([X, X]), y_init=[[60, 40, 80, 85], [60, 40]])
    assert caught.value.key == "y_init[1]"


def test_first_boxes_may_be_any_tensors(estimator, expected):
    box = torch.from_numpy(Y[0]["boxes"][0])
    for each in (box.clone().requires_grad_(), box.bfloat16()):
        np.testing.assert_array_equal(estimator.predict(X, y_init=[each])[0]["boxes"], expected)


def test_activations_are_those_of_checked_images():
    estimator = random_estimator()
    np.testing.assert_array_equal(estimator.get_activations(X, 0), estimator.get_activations(X[0], "layer1"))
    for images in (X * 255, X * np.nan, (X * 255).astype(np.uint8), X[0, 0]):
        with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
            estimator.get_activations(images, 0)
        assert caught.value.key == "x"


@pytest.mark.parametrize("box", [[-1e6, -1e6, 1e6, 1e6], [-400, 40, 300, 85], [60, -300, 80, 300]])
def test_a_first_box_whose_template_would_fill_the_memory_is_named(estimator, box):
    with pytest.raises(InvalidValueError) as caught:
        estimator.predict(X, y_init=[box])
    assert caught.value.key == "y_init[0]"
