"""Half precision, and the processors on which it is slower."""

from __future__ import annotations

import warnings

import torch


def warn_of_slow_bf16(precision: str, device: torch.device) -> None:
    """Warn where bf16 is slower than float32: on processors with AVX2 and nothing newer.

    Args:
        precision: "float32" or "bf16".
        device: Of the network.

    Warns:
        UserWarning: If bf16 is slow on the device.
    """
    if precision == "bf16" and device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2":
        warnings.warn(
            '"precision": "bf16" takes many times as long as "float32" on this processor (AVX2, no AVX-512)',
            stacklevel=2,
        )
