"""How far a config's patch can reach on the videos that it evaluates; needs neither their frames nor weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from armory_skelevision import attacks, datasets
from armory_skelevision.attacks.patch.base import ScreenAttack
from armory_skelevision.attacks.patch.reach import frames_in_reach, response_size
from armory_skelevision.attacks.patch.scene import PatchScene, read_scene
from armory_skelevision.datasets.selection import select
from armory_skelevision.datasets.walker_files import read_split
from armory_skelevision.evaluation.check.dataset import DEFAULT_SPLIT, find_walkers
from armory_skelevision.evaluation.check.findings import Finding, note
from armory_skelevision.evaluation.check.model import check_model
from armory_skelevision.evaluation.check.names import is_ours
from armory_skelevision.evaluation.table import IN_REACH
from armory_skelevision.io import read_json
from armory_skelevision.models import SiameseEstimator


def note_reach(path: Path, made: dict[str, Any]) -> list[Finding]:
    """A note on how many videos a patch could win in, with the constants of the config's tracker.

    Only for this package's trackers and patch attacks on `walkers`, whose annotations are enough to tell.

    Args:
        path: A config without errors.
        made: The models made for configs, see `model.check_model`.
    """
    config = read_json(path)
    attack, data = _find_own(attacks, config["attack"]), _find_own(datasets, config["dataset"])
    if data is not datasets.walkers or not (isinstance(attack, type) and issubclass(attack, ScreenAttack)):
        return []
    estimator, _ = check_model(config, made)
    if not isinstance(estimator, SiameseEstimator):
        return []
    size = response_size(estimator.model, estimator.settings)
    shares = [frames_in_reach(scene, estimator.settings, size).mean() for scene in _read_scenes(config["dataset"])]
    videos = f"{sum(share >= IN_REACH for share in shares)} of {len(shares)} videos are in reach"
    return [note("attack", f"a perfect patch could win in {100 * np.mean(shares):.0f} % of the frames; {videos}")]


def _find_own(package: Any, section: Mapping[str, Any]) -> Any:
    return getattr(package, section["name"], None) if is_ours(section["module"]) else None


def _read_scenes(section: Mapping[str, Any]) -> Iterator[PatchScene]:
    """The screens of the videos that a config evaluates, in black frames."""
    split = section.get("split", section.get("eval_split", DEFAULT_SPLIT))
    videos = read_split(find_walkers(split, section))
    for number in select(len(videos), split, section.get("index")):
        kept, video = slice(section.get("max_frames")), videos[number]
        masks = video.decode_masks()[kept]
        black = np.zeros((*masks.shape, 3), np.float32)
        metadata = {"gs_coords": video.gs_coords[kept], "masks": masks}
        yield read_scene(black, video.boxes_xyxy[kept], metadata, torch.device("cpu"), number)
