"""The model card of a training run: weights, start, data, settings, versions and curves."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import armory_skelevision
from armory_skelevision.io import atomic_write, hash_file
from armory_skelevision.training.data.loading import describe_pairs
from armory_skelevision.training.data.real_crops.store import CropStore, is_crop_store
from armory_skelevision.training.settings import RunSettings
from armory_skelevision.weights.checkpoints import read_header

Curves = dict[str, list[tuple[int, float]]]
"""Steps and values by the name that they were logged under."""

_PACKAGES = ("lightning", "numpy", "torch")
_COLUMNS = 3  # charts in a row


def write_model_card(weights: Path, settings: RunSettings) -> Path:
    """Write ``card.md`` and ``curves.svg`` beside the weights of a finished run (`OSError`); returns the card's path.

    The metadata of the weights become part of the card.
    """
    folder = weights.parent
    atomic_write(folder / "curves.svg", draw_curves(read_curves(folder)))
    init = getattr(settings, "init", None)
    versions = {"armory_skelevision": armory_skelevision.__version__, **{name: version(name) for name in _PACKAGES}}
    rows = {
        "file": f"{weights.name}, {weights.stat().st_size / 1e6:.1f} MB",
        "sha256": hash_file(weights),
        **dict(sorted(read_header(weights).items())),
        **({"starts from": f"{init}, sha256 {hash_file(init)}"} if init else {}),
        "trained on": _describe_store(settings.store),
        "validated on": _describe_store(settings.validation_store),
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }
    lines = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows.items()]
    parts = [
        f"# {folder.resolve().name}",
        "\n".join(["| | |", "|---|---|", *lines]),
        "## Curves",
        "![logged values over steps](curves.svg)",
        "## Settings",
        f"```json\n{json.dumps(asdict(settings), indent=4)}\n```",
    ]
    card = folder / "card.md"
    atomic_write(card, ("\n\n".join(parts) + "\n").encode("utf-8"))
    return card


def read_curves(folder: Path) -> Curves:
    """The values in a run's folder, in order of steps. After a resume the later values replace earlier ones."""
    found: dict[str, dict[int, float]] = {}
    paths = (folder / "curves").glob("version_*/metrics.csv")
    for path in sorted(paths, key=lambda path: int(path.parent.name.partition("_")[2])):
        with path.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                if not (row["step"] or "").isdigit():  # truncated where the run was killed
                    continue
                step = int(row["step"]) + 1  # Lightning counts the steps before
                for name, value in row.items():
                    if value and name not in ("step", "epoch"):
                        found.setdefault(name, {})[step] = float(value)
    return {name: sorted(points.items()) for name, points in sorted(found.items())}


def draw_curves(curves: Curves) -> bytes:
    """A small chart for each curve, as SVG; equal curves give equal bytes."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, max(1, len(curves)))
    rows = max(1, -(-len(curves) // columns))
    figure = Figure(figsize=(3.2 * columns, 2.2 * rows), layout="constrained")
    for number, (name, points) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.plot(*zip(*points, strict=True), marker="." if len(points) < 20 else "", linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "curves"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _describe_store(folder: str) -> str:
    """The kind and size of a store, and a hash of its annotations that identifies it."""
    if is_crop_store(folder):
        store = CropStore(folder)
        counts, hashed = "", "their boxes and keypoints"
        data = store.boxes_xyxy.tobytes() + store.keypoints.tobytes()
    else:
        contents = {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.jsonl"))}
        counts = "".join(f"{len(content.splitlines())} lines of {name}, " for name, content in contents.items())
        data, hashed = b"".join(contents.values()), "these"
    return f"{folder}: {describe_pairs(folder)}, {counts}sha256 of {hashed} {hashlib.sha256(data).hexdigest()}"
