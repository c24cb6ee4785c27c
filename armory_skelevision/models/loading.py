"""A tracker by its name or its weights file, for use from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import torch

from armory_skelevision.models.adapter import Color
from armory_skelevision.models.estimator import SiameseEstimator
from armory_skelevision.models.external_tracker import external
from armory_skelevision.models.nanotracker import nanotrack
from armory_skelevision.models.origin import describe_origin
from armory_skelevision.models.siamfcpp import siamfcpp_alexnet
from armory_skelevision.models.siamrpn import siamrpn_mtl, siamrpn_stl
from armory_skelevision.models.siamrpnpp import (
    siamrpn_mobilev2_l234_dwxcorr,
    siamrpn_r50_l234_dwxcorr,
    siamrpn_r50_l234_dwxcorr_otb,
)
from armory_skelevision.networks.inference import with_gradients
from armory_skelevision.validation import InvalidValueError, check_value
from armory_skelevision.weights.checkpoints import SUFFIXES
from armory_skelevision.weights.loading import nanotrack_version, read_kind, read_metadata, read_names
from armory_skelevision.weights.resolve import resolve

Device = Literal["auto", "cpu", "gpu"]

MODELS = {
    "siamrpn_stl": siamrpn_stl,
    "siamrpn_mtl": siamrpn_mtl,
    "siamrpn_r50_l234_dwxcorr": siamrpn_r50_l234_dwxcorr,
    "siamrpn_r50_l234_dwxcorr_otb": siamrpn_r50_l234_dwxcorr_otb,
    "siamrpn_mobilev2_l234_dwxcorr": siamrpn_mobilev2_l234_dwxcorr,
    "siamfcpp_alexnet": siamfcpp_alexnet,
    "nanotrack": nanotrack,
}
"""The trackers by the names that a config has for them."""


@overload
def load_tracker(
    name: Literal[
        "siamrpn_stl",
        "siamrpn_mtl",
        "siamrpn_r50_l234_dwxcorr",
        "siamrpn_r50_l234_dwxcorr_otb",
        "siamrpn_mobilev2_l234_dwxcorr",
        "siamfcpp_alexnet",
        "nanotrack",
    ],
    weights: str | os.PathLike[str] | None = None,
    *,
    device: Device = "auto",
    tracking: Mapping[str, Any] | None = None,
) -> SiameseEstimator: ...
@overload
def load_tracker(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    device: Device = "auto",
    tracking: Mapping[str, Any] | None = None,
    color: Color | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Any: ...
@with_gradients
def load_tracker(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    *,
    device: Device = "auto",
    tracking: Mapping[str, Any] | None = None,
    color: Color | None = None,
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """A tracker, ready to be evaluated and attacked.

    Args:
        name: One of `MODELS`, such as "siamrpn_stl" (boxes) or "siamrpn_mtl" (boxes and human keypoints); or a weights
            file, whose header or tensors decide which of them it is, and with which keypoint head or version; or, as
            "module:name", what makes a tracker of your own, see `external`.
        weights: A weights file for the tracker of that name: a path, or the name of a file in ARMORY's
            ``saved_model_dir``. None takes the packaged weights, or for trackers without, the file in that folder that
            has the published one's name: ``nanotrackv3.pth``, or see the function of the tracker.
        device: "auto" computes on the GPU if there is one, else on the CPU.
        tracking: Constants of the tracker that differ from those that belong to the weights; see `TrackerSettings`.
        color: "RGB" or "BGR": the images that a tracker of your own gets; see `ExternalSettings`.
        kwargs: Arguments for what makes a tracker of your own.

    Returns:
        An ART estimator: a `SiameseEstimator`, or an `ExternalEstimator` for a tracker of your own. Videos are
        (N, F, H, W, 3) RGB in [0, 1], boxes xyxy in pixels. Its attribute ``origin`` says what it was made from, which
        the results of evaluations record.

    Raises:
        InvalidValueError: For an unknown name, a device that is not there, or a setting out of range.
        InvalidTypeError, TrackerFailedError: For what is no tracker of your own; see `external`.
        FileNotFoundError: If there is no such weights file.
        ValueError: For weights that are damaged or belong to another network.

    Example:
        >>> tracker = load_tracker("siamrpn_mtl", tracking={"window_influence": 0.4})
        >>> tracker.settings.window_influence
        0.4
    """
    check_value("name", name, str | os.PathLike)
    check_value("weights", weights, str | os.PathLike | None)
    check_value("device", device, Device)
    check_value("tracking", tracking, Mapping[str, Any] | None)
    check_value("kwargs", kwargs, Mapping[str, Any] | None)
    if device == "gpu" and not torch.cuda.is_available():
        raise InvalidValueError("device", "a GPU that PyTorch can use", "none", 'use device="auto" or "cpu"')
    wrapper_kwargs = {"device_type": "cpu" if device == "cpu" else "gpu", "tracking": dict(tracking or {})}
    if isinstance(name, str) and ":" in name and Path(name).suffix not in SUFFIXES:
        settings = {"factory": name, "color": color, "kwargs": dict(kwargs or {})}
        path = None if weights is None else resolve(weights)
        made = external(settings, wrapper_kwargs, path)
        given = {key: value for key, value in settings.items() if value}
        made.origin = describe_origin("external", given, wrapper_kwargs, _as_text(weights), path)
        return made
    if color is not None or kwargs is not None:
        raise InvalidValueError("color, kwargs", 'none but for "module:name"', repr(os.fspath(name)))
    return _load_own(name, weights, wrapper_kwargs)


def _load_own(
    name: str | os.PathLike[str], weights: str | os.PathLike[str] | None, wrapper_kwargs: Mapping[str, Any]
) -> SiameseEstimator:
    """One of this package's trackers; see `load_tracker`."""
    if name in MODELS and weights is None:
        made = MODELS[os.fspath(name)]({}, wrapper_kwargs)
        made.origin = describe_origin(os.fspath(name), {}, wrapper_kwargs, None, made.weights_path)
        return made
    if name not in MODELS and (weights is not None or Path(name).suffix not in SUFFIXES):
        expected = f"{', '.join(MODELS)}, a weights file ({', '.join(SUFFIXES)}), or module:name"
        raise InvalidValueError("name", expected, repr(os.fspath(name)))
    path = resolve(name if weights is None else weights)
    model, model_kwargs = _recognise(path)
    if weights is not None and model != name:
        raise InvalidValueError("weights", f"weights of {name}", f"those of {model} in {path}", f"load it as {model}")
    made = MODELS[model](model_kwargs, wrapper_kwargs, path)
    made.origin = describe_origin(
        model, model_kwargs, wrapper_kwargs, _as_text(name if weights is None else weights), path
    )
    return made


def _as_text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _recognise(path: Path) -> tuple[str, dict[str, Any]]:
    """The tracker that a weights file belongs to, and its ``model_kwargs``."""
    names = read_names(path) if read_metadata(path) is None else []
    version = nanotrack_version(names)
    if version is not None:
        return "nanotrack", {"version": version}
    architecture, head = read_kind(path)
    if architecture in MODELS:
        return architecture, {}
    return ("siamrpn_stl", {}) if head is None else ("siamrpn_mtl", {"keypoint_head": head})
