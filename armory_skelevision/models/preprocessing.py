"""ART's full-frame preprocessors, in NumPy or PyTorch, in front of a differentiable tracker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from torch import Tensor

from armory_skelevision.validation import InvalidTypeError, InvalidValueError


def check_operations(defences: Any, preprocessing: Any) -> None:
    """Check ``preprocessing_defences`` and ``preprocessing`` of an estimator.

    Raises:
        InvalidTypeError: For anything but preprocessors of ART.
        InvalidValueError: For those of other frames than (H, W, 3) with values in [0, 1], which give wrong numbers.
    """
    listed = [defences] if isinstance(defences, Preprocessor) else [] if defences is None else defences
    if not isinstance(listed, (list, tuple)) or not all(isinstance(each, Preprocessor) for each in listed):
        raise InvalidTypeError("preprocessing_defences", "preprocessors of ART, in a list", f"{defences!r:.80}")
    for each in listed:
        clip_values, channels_first = getattr(each, "clip_values", None), getattr(each, "channels_first", False)
        if channels_first or (clip_values is not None and [float(np.max(v)) for v in clip_values] != [0.0, 1.0]):
            got = f"{type(each).__name__} with clip_values {clip_values} and channels_first {channels_first}"
            raise InvalidValueError("preprocessing_defences", "those of frames (H, W, 3) with values in [0, 1]", got)
    pair = isinstance(preprocessing, tuple) and len(preprocessing) == 2
    if not (preprocessing is None or pair or isinstance(preprocessing, Preprocessor)):
        expected = "a preprocessor of ART, (mean, standard deviation) or none"
        raise InvalidTypeError("preprocessing", expected, f"{preprocessing!r:.80}")


def preprocess(video: Tensor, operations: Sequence[Preprocessor]) -> Tensor:
    """Apply preprocessors to one video (F, H, W, 3), RGB in [0, 1], in order, keeping its graph and shape.

    The values are always those of the preprocessor itself. Gradients are its own (autograd, or ART's
    ``estimate_gradient``); where it has none they pass straight through (BPDA, Athalye et al. 2018).

    Raises:
        InvalidValueError: If a preprocessor changes the video's shape, since boxes would no longer fit the frames.
    """
    for operation in operations:
        shape = video.shape
        if isinstance(operation, PreprocessorPyTorch):
            video = _torch_operation(video, operation)
        else:
            video = _NumpyOperation.apply(video, operation)  # type: ignore[no-untyped-call]
        if video.shape != shape:
            key = f"preprocessing_defences: {type(operation).__name__}"
            raise InvalidValueError(key, f"a video of unchanged shape {tuple(shape)}", f"shape {tuple(video.shape)}")
    return video


def _torch_operation(video: Tensor, operation: PreprocessorPyTorch) -> Tensor:
    values: Tensor = operation.forward(video[None])[0][0]
    if not (torch.is_grad_enabled() and video.requires_grad) or values.requires_grad:
        return values
    return video + (values - video).detach()


class _NumpyOperation(torch.autograd.Function):
    """A numpy preprocessor as a node of the graph."""

    @staticmethod
    def forward(ctx: Any, video: Tensor, operation: Preprocessor) -> Tensor:
        ctx.operation = operation
        ctx.save_for_backward(video)
        values, _ = operation(video.detach().cpu().numpy()[None])
        return torch.from_numpy(values[0]).to(video)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (video,) = ctx.saved_tensors
        batch = video.detach().cpu().numpy()[None]
        estimate = ctx.operation.estimate_gradient(batch, gradients[0].cpu().numpy()[None])
        return torch.from_numpy(estimate[0]).to(video), None
