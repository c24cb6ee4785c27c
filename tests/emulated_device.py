"""An emulated accelerator: what a GPU would refuse, and what it would wait for, without a GPU.

Its tensors say that they are on a device, `DEVICE`, hold their values on the CPU, and refuse to meet tensors of the
CPU, as those of CUDA do. The values are computed by the CPU's own kernels, so results can be compared to the last bit.
Speed, and the kernels of a real device, are not emulated.

    with emulated_device() as counts:
        estimator.predict(...)
    counts.waits
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
AUTOCAST = torch.autocast
# PyTorch knows the name, has no such device, and runs the backward pass of its tensors in the calling thread, where the
# modes below are.
DEVICE = torch.device("lazy", 0)

# Operations whose result has a size that depends on values: the host must know it before it can go on.
SIZED_BY_VALUES = {aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive}
# Those that reserve memory only.
ALLOCATIONS = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.detach}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}


@dataclass
class Counts:
    """What was asked of the device, each by the name of the operation."""

    operations: int = 0
    """All operations on tensors, those on the CPU included."""
    launches: Counter[str] = field(default_factory=Counter)
    """Kernels that a device would start: operations on its tensors, other than views."""
    copies: Counter[str] = field(default_factory=Counter)
    """Copies from the host to the device, and back."""
    waits: Counter[str] = field(default_factory=Counter)
    """Where the host waits for the device: copies that are not ``non_blocking``, and reading values."""

    def total(self) -> dict[str, int]:
        """All four as plain numbers."""
        counters = {"launches": self.launches, "copies": self.copies, "waits": self.waits}
        return {"operations": self.operations, **{name: each.total() for name, each in counters.items()}}


class EmulatedTensor(Tensor):
    """A tensor on the emulated device; ``held`` has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> EmulatedTensor:
        """Wrap a tensor of the CPU."""
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "layout": held.layout}
        wrapped: EmulatedTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, held.size(), dtype=held.dtype, device=DEVICE, **layout
        )
        wrapped.held = held
        return wrapped

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        """The values, marked as emulated."""
        return f"Emulated({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Only a mode can count."""
        raise RuntimeError(f"{func} of an emulated tensor outside of emulated_device()")


@contextlib.contextmanager
def emulated_device() -> Iterator[Counts]:
    """Make `DEVICE` a device that tensors and modules can be moved to, and count what is asked of it."""
    counts = Counts()
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    # Parameters of another class cannot be written into those that a module has: modules must take new ones.
    torch.__future__.set_swap_module_params_on_conversion(True)
    # Checkpointing looks for the module of a device, and calls none of its functions.
    known = mock.patch.multiple(torch, create=True, autocast=_autocast, **{DEVICE.type: SimpleNamespace()})
    try:
        with known, _Literals(), _Dispatch(counts):
            yield counts
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)


class _Dispatch(TorchDispatchMode):
    """Runs each operation on the values that tensors hold, and checks and counts it as a device would."""

    def __init__(self, counts: Counts) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        self.counts.operations += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_device = [tensor for tensor in tensors if isinstance(tensor, EmulatedTensor)]
        device = kwargs.pop("device", None)
        target = bool(on_device) if device is None else _is_emulated(device)
        if func.overloadpacket in (aten._to_copy, aten.copy_):
            return self._copy(func, args, kwargs, target)
        if device is not None:
            kwargs["device"] = torch.device("cpu")
        if on_device:
            self._check(func, args, tensors)
        if on_device or target:
            self._count(func, args)
        if func.overloadpacket is aten._efficientzerotensor:  # has no memory, which operations below autograd ask for
            func = aten.zeros.default
        result = func(*_held(args), **_held(kwargs))
        if func is aten._local_scalar_dense.default or not target:
            return result
        if on_device and args[0] is on_device[0] and _writes_to_first(func):
            return args[0]
        return tree_map_only(Tensor, EmulatedTensor, result)

    def _copy(self, func: Any, args: Any, kwargs: dict[str, Any], target: bool) -> Any:
        """A copy, which alone may cross from one device to the other."""
        into = func.overloadpacket is aten.copy_
        target = isinstance(args[0], EmulatedTensor) if into else target
        source = isinstance(args[1 if into else 0], EmulatedTensor)
        if source != target:
            name = "to device" if target else "to host"
            self.counts.copies[name] += 1
            # What is copied to the host is read there, whatever the flag says.
            blocks = not target or not (args[2] if into and len(args) > 2 else kwargs.get("non_blocking"))
            self.counts.waits[name] += blocks
        elif target:
            self.counts.launches[str(func)] += 1
        kwargs.pop("pin_memory", None)
        result = func(*_held(args), **_held(kwargs))
        if into:
            return args[0]
        return EmulatedTensor(result) if target else result

    def _check(self, func: Any, args: Any, tensors: list[Tensor]) -> None:
        """Refuse tensors of the CPU beside those of the device: single numbers and indices alone may be there."""
        indexed = func.overloadpacket in INDEXED
        if indexed and isinstance(args[0], EmulatedTensor):
            return
        misplaced = [each for each in tensors if not isinstance(each, EmulatedTensor) and (each.dim() or indexed)]
        if misplaced:
            shapes = ", ".join(str(tuple(each.shape)) for each in misplaced)
            raise RuntimeError(f"{func}: tensors on {DEVICE} and on the CPU (of shape {shapes})")

    def _count(self, func: Any, args: Any) -> None:
        packet = func.overloadpacket
        if packet is aten._local_scalar_dense or packet in SIZED_BY_VALUES:
            self.counts.waits[str(func)] += 1
        if packet in INDEXED:
            for index in (each for each in args[1] if each is not None):
                # A mask is turned into places first, whose number the host must know; places of the CPU are copied.
                if index.dtype in (torch.bool, torch.uint8) or not isinstance(index, EmulatedTensor):
                    self.counts.waits[str(func)] += 1
        if not func.is_view and packet is not aten._local_scalar_dense and packet not in ALLOCATIONS:
            self.counts.launches[str(func)] += 1


class _Literals(TorchFunctionMode):
    """Tensors from numbers of Python, which PyTorch makes below its dispatcher: made on the CPU and moved."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.new_tensor and isinstance(args[0], EmulatedTensor):
            func, kwargs = torch.tensor, {"dtype": args[0].dtype, "device": DEVICE, **kwargs}
            args = args[1:]
        if func is torch.Tensor.tolist and isinstance(args[0], EmulatedTensor):
            return args[0].cpu().tolist()
        if func in (torch.tensor, torch.as_tensor) and _is_emulated(kwargs.get("device")):
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def _autocast(device_type: str, *args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
    return AUTOCAST("cpu" if device_type == DEVICE.type else device_type, *args, **kwargs)


def _held(tree: Any) -> Any:
    return tree_map_only(EmulatedTensor, lambda tensor: tensor.held, tree)


def _is_emulated(device: Any) -> bool:
    return device is not None and torch.device(device).type == DEVICE.type


def _writes_to_first(func: Any) -> bool:
    first = func._schema.arguments[0].alias_info if func._schema.arguments else None
    return first is not None and first.is_write
