"""The cells of the table of defenses: one video, tracker, defense and attack each; kept in files, if asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from armory_skelevision import attacks
from armory_skelevision.boxes import iou
from armory_skelevision.evaluation.table import ATTACKS
from armory_skelevision.io import hash_file
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.submission.ranking import find_interval
from benchmarks.common import ratio
from benchmarks.scene import Scene
from experiments.keeping import kept, place

# What differs from the configs' attacks: the bounds that papers on digital perturbations give, and a huge one, which
# must leave nothing behind any defense whose gradients can be trusted.
BOUNDS: dict[str, tuple[str, dict[str, float]]] = {
    "patch": ("patch", {}),
    "autopatch": ("autopatch", {}),
    "pgd4": ("pgd", {"eps": 4 / 255, "eps_step": 1 / 255}),
    "pgd8": ("pgd", {"eps": 8 / 255, "eps_step": 2 / 255}),
    "pgd16": ("pgd", {"eps": 16 / 255, "eps_step": 4 / 255}),
    "pgd64": ("pgd", {"eps": 64 / 255, "eps_step": 16 / 255}),
    "rtaa8": ("rtaa", {"eps": 8 / 255}),
    "rtaa16": ("rtaa", {"eps": 16 / 255}),
    "iou": ("iou", {}),
}

MUCH = 0.05
"""Of a video's mean IoU: more than that is not lost by boxes that are a little off."""

MASKED = 0.02
"""Mean IoU by which an attack that should be the stronger one may be the weaker one by chance."""

Makers = Mapping[str, Callable[[], list[Any]]]


class CellError(RuntimeError):
    """A cell cannot be had; the message says why."""


@dataclass(frozen=True)
class Column:
    """An attack of the table, and what it knows of the defense."""

    attack: str
    adaptive: bool

    @property
    def name(self) -> str:
        """In the table and in files."""
        return f"{self.attack}{' adaptive' if self.adaptive else ''}"


@dataclass(frozen=True)
class Table:
    """What the cells have in common.

    Attributes:
        attacks: Names from `BOUNDS`; "clean" always comes first.
        steps: Of patch, PGD and RTAA, and the budget of AutoPatch; None for the configs' ones.
        restarts: Of patch and PGD.
        queries: Most queries per frame of the IoU attack; None for the config's.
        split: Of the walkers.
        frames: Of each video; None for all.
        keep: A folder for what is finished, or None.
        precision: Of the network that attacks see, "float32" or "bf16"; what they made is evaluated in float32.
    """

    attacks: Sequence[str]
    steps: int | None
    restarts: int
    queries: int | None
    split: str
    frames: int | None
    keep: Path | None
    precision: str

    def columns(self, defended: bool) -> list[Column]:
        """The columns of a row; where there is no defense, there is nothing to adapt to."""
        flags = (False, True) if defended else (False,)
        return [
            Column("clean", False),
            *(Column(attack, adaptive) for attack in self.attacks for adaptive in flags),
        ]

    def settings(self, attack: str) -> dict[str, Any]:
        """Keywords of an attack."""
        name, bound = BOUNDS[attack]
        kwargs = {**ATTACKS[name].kwargs, **ATTACKS[name].datasets["walkers"], **bound, "verbose": False}
        if name == "iou":
            return kwargs if self.queries is None else kwargs | {"max_queries": self.queries}
        if self.steps is not None:
            kwargs["budget" if name == "autopatch" else "max_iter"] = self.steps
        return kwargs | {"restarts": self.restarts} if name in ("patch", "pgd") else kwargs


def evaluate_model(
    make_model: Callable[[], SiameseEstimator],
    identity: Mapping[str, str],
    defenses: Makers,
    scenes: Sequence[Scene],
    table: Table,
    advance: Callable[[], object],
) -> Iterator[dict[str, Any]]:
    """All cells of one tracker, video by video.

    Args:
        make_model: The tracker, without defenses.
        identity: What the cells of each defense depend on besides the table, as text by the defense's name.
        defenses: How to make the defenses of each row, in their order.
        scenes: The videos.
        table: The rest.
        advance: Called after each cell.

    Yields:
        ``video``, ``defense``, ``column``, ``mean_iou`` (None where it cannot be had) and ``note``.
    """
    estimators = {name: defend(make_model(), make()) for name, make in defenses.items()}
    attackers = estimators
    if table.precision == "bf16":
        attackers = {name: defend(rounded(make_model()), make()) for name, make in defenses.items()}
    for number, scene in enumerate(scenes):
        attacked: dict[str, Any] = {"clean": scene.x}
        for name, estimator in estimators.items():
            for column in table.columns(defended=bool(estimator.preprocessing_operations)):
                path = _path(table, f"{identity[name]} {column.name}", column, number)
                attacker = attackers[name if column.adaptive else "none"]
                measure = partial(_evaluate, attacker, estimator, column, scene, table, attacked)
                cell = kept(path, measure)
                advance()
                yield {"video": number, "defense": name, "column": column.name, **cell}


def defend(estimator: SiameseEstimator, defenses: list[Any]) -> SiameseEstimator:
    """Put defenses before a tracker, as ARMORY does."""
    estimator.set_params(preprocessing_defences=defenses)
    return estimator


def rounded(estimator: SiameseEstimator) -> SiameseEstimator:
    """The same tracker with its network in bfloat16."""
    device: Literal["gpu", "cpu"] = "cpu" if estimator.device.type == "cpu" else "gpu"
    return type(estimator)(estimator.model.rounded(), estimator.settings, device_type=device)


def summarize(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each tracker and defense: means over videos by column, and which share of the loss was won back.

    The share counts the attack that does not know the defense: (defended - undefended) / (clean - undefended), clean
    and undefended being the bare tracker's. ``worst_case`` is the mean over videos of the lowest of all columns, with
    its interval, as in the ranking of submissions; None where the defense does not fit the tracker. ``clean_change``
    says what the defense does to single videos that nobody attacks: the median of its changes, and in how many it takes
    more than `MUCH`; None where one cannot be had.
    """
    rows: dict[tuple[str, str], dict[str, list[Any]]] = {}
    for cell in cells:
        row = rows.setdefault((cell["model"], cell["defense"]), {})
        row.setdefault(cell["column"], []).append(cell["mean_iou"])
    means = {key: {name: _mean(values) for name, values in row.items()} for key, row in rows.items()}
    return [
        {
            "model": model,
            "defense": defense,
            "mean_iou": row,
            "won_back": _won_back(row, means[model, "none"]),
            "worst_case": _worst_case(rows[model, defense]),
            "clean_change": _change(rows[model, defense]["clean"], rows[model, "none"]["clean"]),
        }
        for (model, defense), row in means.items()
    ]


def find_masking(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Signs that gradients are masked (Athalye et al. 2018), one line each: an attack that should be stronger is not.

    Compared are the adaptive attack with the one that does not know the defense, and a larger bound with a smaller one.
    """
    found = []
    for row in rows:
        ious = {name: value for name, value in row["mean_iou"].items() if value is not None}
        pairs = [(name.removesuffix(" adaptive"), name) for name in ious if name.endswith(" adaptive")]
        for suffix in ("", " adaptive"):
            bounds = [f"{attack}{suffix}" for attack in BOUNDS]
            pairs += [(a, b) for a, b in pairwise(bounds) if BOUNDS[a.split()[0]][0] == BOUNDS[b.split()[0]][0]]
        for weaker, stronger in pairs:
            if weaker in ious and stronger in ious and ious[stronger] > ious[weaker] + MASKED:
                figures = f"{ious[stronger]:.3f}, {weaker} {ious[weaker]:.3f}"
                found.append(f"{row['model']}, {row['defense']}: masked gradients? {stronger} leaves {figures}")
    return found


def describe(values: Any) -> str:
    """What can be written as JSON, as text that is the same for equal values."""
    return json.dumps(values, sort_keys=True)


def _won_back(row: Mapping[str, float | None], bare: Mapping[str, float | None]) -> dict[str, float | None]:
    shares: dict[str, float | None] = {}
    clean = bare["clean"]
    for name, undefended in bare.items():
        defended = row.get(name)
        if name != "clean" and clean is not None and undefended is not None and defended is not None:
            shares[name] = ratio(defended - undefended, clean - undefended)
    return shares


def _worst_case(row: Mapping[str, Sequence[float | None]]) -> dict[str, float | None] | None:
    videos = [[value for value in values if value is not None] for values in zip(*row.values(), strict=True)]
    if not all(videos):  # the defense does not fit the tracker
        return None
    return find_interval(np.array([min(values) for values in videos]))._asdict()


def _change(defended: Sequence[float | None], bare: Sequence[float | None]) -> dict[str, float] | None:
    changes = [a - b for a, b in zip(defended, bare, strict=True) if a is not None and b is not None]
    if len(changes) < len(bare):
        return None
    return {"median": float(np.median(changes)), "worse": sum(change < -MUCH for change in changes)}


def _evaluate(
    attacker: SiameseEstimator,
    estimator: SiameseEstimator,
    column: Column,
    scene: Scene,
    table: Table,
    attacked: dict[str, Any],
) -> dict[str, Any]:
    """One cell. What was made against the bare tracker serves all its defenses."""
    try:
        if column.adaptive:
            return _score(estimator, _attack(attacker, column.attack, scene, table), scene)
        if column.attack not in attacked:
            attacked[column.attack] = _attack(attacker, column.attack, scene, table)
        return _score(estimator, attacked[column.attack], scene)
    except CellError as error:
        return {"mean_iou": None, "note": str(error)}


def _attack(estimator: SiameseEstimator, attack: str, scene: Scene, table: Table) -> Any:
    chosen = ATTACKS[BOUNDS[attack][0]]
    try:
        made = getattr(attacks, chosen.name)(estimator, **table.settings(attack))
        return made.generate(x=scene.x, y=scene.y, y_patch_metadata=scene.metadata)
    except (ValueError, TypeError) as error:  # the attack cannot see through this defense, or does not fit the tracker
        raise CellError(f"{chosen.name}: {error}") from error


def _score(estimator: SiameseEstimator, x: Any, scene: Scene) -> dict[str, Any]:
    truth = scene.y[0]["boxes"]
    try:
        boxes = estimator.predict(x, y_init=truth[:1])[0]["boxes"]
    except ValueError as error:  # the defense does not fit the tracker
        raise CellError(str(error)) from error
    found = iou(torch.as_tensor(boxes).double(), torch.as_tensor(truth).double())
    return {"mean_iou": float(found[1:].mean()), "note": ""}


def _path(table: Table, identity: str, column: Column, video: int) -> Path | None:
    settings = describe([table.settings(column.attack), table.precision]) if column.attack != "clean" else ""
    return place(table.keep, identity, settings, table.split, video, table.frames)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def hash_weights(path: Path | None) -> str:
    """What of a weights file stands in a cell's identity."""
    return "" if path is None else hash_file(path)[:16]
