"""The emulated device itself: it refuses what a GPU refuses, and counts what a GPU would do and be waited for."""

import pytest
import torch
from emulated_device import DEVICE, emulated_device


@pytest.mark.parametrize(
    "meet",
    [
        lambda ours, theirs: ours + theirs,
        lambda ours, theirs: theirs @ ours,
        lambda ours, theirs: torch.cat([ours, theirs]),
        lambda ours, theirs: torch.where(theirs > 0, ours, 0),
        lambda ours, _: ours.numpy(),
        lambda ours, theirs: theirs[ours.long()],
    ],
)
def test_tensors_of_two_devices_do_not_meet(meet):
    with emulated_device():
        ours, theirs = torch.ones(3, device=DEVICE), torch.ones(3)
        with pytest.raises((RuntimeError, TypeError)):
            meet(ours, theirs)
        meet(ours.cpu(), theirs)


def test_single_numbers_of_the_cpu_may_meet_tensors_of_the_device():
    with emulated_device() as counts:
        assert (torch.ones(3, device=DEVICE) * torch.tensor(2.0)).cpu().tolist() == [2, 2, 2]
    assert counts.copies.total() == 1  # for the list


@pytest.mark.parametrize(
    ("work", "copies", "waits"),
    [
        (lambda ours: ours * 2 + 1, 0, 0),
        (lambda ours: ours[1:].view(2).detach(), 0, 0),
        (lambda ours: ours.cpu(), 1, 1),
        (lambda ours: torch.ones(3).to(DEVICE), 1, 1),
        (lambda ours: torch.ones(3).to(DEVICE, non_blocking=True), 1, 0),
        (lambda ours: ours.copy_(torch.ones(3)), 1, 1),
        (lambda ours: ours.new_tensor([1.0, 2]), 1, 1),
        (lambda ours: torch.tensor([1.0, 2], device=DEVICE), 1, 1),
        (lambda ours: torch.arange(3, device=DEVICE), 0, 0),
        (lambda ours: ours.sum().item(), 0, 1),
        (lambda ours: bool(ours.any()), 0, 1),
        (lambda ours: ours.nonzero(), 0, 1),
        (lambda ours: ours[ours > 0], 0, 1),
        (lambda ours: ours[ours.long()], 0, 0),
    ],
)
def test_copies_and_waits_are_counted(work, copies, waits):
    with emulated_device() as counts:
        ours = torch.ones(3, device=DEVICE)
        work(ours)
    assert (counts.copies.total(), counts.waits.total()) == (copies, waits)


def test_views_start_no_kernel():
    with emulated_device() as counts:
        torch.ones(2, 3, device=DEVICE).T[None].detach()[0, :2].mul(2)
    assert counts.launches.total() == 2


def test_modules_and_gradients_live_on_the_device():
    with emulated_device():
        module = torch.nn.Linear(3, 1).to(DEVICE)
        module(torch.ones(2, 3, device=DEVICE)).sum().backward()
        assert module.weight.grad.device == module.weight.device == DEVICE
        assert module.weight.grad.cpu().tolist() == [[2, 2, 2]]
