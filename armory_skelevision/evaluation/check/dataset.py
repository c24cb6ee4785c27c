"""A config's data set: its options, and whether the data are here. Nothing is read but names, nothing prepared."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from armory_skelevision import validation
from armory_skelevision.datasets import (
    carla_video_tracking,
    coco_people,
    otb_person,
    sequences,
    walker_people,
    walkers,
)
from armory_skelevision.datasets.carla import VERSION as CARLA_VERSION
from armory_skelevision.datasets.options import find_root, single_split
from armory_skelevision.datasets.otb_names import PERSON_FOLDERS
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.datasets.selection import check_index, select
from armory_skelevision.datasets.sequence_folders import choose_sequences
from armory_skelevision.datasets.walker_videos import find_split
from armory_skelevision.evaluation.check.findings import Finding, error, explain, missing
from armory_skelevision.evaluation.check.names import check_arguments, find_object, is_ours

NOT_OPTIONS = ("eval_split", "module", "name", "train_split")
"""Keys that ARMORY reads itself; the rest of the section goes to the function."""

READ_IN_PLACE = ("walker_people", "coco_people", "sequences")
"""Data sets that are not prepared."""

DEFAULT_SPLIT = "dev"
"""What ARMORY's tracking scenario takes where a config names none."""


def check_dataset(config: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with a config's data set, and whether data are missing, even if ARMORY can download them."""
    section = config["dataset"]
    function, findings = find_object("dataset", section["module"], section["name"])
    if function is None:
        return findings
    options = {name: value for name, value in section.items() if name not in NOT_OPTIONS}
    given = {**options, "split": DEFAULT_SPLIT, "epochs": 1, "shuffle_files": False}
    findings += check_arguments("dataset", function, given)
    if options.get("epochs", 1) != 1:
        problem = f"expected 1, got {options['epochs']!r:.80}: each video would count several times"
        findings.append(error("dataset.epochs", problem, "take it out"))
    if findings or not is_ours(section["module"]):
        return findings
    try:
        validation.check_arguments(function, options)
        check_index(options.get("index"))
        split = options.get("split", section.get("eval_split", DEFAULT_SPLIT))
        return _CHECKS[function](split, options) + _check_writable(section["name"], options)
    except validation.MissingFileError as raised:
        return [missing("dataset.root", f"the data are not here: {raised}", _FIXES[function])]
    except (ValueError, TypeError) as raised:
        finding = explain("dataset", raised, f"see {function.__module__}.{function.__name__}")
        # the function's argument is called otherwise in the config
        return [finding._replace(key="dataset.eval_split") if finding.key == "dataset.split" else finding]


def _check_walkers(split: str, options: Mapping[str, Any]) -> list[Finding]:
    select(len(list(find_walkers(split, options).glob("*.mp4"))), split, options.get("index"))
    return []


def _check_walker_people(split: str, options: Mapping[str, Any]) -> list[Finding]:
    find_walkers(split, options)
    return []


def find_walkers(split: str, options: Mapping[str, Any]) -> Path:
    """The folder of a split of `walkers`; ``options`` has the ``root``, if any."""
    root = options.get("root")
    return find_split(split, None if root is None else find_root(root, _dataset_dir(options)))


def _check_otb(split: str, options: Mapping[str, Any]) -> list[Finding]:
    single_split(split, ["test"])
    names = options.get("names")
    root = find_root(options.get("root", "otb"), _dataset_dir(options))
    sequences = find_sequences(root, sorted(PERSON_FOLDERS) if names == "paper" else names)
    select(len(sequences), split, options.get("index"))
    return []


def _check_sequences(split: str, options: Mapping[str, Any]) -> list[Finding]:
    root = find_root(options["root"], _dataset_dir(options))
    choose_sequences(split, options.get("index"), options["layout"], root, options.get("names"))
    return []


def _check_coco(split: str, options: Mapping[str, Any]) -> list[Finding]:
    single_split(split, ["val"])
    root = find_root(options.get("root", "coco"), _dataset_dir(options))
    usual = inspect.signature(coco_people).parameters
    places = {name: root / options.get(name, usual[name].default) for name in ("annotations", "images")}
    absent = {name: place for name, place in places.items() if not place.exists()}
    return [missing(f"dataset.{name}", f"there is no {place}", _FIXES[coco_people]) for name, place in absent.items()]


def _check_carla(split: str, options: Mapping[str, Any]) -> list[Finding]:
    name = f"carla_video_tracking_{single_split(split, ['dev', 'test'])}"
    folder = _dataset_dir(options)
    prepared = folder / name / CARLA_VERSION
    if (prepared / "dataset_info.json").is_file():
        return []
    if prepared.is_dir():
        return [error("dataset", f"{prepared} lacks its dataset_info.json", "delete it; it will be made again")]
    fix = f"`armory run` downloads them, or lists what to put into {folder} if it cannot; --allow-missing lets it"
    return [missing("dataset", f"the data are not here: there is no {prepared}", fix)]


def _check_writable(name: str, options: Mapping[str, Any]) -> list[Finding]:
    """Data that are prepared already are read from a folder that cannot be written to."""
    folder = _dataset_dir(options)
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if name in READ_IN_PLACE or (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return []
    if any((folder / name).glob("**/dataset_info.json")):
        return []
    fix = "prepare the data where it can, and copy them there, or name another dataset_dir"
    return [error("dataset.dataset_dir", f"{there} cannot be written to, and {name} is not prepared there", fix)]


_FIXES: dict[Callable[..., Any], str] = {
    walkers: 'leave "root" out for the packaged videos, or render some: `skelevision data walkers`',
    walker_people: 'leave "root" out for the packaged videos, or render some: `skelevision data walkers`',
    coco_people: 'fetch them, `skelevision data coco --out coco val`, or name their folder as "root"',
    sequences: 'name the folder of the data as "root", and how it is laid out as "layout"; see docs/evaluate.md',
    otb_person: 'fetch them, `skelevision data otb --out otb Crossing Human7`, or name their folder as "root"',
}
_CHECKS: dict[Callable[..., Any], Callable[[str, Mapping[str, Any]], list[Finding]]] = {
    walkers: _check_walkers,
    walker_people: _check_walker_people,
    coco_people: _check_coco,
    otb_person: _check_otb,
    sequences: _check_sequences,
    carla_video_tracking: _check_carla,
}


def _dataset_dir(options: Mapping[str, Any]) -> Path:
    if options.get("dataset_dir") is not None:
        return Path(options["dataset_dir"]).expanduser().absolute()
    from armory import paths

    return Path(paths.runtime_paths().dataset_dir)
