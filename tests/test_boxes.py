import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from armory_skelevision.boxes import cxcywh_to_xyxy, iou, xyxy_to_cxcywh

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
