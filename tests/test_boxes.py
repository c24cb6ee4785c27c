import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armory_skelevision.boxes import cxcywh_to_xyxy, giou, iou, read_numbers, xyxy_to_cxcywh
from armory_skelevision.validation import InvalidTypeError

coordinates = st.floats(-500, 500, width=32)
sizes = st.floats(0.5, 300, width=32)


@st.composite
def boxes(draw):
    x, y = draw(coordinates), draw(coordinates)
    return torch.tensor([x, y, x + draw(sizes), y + draw(sizes)], dtype=torch.float64)


@settings(deadline=None)
@given(boxes())
def test_formats_round_trip(box_xyxy):
    torch.testing.assert_close(cxcywh_to_xyxy(xyxy_to_cxcywh(box_xyxy)), box_xyxy)


@settings(deadline=None)
@given(boxes(), boxes())
def test_iou_is_symmetric_and_bounded(a_xyxy, b_xyxy):
    value = iou(a_xyxy, b_xyxy)
    assert 0 <= value <= 1
    assert value == iou(b_xyxy, a_xyxy)
    torch.testing.assert_close(iou(a_xyxy, a_xyxy), torch.tensor(1.0, dtype=torch.float64))


def test_iou_of_known_boxes():
    a_xyxy = torch.tensor([0.0, 0, 10, 10])
    others_xyxy = torch.tensor([[5.0, 0, 15, 10], [10, 10, 20, 20], [0, 0, 10, 5], [3, 3, 3, 3]])
    torch.testing.assert_close(iou(a_xyxy, others_xyxy), torch.tensor([1 / 3, 0, 0.5, 0]))


def test_iou_of_two_empty_boxes_is_zero():
    empty_xyxy = torch.zeros(4)
    assert iou(empty_xyxy, empty_xyxy) == 0


def test_iou_has_a_gradient_that_pulls_boxes_together():
    a_xyxy = torch.tensor([0.0, 0, 10, 10], requires_grad=True)
    iou(a_xyxy, torch.tensor([4.0, 0, 14, 10])).backward()
    assert a_xyxy.grad[0] > 0 and a_xyxy.grad[2] > 0


def test_giou_of_known_boxes():
    a_xyxy = torch.tensor([0.0, 0, 2, 2])
    # the same; inside; touching; as far away as it is wide; diagonally, in a batch of three by two
    others_xyxy = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1], [2, 0, 4, 2], [4, 0, 6, 2], [2, 2, 4, 4], [2, 2, 2, 2]])
    expected = torch.tensor([[1, 1 / 4], [0, -1 / 3], [-1 / 2, 0]])
    torch.testing.assert_close(giou(a_xyxy, others_xyxy.view(3, 2, 4)), expected)
    torch.testing.assert_close(giou(a_xyxy / 8, others_xyxy.view(3, 2, 4) / 8), expected)  # fractions of a pixel


def test_numbers_are_read_from_whatever_holds_them():
    for value in ([1, 2.5], (1, 2.5), np.array([1, 2.5], object), torch.tensor([1, 2.5], dtype=torch.bfloat16)):
        numbers = read_numbers("boxes", value, "numbers")
        assert numbers.tolist() == [1, 2.5]
        assert numbers.dtype.kind == "f"
    assert read_numbers("boxes", torch.tensor([0.1], dtype=torch.float64), "numbers").tolist() == [0.1]


@pytest.mark.parametrize(
    "value", [[True], ["1"], [1j], [[1], [1, 2]], np.array(["1"], object), [1, None], {}, None, 10**400]
)
def test_what_is_no_numbers_is_refused(value):
    with pytest.raises(InvalidTypeError) as refused:
        read_numbers("boxes", value, "numbers")
    assert (refused.value.key, refused.value.expected) == ("boxes", "numbers")
