"""What runs leave to look at: exported frames, videos and patches.

ARMORY writes frames and videos when `scenario.export_batches` says so (``saved_samples/batch_0_ex_0_scenario.x_adv/``):
each frame as it was shown to the tracker, and once more with the true box in red and the tracked one in white. The
boxes are read off the difference of the two, since ARMORY keeps them otherwise only pickled; so they can be drawn here
to stay visible in a small picture, and in colours that everybody can tell apart.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.results.cells import Cell

if TYPE_CHECKING:
    from PIL import Image

FRAMES = 5
"""So many frames are shown of a video."""

_WIDTH = 320  # pixels of an embedded frame
_PATCH_WIDTH = 200
_TRUE, _TRACKED = (255, 0, 0), (255, 255, 255)  # ARMORY's colours

Box = tuple[int, int, int, int]


class Frame(NamedTuple):
    """A frame for the page.

    Attributes:
        number: In its video.
        width: Of the frame that was tracked in, pixels; the boxes' unit.
        height: Likewise.
        picture: As a data URI.
        true_xyxy: The true box; None where it could not be read off.
        tracked_xyxy: The tracked box, likewise.
    """

    number: int
    width: int
    height: int
    picture: str
    true_xyxy: Box | None
    tracked_xyxy: Box | None


def outputs_of(cell: Cell) -> Path | None:
    """Where ARMORY exported what a cell showed: beside its result."""
    found = [path for path in sorted(cell.folder.glob("saved_samples*")) if path.is_dir()]
    return found[-1] if found else None


def read_film(samples: Path, video: int, side: str = "adversarial") -> list[Frame]:
    """Some frames of a video, evenly from the second to the last; [] where they were not exported.

    Args:
        samples: ARMORY's folder of exported samples.
        video: Number of the video.
        side: "benign" or "adversarial".
    """
    folder = samples / _sample_name(video, side)
    matches = [re.search(r"_(\d{4,})\.png$", path.name) for path in folder.glob("*.png")]
    numbers = sorted(int(match[1]) for match in matches if match)
    if len(numbers) < 2:
        return []
    chosen = [numbers[round(at)] for at in np.linspace(1, len(numbers) - 1, min(FRAMES, len(numbers) - 1))]
    return [frame for number in chosen if (frame := _read_frame(folder, number)) is not None]


def read_video(samples: Path, video: int, side: str) -> str | None:
    """A video with its boxes as a data URI; None where it was not exported."""
    name = _sample_name(video, side)
    path = samples / name / f"video_{name}_with_boxes.mp4"
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.is_file() else None


def read_patch(cell: Cell, video: int) -> str | None:
    """The patch that the attack wrote for a video, as a data URI; None where there is none of this run.

    Args:
        cell: Whose config names the folder under ``attack.kwargs.export``: absolute, or from the cell's folder or the
            working directory. If it is not there, one of that name in the cell's folder, which may have been moved.
        video: Number of the video.
    """
    attack = cell.config.get("attack")
    kwargs = attack.get("kwargs") if isinstance(attack, dict) else None
    if not isinstance(kwargs, dict) or not isinstance(kwargs.get("export"), str):
        return None
    given = Path(kwargs["export"])
    for export in (cell.folder / given, given, cell.folder / given.name):
        stem = export / f"patch_{video:03d}"
        settings, picture = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.png")
        if settings.is_file() and picture.is_file() and _made_with(settings, kwargs):
            return _as_uri(_open(picture), _PATCH_WIDTH, "png")
    return None


def boxes_in(plain: NDArray[np.uint8], marked: NDArray[np.uint8]) -> tuple[Box | None, Box | None]:
    """The true and the tracked box of a frame, from what ARMORY painted into it.

    Args:
        plain: The frame (H, W, 3).
        marked: The same frame with the outlines of both boxes, the tracked one on top.

    Returns:
        Boxes xyxy to the pixel. A side of the true box that the tracked one covers is taken for its own; both are None
        where nothing is painted.
    """
    painted = (plain != marked).any(axis=-1)
    tracked = _extent(painted & (marked == _TRACKED).all(axis=-1))
    true = _extent(painted & (marked == _TRUE).all(axis=-1))
    return true or tracked, tracked


def _sample_name(video: int, side: str) -> str:
    return f"batch_{video}_ex_0_scenario.{'x' if side == 'benign' else 'x_adv'}"


def _read_frame(folder: Path, number: int) -> Frame | None:
    plain_path = folder / f"{folder.name}_frame_{number:04d}.png"
    marked_path = plain_path.with_name(f"{plain_path.stem}_with_boxes.png")
    try:
        picture = _open(plain_path)
        marked = np.asarray(_open(marked_path)) if marked_path.is_file() else np.asarray(picture)
    except OSError:  # cut short, as by a run that was killed
        return None
    plain = np.asarray(picture)
    true, tracked = boxes_in(plain, marked) if plain.shape == marked.shape else (None, None)
    return Frame(number, picture.width, picture.height, _as_uri(picture, _WIDTH, "jpeg"), true, tracked)


def _open(path: Path) -> Image.Image:
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def _as_uri(image: Image.Image, width: int, kind: str) -> str:
    """A picture, made smaller to this width where it is wider, as a data URI."""
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)))
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 82} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _extent(mask: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else None


def _made_with(settings: Path, kwargs: Mapping[str, Any]) -> bool:
    """Whether a patch's settings are those of the run: another run may have written into the same folder since."""
    try:
        said = json.loads(settings.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    ours: Sequence[str] = [name for name in kwargs if name not in ("export", "verbose")]
    return isinstance(said, dict) and all(said.get(name, kwargs[name]) == kwargs[name] for name in ours)
