"""Frames, videos and patches that runs exported, as data URIs, with the boxes that their results recorded.

ARMORY exports frames and videos if the config sets `scenario.export_batches`: each frame is a file such as
``saved_samples/batch_0_ex_0_scenario.x_adv/batch_0_ex_0_scenario.x_adv_frame_0003.png``.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from armory_skelevision.results.records import Box, RunResult
from armory_skelevision.results.result_file import read_object
from armory_skelevision.validation import StructuredError

if TYPE_CHECKING:
    from PIL import Image

FRAMES = 5
"""Frames shown of a video."""

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


def find_samples(run: RunResult) -> Path | None:
    """ARMORY's folder of exported samples beside a run's result."""
    found = [path for path in sorted(run.folder.glob("saved_samples*")) if path.is_dir()]
    return found[-1] if found else None


def read_filmstrip(run: RunResult, video: int, side: str) -> list[Frame]:
    """Some exported frames of a video, evenly from the second to the last; [] where none were exported."""
    folder = _sample_folder(run, video, side)
    matches = [re.search(r"_(\d{4,})\.png$", path.name) for path in folder.glob("*.png")] if folder else []
    numbers = sorted(int(match[1]) for match in matches if match)
    if folder is None or len(numbers) < 2:
        return []
    result, frames = run.side(side), []
    for at in np.linspace(1, len(numbers) - 1, min(FRAMES, len(numbers) - 1)):
        number = numbers[round(at)]
        try:
            picture = _open(folder / f"{folder.name}_frame_{number:04d}.png")
        except OSError:  # incomplete, as by a run that was killed
            continue
        uri = _as_uri(picture, _WIDTH, "jpeg")
        boxes_xyxy = [_find_box(videos, video, number) for videos in (result.true_boxes_xyxy, result.boxes_xyxy)]
        frames.append(Frame(number, picture.width, picture.height, uri, *boxes_xyxy))
    return frames


def read_video(run: RunResult, video: int, side: str) -> str | None:
    """A video with its boxes as a data URI; None where it was not exported."""
    folder = _sample_folder(run, video, side)
    path = folder / f"video_{folder.name}_with_boxes.mp4" if folder else None
    if path is None or not path.is_file():
        return None
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def read_patch(run: RunResult, video: int) -> str | None:
    """The patch that the attack exported for a video, as a data URI; None where there is none of this run.

    Its folder is ``attack.kwargs.export``: absolute, or relative to the run's folder or to the working directory. If it
    is not there, a folder of that name in the run's folder is used, since a sweep may have been moved.
    """
    kwargs = run.setting("attack", "kwargs")
    if not isinstance(kwargs, dict) or not isinstance(kwargs.get("export"), str):
        return None
    given = Path(kwargs["export"])
    for export in (run.folder / given, given, run.folder / given.name):
        stem = export / f"patch_{video:03d}"
        settings, picture = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.png")
        if settings.is_file() and picture.is_file() and _was_made_with(settings, kwargs):
            return _as_uri(_open(picture), _PATCH_WIDTH, "png")
    return None


def _sample_folder(run: RunResult, video: int, side: str) -> Path | None:
    samples = find_samples(run)
    return samples / f"batch_{video}_ex_0_scenario.{'x' if side == 'benign' else 'x_adv'}" if samples else None


def _find_box(videos_xyxy: Sequence[Sequence[Box]], video: int, frame: int) -> Box | None:
    boxes_xyxy = videos_xyxy[video] if video < len(videos_xyxy) else ()
    return boxes_xyxy[frame] if frame < len(boxes_xyxy) else None


def _open(path: Path) -> Image.Image:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def _as_uri(image: Image.Image, width: int, kind: str) -> str:
    """A picture, reduced to this width if it is wider, as a data URI."""
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)))
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 82} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _was_made_with(settings: Path, kwargs: Mapping[str, Any]) -> bool:
    """Whether a patch's settings are those of the run: another run may have written into the same folder since."""
    try:
        written = read_object(settings, "the settings of a patch")
    except (StructuredError, OSError):
        return False
    ours = [name for name in kwargs if name not in ("export", "verbose")]
    return all(written.get(name, kwargs[name]) == kwargs[name] for name in ours)
