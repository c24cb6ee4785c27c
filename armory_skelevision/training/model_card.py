"""The model card of a training run: weights, start, data, settings, versions and curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from armory_skelevision.io import atomic_write, hash_file, read_bytes
from armory_skelevision.training.checkpoints import Progress
from armory_skelevision.training.curves import draw_curves
from armory_skelevision.training.data.loading import describe_pairs
from armory_skelevision.training.data.real_crops.store import is_crop_store
from armory_skelevision.training.run_folder import CARD, CHART
from armory_skelevision.training.run_record import Record
from armory_skelevision.training.settings import MultitaskSettings, RunSettings, shares_of
from armory_skelevision.weights.checkpoints import read_header

_STARTS = {"init": "starts from", "tracker": "frozen tracker"}  # rows for files, by their settings


def write_model_card(weights: Path, settings: RunSettings, record: Record, progress: Progress) -> Path:
    """Write ``card.md`` and ``curves.svg`` beside the weights of a finished run (`OSError`); returns the card's path.

    Args:
        weights: The weights file; its metadata become part of the card.
        settings: The run's settings.
        record: What the result depends on, as recorded when the run began.
        progress: What the run has come to.
    """
    folder = weights.parent
    atomic_write(folder / CHART, draw_curves(progress.curves))
    hashes = record["sha256"]
    files = {name: getattr(settings, name) for name in _STARTS if name in hashes}
    rows = {
        "file": f"{weights.name}, {weights.stat().st_size / 1e6:.1f} MB",
        "sha256": hash_file(weights),
        **dict(sorted(read_header(weights).items())),
        **{_STARTS[name]: f"{path}, sha256 {hashes[name]}" for name, path in files.items()},
        "trained on": _describe_stores(settings.store, hashes["store"]),
        "validated on": _describe_stores(settings.validation_store, hashes["validation_store"]),
        **_describe_videos(settings, hashes),
        "versions": ", ".join(f"{name} {number}" for name, number in record["versions"].items()),
    }
    if progress.extended:
        rows["steps were raised"] = ", ".join(_describe_extension(*each) for each in progress.extended)
    lines = [f"| {name} | {text.replace('|', chr(92) + '|')} |" for name, text in rows.items()]
    parts = [
        f"# {folder.resolve().name}",
        "\n".join(["| | |", "|---|---|", *lines]),
        "## Curves",
        f"![logged values over steps]({CHART})",
        "## Settings",
        f"```json\n{json.dumps(asdict(settings), indent=4)}\n```",
    ]
    card = folder / CARD
    atomic_write(card, ("\n\n".join(parts) + "\n").encode("utf-8"))
    return card


def _describe_videos(settings: RunSettings, hashes: Mapping[str, str]) -> dict[str, str]:
    """The row about whole validation videos, if there are any."""
    if "validation_videos" not in hashes:
        return {}
    folders = ", ".join(settings.validation_videos) if isinstance(settings, MultitaskSettings) else ""
    return {"best checkpoint by videos of": f"{folders}, sha256 of all {hashes['validation_videos']}"}


def _describe_stores(stores: str | Mapping[str, float], sha256: str) -> str:
    """The kinds and sizes of stores, and the hash of their contents."""
    shares = shares_of("store", stores)
    counts = "".join(_count_lines(folder) for folder in shares)
    return f"{', '.join(shares)}: {describe_pairs(stores)}, {counts}sha256 of all files {sha256}"


def _count_lines(folder: str) -> str:
    """The lengths of the lists of a store of rendered people and scenes."""
    if is_crop_store(folder):
        return ""
    contents = {path.name: read_bytes(path) for path in sorted(Path(folder).glob("*.jsonl"))}
    return "".join(f"{len(content.splitlines())} lines of {name}, " for name, content in contents.items())


def _describe_extension(done: int, before: int, after: int) -> str:
    return f"after {done} steps from {before} to {after}"
