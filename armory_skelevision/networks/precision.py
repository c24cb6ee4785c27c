"""Half precision, and the processors on which it is no gain."""

from __future__ import annotations

import warnings

import torch

IN_SOFTWARE = ("DEFAULT", "NO AVX", "AVX2")
"""What PyTorch calls processors for whose bf16 its convolutions have no fast kernels."""


def warn_of_slow_bf16(precision: str, device: torch.device) -> None:
    """Say where bf16 costs time in place of saving it: eight times that of float32 on a processor with AVX2 alone.

    Args:
        precision: "float32" or "bf16".
        device: Where the network is.

    Warns:
        UserWarning: If so.
    """
    capability = torch.backends.cpu.get_cpu_capability()
    if precision == "bf16" and device.type == "cpu" and capability in IN_SOFTWARE:
        warnings.warn(
            f'"precision": "bf16" takes many times as long as "float32" on this processor ({capability}, no AVX-512)',
            stacklevel=2,
        )
