"""One video with the target's true boxes, for evaluations from Python."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from armory_skelevision.boxes import read_numbers
from armory_skelevision.datasets.walker_files import read_annotation
from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, Positive, check_value


@dataclass(frozen=True, eq=False, repr=False)
class Video:
    """A video and what is annotated in it. ``video[10:20]`` is a part of it, ``len(video)`` its number of frames.

    Boxes and corners are in pixels: x to the right, y down, pixel edges at whole numbers.

    Attributes:
        frames: (F, H, W, 3) float32, RGB in [0, 1].
        boxes_xyxy: True boxes of the target, (F, 4) float32.
        name: For results and legends.
        frame_rate: Frames per second.
        gs_coords: Corners of the screen that a patch is shown on, (F, 4, 2) as x, y: top left, top right, bottom right,
            bottom left. None where there is no screen.
        masks: Where the screen is visible, (F, H, W), non-zero there. None where there is no screen.
        keypoints: (F, 17, 3) in COCO's order: x, y, visibility (0 not labelled, 1 occluded, 2 visible). None where they
            are unknown.

    Raises:
        InvalidValueError: For an array whose shape does not fit the frames.
    """

    frames: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float32]
    name: str = "video"
    frame_rate: float = 30.0
    gs_coords: NDArray[Any] | None = None
    masks: NDArray[Any] | None = None
    keypoints: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        for key, values in {"frames": self.frames, "boxes_xyxy": self.boxes_xyxy, **self._annotations()}.items():
            if not isinstance(values, np.ndarray):
                raise InvalidTypeError(key, "an array", type(values).__name__, "load_video takes other kinds")
        if not 0 < self.frame_rate < np.inf:
            raise InvalidValueError("frame_rate", "frames per second, above 0", f"{self.frame_rate!r:.80}")
        shape = self.frames.shape
        if len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise InvalidValueError("frames", "a video (F, H, W, 3), RGB", f"shape {shape}")
        wanted = {"gs_coords": (len(self), 4, 2), "masks": shape[:3], "keypoints": (len(self), 17, 3)}
        for key, values in {"boxes_xyxy": self.boxes_xyxy, **self._annotations()}.items():
            expected = wanted.get(key, (len(self), 4))
            if values.shape != expected:
                raise InvalidValueError(key, f"an array {expected}, one entry per frame", f"shape {values.shape}")
        for key in ("boxes_xyxy", *self._annotations()):
            if not np.isfinite(getattr(self, key)).all():
                raise InvalidValueError(key, "finite values", "NaN or infinity")

    @property
    def patch_metadata(self) -> dict[str, NDArray[Any]]:
        """What attacks need besides the boxes, under ARMORY's names; {} if nothing is known.

        ``gs_coords`` (F, 4, 2), ``masks`` (F, H, W, 3; a view with three equal channels) and ``keypoints`` (F, 17, 3).
        """
        metadata = self._annotations()
        if self.masks is not None:
            metadata["masks"] = np.broadcast_to(self.masks[..., None], (*self.masks.shape, 3))
        return metadata

    def __repr__(self) -> str:
        """Name and size, without the pixels."""
        return f"Video({self.name!r}, {len(self)} frames of {self.frames.shape[2]}x{self.frames.shape[1]})"

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def __getitem__(self, part: slice) -> Video:
        """The chosen frames with their annotations; a single number is refused, since a frame alone is no video."""
        if not isinstance(part, slice):
            raise InvalidTypeError("video[…]", "a slice such as video[:10]", repr(part))
        chosen: dict[str, Any] = {key: values[part] for key, values in self._annotations().items()}
        return dataclasses.replace(self, frames=self.frames[part], boxes_xyxy=self.boxes_xyxy[part], **chosen)

    def _annotations(self) -> dict[str, NDArray[Any]]:
        known = {"gs_coords": self.gs_coords, "masks": self.masks, "keypoints": self.keypoints}
        return {key: values for key, values in known.items() if values is not None}


def load_video(
    source: str | ArrayLike,
    boxes_xyxy: ArrayLike | None = None,
    *,
    name: str = "video",
    frame_rate: float = 30.0,
    gs_coords: ArrayLike | None = None,
    masks: ArrayLike | None = None,
) -> Video:
    """A video that comes with the package, or one made of your own frames.

    Args:
        source: The name of a packaged video, "walkers/mini/0" to "walkers/mini/2" or "walkers/dev/0" to
            "walkers/dev/19"; or frames (F, H, W, 3), RGB, uint8 or floating point in [0, 1], as an array or a sequence
            of frames.
        boxes_xyxy: With frames, the target's true boxes (F, 4) in pixels.
        name: With frames, what results call the video.
        frame_rate: With frames, frames per second.
        gs_coords: With frames, the corners of the screen for a patch, (4, 2) or (F, 4, 2); see `Video`.
        masks: With frames, where that screen is visible, (F, H, W) or (F, H, W, 3); None means everywhere.

    Returns:
        The video; all pixels are in memory.

    Raises:
        InvalidValueError: For an unknown name, missing boxes, or arrays of the wrong shape, type or range.

    Example:
        >>> load_video("walkers/mini/0")[:10].boxes_xyxy.shape
        (10, 4)
    """
    if isinstance(source, str):
        video = _load_packaged(source)
        for key, given in {"boxes_xyxy": boxes_xyxy, "gs_coords": gs_coords, "masks": masks}.items():
            if given is not None:
                raise InvalidValueError(key, f"none: {source} has its own", "some", "give frames to use others")
        return video
    check_value("name", name, str)
    check_value("frame_rate", frame_rate, Positive)
    frames = _to_float(read_numbers("source", source, "frames (F, H, W, 3), or the name of a packaged video"))
    if boxes_xyxy is None:
        raise InvalidValueError("boxes_xyxy", "the target's true boxes (F, 4), xyxy in pixels", "none")
    known: dict[str, NDArray[Any]] = {}
    if masks is not None and gs_coords is None:
        raise InvalidValueError("gs_coords", "the corners of the screen that masks belong to", "none")
    if gs_coords is not None:
        corners = read_numbers("gs_coords", gs_coords, "corners (4, 2) or (F, 4, 2)").astype(np.float64)
        known["gs_coords"] = np.broadcast_to(corners, (len(frames), 4, 2)) if corners.shape == (4, 2) else corners
        visible = np.ones(frames.shape[:3], dtype=np.uint8) if masks is None else _read_masks(masks)
        known["masks"] = visible[..., 0] if visible.ndim == 4 else visible
    boxes = read_numbers("boxes_xyxy", boxes_xyxy, "the target's true boxes (F, 4), xyxy in pixels")
    return Video(frames, boxes.astype(np.float32), name, frame_rate, **known)


def _read_masks(masks: ArrayLike) -> NDArray[Any]:
    given = np.asarray(masks)
    return given if given.dtype == np.bool_ else read_numbers("masks", masks, "numbers (F, H, W) or (F, H, W, 3)")


def _load_packaged(name: str) -> Video:
    splits = {f"walkers/{folder.name}": sorted(folder.glob("*.mp4")) for folder in sorted(SPLITS.iterdir())}
    videos = {f"{split}/{number}": path for split, paths in splits.items() for number, path in enumerate(paths)}
    if name not in videos:
        ranges = " or ".join(f"{split}/0 to {split}/{len(paths) - 1}" for split, paths in splits.items())
        raise InvalidValueError("source", f"a packaged video ({ranges}), or an array of frames", repr(name))
    video = read_annotation(videos[name])
    return Video(
        frames=_to_float(video.read_frames()),
        boxes_xyxy=video.boxes_xyxy,
        name=name,
        frame_rate=video.frame_rate,
        gs_coords=video.gs_coords,
        masks=video.decode_masks(),
        keypoints=video.keypoints,
    )


def _to_float(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Frames as float32 in [0, 1]; divided as ARMORY does it, so that packaged videos are the same to the last bit."""
    if frames.dtype == np.uint8:
        return frames.astype(np.float32) / np.float32(255)
    if not np.issubdtype(frames.dtype, np.floating):
        raise InvalidValueError("frames", "uint8, or floating point in [0, 1]", f"{frames.dtype}")
    if frames.size and not (frames.min() >= 0 and frames.max() <= 1):
        fix = "divide by 255" if 1 < frames.max() <= 255 else ""
        raise InvalidValueError("frames", "values in [0, 1]", f"{frames.min():g} to {frames.max():g}", fix)
    return frames.astype(np.float32, copy=False)
