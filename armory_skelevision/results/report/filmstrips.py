"""Frames, videos and patches that runs exported, as data URIs, with the boxes and scores that their results have."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from armory_skelevision.io import printable, read_bytes, read_object
from armory_skelevision.results.records import Box, RunResult
from armory_skelevision.results.samples import list_frames, root_of, sample_folder
from armory_skelevision.validation import InvalidValueError, StructuredError

if TYPE_CHECKING:
    from PIL import Image

FRAMES = 5
"""Frames shown of a video."""

MAX_PICTURE, MAX_VIDEO = 64 * 2**20, 64 * 2**20
"""What a picture and a video may have, in bytes."""

MAX_SIDE = 8192
"""Pixels of the longer side of a picture."""

_WIDTH = 320  # pixels of an embedded frame
_PATCH_WIDTH = 200


class Frame(NamedTuple):
    """A frame for the page."""

    number: int
    """In the video."""
    width: int
    """Of the exported frame, in pixels, the unit of the boxes."""
    height: int
    picture: str
    """As a data URI."""
    true_xyxy: Box | None
    """None where it was not recorded, as below."""
    predicted_xyxy: Box | None
    score: float | None
    """Of the tracker, on its own scale."""


def read_filmstrip(run: RunResult, video: int, side: str, problems: list[StructuredError]) -> list[Frame]:
    """Some exported frames of a video, evenly from the second to the last; [] where none were exported.

    A frame that is no picture, too large, or a link out of the folder that was given is left out, and a problem.
    """
    paths = list_frames(run, video, side)
    numbers = list(paths)
    if len(numbers) < 2:
        return []
    result, frames = run.side(side), []
    for at in np.linspace(1, len(numbers) - 1, min(FRAMES, len(numbers) - 1)):
        number = numbers[round(at)]
        try:
            picture = _open(paths[number], run)
        except StructuredError as error:
            problems.append(error)
            continue
        uri = _as_uri(picture, _WIDTH, "jpeg")
        true_xyxy, found_xyxy = (_find_box(each, video, number) for each in (result.true_boxes_xyxy, result.boxes_xyxy))
        score = _find_score(result.scores, video, number)
        frames.append(Frame(number, picture.width, picture.height, uri, true_xyxy, found_xyxy, score))
    return frames


def read_video(run: RunResult, video: int, side: str) -> str | None:
    """A video with its boxes as a data URI; None where it was not exported.

    Raises:
        InvalidValueError: If it is too large, no regular file, or a link out of the folder that was given.
    """
    folder = sample_folder(run, video, side)
    path = folder / f"video_{folder.name}_with_boxes.mp4" if folder else None
    if path is None or not path.exists():
        return None
    return f"data:video/mp4;base64,{base64.b64encode(read_bytes(path, MAX_VIDEO, root_of(run))).decode()}"


def read_patch(run: RunResult, video: int) -> str | None:
    """The patch that the attack exported for a video, as a data URI; None where there is none of this run.

    It is looked for in the run's folder, in the folder ``attack.kwargs.export`` or in one of that name, since a sweep
    may have been moved. Elsewhere only a folder is looked into that lies in the one that was given: a result says where
    patches are, and must not be able to name any picture on this machine.

    Raises:
        InvalidValueError: If it is no picture, too large, or a link out of the folder that was given.
    """
    kwargs = run.setting("attack", "kwargs")
    if not isinstance(kwargs, dict) or not isinstance(kwargs.get("export"), str) or "\0" in kwargs["export"]:
        return None
    given = Path(kwargs["export"])
    for export in (run.folder / given, given, run.folder / given.name):
        stem = export / f"patch_{video:03d}"
        settings, picture = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.png")
        is_near = Path(os.path.abspath(export)).is_relative_to(os.path.abspath(root_of(run)))
        if is_near and settings.exists() and picture.exists() and _was_made_with(settings, kwargs, run):
            return _as_uri(_open(picture, run), _PATCH_WIDTH, "png")
    return None


def _find_box(videos_xyxy: Sequence[Sequence[Box]], video: int, frame: int) -> Box | None:
    """A box; None where it was not recorded, is missing, or has no area, as in frames without the target."""
    boxes_xyxy = videos_xyxy[video] if video < len(videos_xyxy) else ()
    x1, y1, x2, y2 = boxes_xyxy[frame] if frame < len(boxes_xyxy) else (math.nan,) * 4
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _find_score(videos: Sequence[Sequence[float]], video: int, frame: int) -> float | None:
    """A score; None where it was not recorded, or is missing."""
    scores = videos[video] if video < len(videos) else ()
    return scores[frame] if frame < len(scores) and not math.isnan(scores[frame]) else None


def _open(path: Path, run: RunResult) -> Image.Image:
    """A PNG picture as RGB (`InvalidValueError`, naming it, for anything else)."""
    from PIL import Image

    data = read_bytes(path, MAX_PICTURE, root_of(run))
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > MAX_SIDE:
                got = f"{image.width} x {image.height}"
                raise InvalidValueError(printable(path), f"a picture of at most {MAX_SIDE} pixels a side", got)
            return image.convert("RGB")
    except InvalidValueError:
        raise
    except Exception as error:  # decoders raise anything on damaged files, which a killed run may leave
        raise InvalidValueError(printable(path), "a PNG picture", f"{error!s:.80}" or type(error).__name__) from None


def _as_uri(image: Image.Image, width: int, kind: str) -> str:
    """A picture, reduced to this width if it is wider, as a data URI."""
    if image.width > width:
        image = image.resize((width, max(1, round(image.height * width / image.width))))
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 82} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _was_made_with(settings: Path, kwargs: Mapping[str, Any], run: RunResult) -> bool:
    """Whether a patch's settings are those of the run: another run may have written into the same folder since."""
    written = read_object(settings, inside=root_of(run))
    ours = [name for name in kwargs if name not in ("export", "verbose")]
    return all(written.get(name, kwargs[name]) == kwargs[name] for name in ours)
