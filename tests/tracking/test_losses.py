import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from armory_skelevision.tracking.losses import (
    classification_loss,
    keypoint_bce,
    keypoint_distance,
    keypoint_softmax,
    localisation_loss,
)

POSITIONS = 127 * 127


def keypoints_at(*points: tuple[int, float, float, float]) -> Tensor:
    """(1, 17, 3), invisible save for the given (index, x, y, visibility)."""
    keypoints = torch.zeros(1, 17, 3)
    for index, *values in points:
        keypoints[0, index] = torch.tensor(values)
    return keypoints


def test_classification_by_hand() -> None:
    cls = torch.zeros(1, 4, 1, 2)  # (background, target) x 2 anchors, 1 x 2 positions
    cls[0, 2, 0, 0] = math.log(3)  # target of anchor 0, left: probability 3/4
    cls[0, 1, 0, 1] = math.log(9)  # background of anchor 1, right: probability 9/10
    labels = torch.tensor([[[[1, -1]], [[0, 0]]]])
    expected = 0.5 * math.log(4 / 3) + 0.5 * (math.log(2) + math.log(10 / 9)) / 2
    assert classification_loss(cls, labels).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("label", "expected"), [(1, 0.5 * math.log(2)), (0, 0.5 * math.log(2)), (-1, 0.0)])
def test_classification_with_a_half_missing(label: int, expected: float) -> None:
    cls = torch.zeros(2, 10, 3, 3, requires_grad=True)
    loss = classification_loss(cls, torch.full((2, 5, 3, 3), label))
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert torch.isfinite(cls.grad).all()  # type: ignore[arg-type]


def test_localisation_by_hand() -> None:
    loc = torch.zeros(2, 8, 1, 1)  # 4 values x 2 anchors
    loc[0, 1] = 3.0  # dx of anchor 1 in the first pair
    loc[0, 6] = -2.0  # dh of anchor 0 in the first pair
    deltas = torch.zeros(2, 4, 2, 1, 1)
    deltas[0, 0, 1] = 1.0
    deltas[1, 2, 0] = 5.0
    weights = torch.tensor([[0.5, 0.25], [0.0, 1.0]]).reshape(2, 2, 1, 1)
    # pair 0: anchor 0 |-2| * .5, anchor 1 |3 - 1| * .25; pair 1: the only distance has weight 0
    assert localisation_loss(loc, deltas, weights).item() == pytest.approx((1.0 + 0.5 + 0.0) / 2)


def test_keypoint_losses_of_flat_maps() -> None:
    keypoints = keypoints_at((0, 5.5, 7.2, 2), (9, 126.9, 0.0, 1))
    assert keypoint_softmax(torch.zeros(1, 17, 127, 127), keypoints).item() == pytest.approx(math.log(POSITIONS))
    assert keypoint_bce(torch.zeros(1, 17, 127, 127), keypoints).item() == pytest.approx(math.log(2))


def test_keypoint_losses_by_hand() -> None:
    logits = torch.zeros(1, 17, 127, 127)
    logits[0, 3, 40, 20] = 5.0  # row 40, column 20
    keypoints = keypoints_at((3, 20.9, 40.0, 2))
    softmax = math.log(POSITIONS - 1 + math.exp(5)) - 5
    bce = ((POSITIONS - 1) * math.log(2) + math.log(1 + math.exp(-5))) / POSITIONS
    assert keypoint_softmax(logits, keypoints).item() == pytest.approx(softmax, rel=1e-5)
    assert keypoint_bce(logits, keypoints).item() == pytest.approx(bce, rel=1e-6)


def test_keypoint_distance_by_hand() -> None:
    found = torch.zeros(1, 17, 2)
    found[0, 3] = torch.tensor([23.0, 44.0])
    found[0, 4] = torch.tensor([100.0, 0.0])
    outside, unlabelled = (5, 130.0, 40.0, 2), (6, 20.0, 40.0, 0)
    keypoints = keypoints_at((3, 20.0, 40.0, 2), (4, 90.0, 0.0, 1), outside, unlabelled)
    assert keypoint_distance(found, keypoints, 127).item() == pytest.approx((25 + 100) / 127**2 / 2)
    assert keypoint_distance(found, keypoints_at(unlabelled), 127).item() == 0


@pytest.mark.parametrize("loss", [keypoint_softmax, keypoint_bce])
def test_only_labelled_keypoints_inside_the_crop_count(loss) -> None:  # type: ignore[no-untyped-def]
    logits = torch.randn(1, 17, 127, 127, generator=torch.Generator().manual_seed(0), requires_grad=True)
    alone = keypoints_at((3, 20.0, 40.0, 2))
    others = [(4, 20.0, 40.0, 0), (5, -0.1, 40.0, 2), (6, 127.0, 40.0, 2), (7, 20.0, 127.5, 1), (8, 20.0, -3.0, 2)]
    with_others = keypoints_at((3, 20.0, 40.0, 2), *others)
    assert loss(logits, alone).item() == loss(logits, with_others).item()
    loss(logits, with_others).backward()
    assert [c for c in range(17) if logits.grad[0, c].abs().sum() > 0] == [3]  # type: ignore[index]


@pytest.mark.parametrize(
    ("x", "y", "row", "column"),
    [
        (0.0, 0.0, 0, 0),
        (4.99, 0.5, 0, 4),
        (0.5, 2.99, 2, 0),
        (3.0, 1.0, 1, 3),
        (5.0, 1.0, None, None),
        (1, 3, None, None),
    ],
)
@pytest.mark.parametrize("visibility", [1, 2])
def test_keypoints_lie_in_the_pixel_that_covers_them(x, y, row, column, visibility) -> None:  # type: ignore[no-untyped-def]
    logits = torch.randn(1, 17, 3, 5, generator=torch.Generator().manual_seed(0))
    keypoints = keypoints_at((6, x, y, visibility))
    flat = logits[0, 6].flatten()
    softmax = flat.logsumexp(0) - logits[0, 6, row, column] if row is not None else torch.zeros(())
    bce = (F.softplus(flat).sum() - logits[0, 6, row, column]) / 15 if row is not None else torch.zeros(())
    torch.testing.assert_close(keypoint_softmax(logits, keypoints), softmax)
    torch.testing.assert_close(keypoint_bce(logits, keypoints), bce)


@pytest.mark.parametrize("loss", [keypoint_softmax, keypoint_bce])
def test_no_keypoint_is_no_loss_but_a_graph(loss) -> None:  # type: ignore[no-untyped-def]
    logits = torch.randn(2, 17, 127, 127, requires_grad=True)
    value = loss(logits, torch.zeros(2, 17, 3))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("loss", [keypoint_softmax, keypoint_bce])
def test_keypoint_gradient_raises_the_right_place(loss) -> None:  # type: ignore[no-untyped-def]
    logits = torch.zeros(1, 17, 127, 127, requires_grad=True)
    loss(logits, keypoints_at((0, 30.5, 90.5, 2))).backward()
    assert divmod(int(logits.grad[0, 0].argmin()), 127) == (90, 30)  # type: ignore[index]
