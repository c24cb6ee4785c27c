"""How perturbations of the template mislead the tracker's keypoint head.

    python -m experiments.keypoints [--json] [--keep FOLDER] [--out FOLDER] [--split dev] [--every 12] [--videos N]
                                   [--eps .25 .5 1 2 4 8 16 32] [--attacks FGSM-U IGSM-U-10 …] [--long N]
                                   [--real FOLDER | --real FILE --images FOLDER] [--weights FILE]
                                   [--transfer FILE …]

For each bound (in 1/255) and attack: PCK (0.2 of the box's diagonal) in percent of the PCK without, on every nth frame
of the packaged videos, and on real people of COCO: those of annotations and their pictures, ``--real FILE --images
FOLDER``, or of a folder with coco_val_mini and coco8_pose; with 95 % intervals over people, and in the JSON also for
parts of the body. "more" is how much more of the same people the attack leaves than IGSM-U-10 does. Targeted attacks
aim at a person upside down; ``aimed`` is the PCK of that pose. The universal perturbation is learnt from half of the
videos and shown in the other half, and the reverse; on real people, that from all videos is shown. ``noise`` is random,
of the full size in each colour. ``--weights`` names those of another tracker with a keypoint head, by heatmaps or
regression; ``--transfer`` also shows every perturbation to the trackers of other weights files.

With ``--keep`` finished results are stored in files, and the same command resumes after an interruption. ``--out``
writes the table, the curves and the bars of the keypoints.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from armory_skelevision import load_tracker
from armory_skelevision.attacks import KeypointFGSM, KeypointIGSM, KeypointUniversal
from armory_skelevision.attacks.keypoints.pose import PoseEstimator, box_of_template
from armory_skelevision.attacks.keypoints.poses import target_keypoints
from armory_skelevision.io import hash_file, progress
from armory_skelevision.keypoints import KEYPOINTS
from armory_skelevision.metrics.keypoints import hits
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.results.intervals import Estimate, estimate
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from experiments.keeping import kept, place
from experiments.keypoint_people import Crops, annotated_crops, coco_crops, walker_crops
from experiments.keypoint_plots import write_plots

EPS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
STEPS = {"FGSM-U": 1, "FGSM-T": 1, "IGSM-U-10": 10, "IGSM-U-100": 100, "IGSM-T-20": 20, "IGSM-T-100": 100}
ATTACKS = ("noise", *STEPS, "universal")
DEFAULT = ("noise", "FGSM-U", "FGSM-T", "IGSM-U-10", "IGSM-U-100", "IGSM-T-20", "universal")
REFERENCE = "IGSM-U-10"
UNIVERSAL_STEPS = 20
PARTS = {
    "head": ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    **{
        f"{part}s": (f"left_{part}", f"right_{part}") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    },
}
Found = Mapping[str, np.ndarray]


def other_poses(crops: Crops) -> np.ndarray:
    """For each person another pose: upside down. The poses of two people who walk are too much alike."""
    people = zip(crops.keypoints, crops.boxes_xyxy, strict=True)
    return np.stack([target_keypoints("upside_down", *person) for person in people])


def pose(tracker: SiameseEstimator, count: int) -> PoseEstimator:
    """The tracker's template branch on that many template crops."""
    return PoseEstimator(tracker, np.repeat(box_of_template(tracker)[None], count, axis=0))


def noise(crops: Crops, eps: float) -> np.ndarray:
    """Every colour of every crop raised or lowered by the bound, by a fair coin."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], crops.pictures.shape)
    return np.asarray((crops.pictures + signs * eps / 255).clip(0, 1), np.float32)


def show_universal(tracker: SiameseEstimator, crops: Crops, eps: float, teachers: Crops | None) -> np.ndarray:
    """Crops with a perturbation that was learnt from others: the teachers, or the other half of the videos."""
    attack = KeypointUniversal(tracker, eps / 255, UNIVERSAL_STEPS)
    shown = crops.pictures.copy()
    for half in (0, 1):
        here = np.full(len(shown), half == 0) if teachers is not None else crops.sources % 2 == half
        learnt_from = teachers if teachers is not None else crops.take(~here)
        if here.any():
            shown[here] += attack.learn(learnt_from.pictures, learnt_from.keypoints)
    return np.asarray(shown.clip(0, 1), np.float32)


def perturb(tracker: SiameseEstimator, crops: Crops, attack: str, eps: float, teachers: Crops | None) -> np.ndarray:
    """The crops under an attack."""
    if attack == "noise":
        return noise(crops, eps)
    if attack == "universal":
        return show_universal(tracker, crops, eps, teachers)
    target: Any = "upside_down" if "-T" in attack else None  # only that there is one: the pose is given below
    bound, steps = eps / 255, STEPS[attack]
    if steps == 1:
        made: KeypointIGSM = KeypointFGSM(tracker, bound, target)
    else:
        made = KeypointIGSM(tracker, bound, steps, target_pose=target)
    wanted = other_poses(crops) if target else crops.keypoints
    return made.perturb(pose(tracker, len(crops.pictures)), crops.pictures, wanted)


def find_keypoints(trackers: Mapping[str, SiameseEstimator], crops: Crops, shown: np.ndarray) -> dict[str, np.ndarray]:
    """Which keypoints each tracker finds, (N, 17), and which of those of the other poses the first one does."""
    aimed = crops._replace(keypoints=other_poses(crops))
    result = {}
    for name, tracker in trackers.items():
        found = [{"keypoints": points} for points in pose(tracker, len(shown)).predict(shown)]
        result[name] = hits(crops.labels(), found)
        if name == "own":
            result["aimed"] = hits(aimed.labels(), found)
    return result


def recall(path: Path | None, work: Callable[[], Found]) -> Found:
    """What `find_keypoints` found, from the file where it is kept, if it is known."""
    found = kept(path, lambda: {name: values.tolist() for name, values in work().items()})
    return {name: np.array(values) for name, values in found.items()}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each collection of people, attack and bound."""
    tracker = load_tracker(options.weights, device=options.device)
    trackers = {"own": tracker}
    for path in options.transfer:
        trackers[hash_file(path)[:8]] = load_tracker(path, device=options.device)
    walkers = walker_crops(tracker, options.split, options.every, options.videos)
    real = None if options.real is None else _real_crops(tracker, options.real, options.images)
    people: dict[str, tuple[Crops, Crops | None]] = {"walkers": (walkers, None)}
    if real is not None:
        people["coco"] = (real, walkers)
    clean = {name: _evaluate_clean(options, trackers, name, crops) for name, (crops, _) in people.items()}
    rows = [{"people": name, "attack": "none", "eps": 0.0, **describe_clean(found)} for name, found in clean.items()]
    attacks = sorted(options.attacks, key=lambda attack: attack != REFERENCE)  # first, as others are compared with it
    cells = [(name, attack, eps) for eps in options.eps for name in people for attack in attacks]
    references: dict[tuple[str, float], Found] = {}
    for name, attack, eps in progress(cells):
        chosen = _choose(len(clean[name]["own"]), options.long if attack.endswith("-100") else 0)
        crops, teachers = people[name][0].take(chosen), people[name][1]

        def work(
            a: str = attack, e: float = eps, c: Crops = crops, t: Crops | None = teachers
        ) -> dict[str, np.ndarray]:
            return find_keypoints(trackers, c, perturb(tracker, c, a, e, t))

        found = recall(_place(options, name, attack, eps), work)
        if attack == REFERENCE:
            references[name, eps] = found
        before, reference = (_take(each, chosen) for each in (clean[name], references.get((name, eps))))
        rows.append(make_row(name, attack, eps, before, found, reference))
    return sorted(rows, key=lambda row: (row["people"], row["attack"], row["eps"]))


def _take(found: Found | None, chosen: np.ndarray) -> Found:
    return {} if found is None else {name: values[chosen] for name, values in found.items()}


def _real_crops(tracker: SiameseEstimator, people: Path, images: Path | None) -> Crops | None:
    return coco_crops(tracker, people) if images is None else annotated_crops(tracker, people, images)


def _evaluate_clean(
    options: argparse.Namespace, trackers: Mapping[str, SiameseEstimator], name: str, crops: Crops
) -> Found:
    return recall(_place(options, name, "clean", 0), lambda: find_keypoints(trackers, crops, crops.pictures))


def _choose(count: int, most: int) -> np.ndarray:
    """Numbers of all people, or of some from all over the collection."""
    return np.arange(count) if not most else np.unique(np.linspace(0, count - 1, most).round().astype(int))


def describe_clean(found: Found) -> dict[str, Any]:
    """The row without an attack."""
    own = found["own"]
    return {
        "persons": len(own),
        "pck": float(100 * np.nanmean(own)),
        "relative": Estimate(100.0, None, len(own)),
        "more": None,
        "aimed": float(100 * np.nanmean(found["aimed"])),
        "keypoints": _per_keypoint(own, own),
        "parts": {},
        "parts_above_others": {},
        "transfer": [],
    }


def make_row(
    people: str, attack: str, eps: float, before: Found, after: Found, reference: Found | None = None
) -> dict[str, Any]:
    """What came out of one attack on some people, and out of the reference attack on the same ones."""
    own, attacked = before["own"], after["own"]
    others = [name for name in after if name not in ("own", "aimed")]
    return {
        "people": people,
        "attack": attack,
        "eps": float(eps),
        "persons": len(own),
        "pck": float(100 * np.nanmean(attacked)),
        "relative": share(attacked, own),
        "more": share(attacked - reference["own"], own) if reference and attack != REFERENCE else None,
        "aimed": float(100 * np.nanmean(after["aimed"])),
        "keypoints": _per_keypoint(own, attacked),
        "parts": {part: share(attacked[:, chosen], own[:, chosen]) for part, chosen in _columns().items()},
        "parts_above_others": {part: contrast(attacked, own, chosen) for part, chosen in _columns().items()},
        "transfer": [share(after[name], before[name]) for name in others],
    }


def share(part: np.ndarray, whole: np.ndarray) -> Estimate | None:
    """The sum of ``part`` in percent of that of ``whole``, both (N, K), with NaN for keypoints that nobody labelled.

    The 95 % interval over the N people is that of a ratio of means, linearised (Cochran, Sampling Techniques, 6.4).
    None where nothing is found.
    """
    ratio, residuals = _linearise(part, whole)
    return None if residuals is None else Estimate(ratio, estimate(residuals.tolist()).half_width, len(residuals))


def contrast(attacked: np.ndarray, own: np.ndarray, chosen: list[int]) -> Estimate | None:
    """By how much the share of some keypoints (K,) is above that of all others, with its interval over people."""
    others = [number for number in range(own.shape[1]) if number not in chosen]
    (ratio, residuals), (other, spread) = (_linearise(attacked[:, each], own[:, each]) for each in (chosen, others))
    if residuals is None or spread is None:
        return None
    return Estimate(ratio - other, estimate((residuals - spread).tolist()).half_width, len(residuals))


def _linearise(part: np.ndarray, whole: np.ndarray) -> tuple[float, np.ndarray | None]:
    """The ratio of `share` in percent, and how far each person moves it."""
    parts, wholes = np.nansum(part, axis=1), np.nansum(whole, axis=1)
    if not wholes.any():
        return math.nan, None
    ratio = 100 * parts.sum() / wholes.sum()
    return float(ratio), (100 * parts - ratio * wholes) / wholes.mean()


def _columns() -> dict[str, list[int]]:
    return {part: [KEYPOINTS.index(name) for name in names] for part, names in PARTS.items()}


def _per_keypoint(own: np.ndarray, attacked: np.ndarray) -> dict[str, float | None]:
    """Relative PCK of each keypoint in percent; None where it is never found."""
    before, after = np.nansum(own, axis=0), np.nansum(attacked, axis=0)
    return {
        keypoint: float(100 * a / b) if b else None for keypoint, a, b in zip(KEYPOINTS, after, before, strict=True)
    }


def _place(options: argparse.Namespace, people: str, attack: str, eps: float) -> Path | None:
    """Where a result is kept: all that it depends on is in the name."""
    return place(
        options.keep,
        *(hash_file(path) for path in (options.weights, *options.transfer)),
        f"{options.split} {options.videos} {options.every} {options.long}",
        people if people == "walkers" else f"{people} {options.real} {options.images}",
        f"{attack} {eps:g}",
    )


def _show(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(_show, value)) or None
    if isinstance(value, Estimate):
        return f"{value.mean:.0f}" if value.half_width is None else f"{value.mean:.0f} ± {value.half_width:.0f}"
    return value


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--every", type=int, default=12, help="every nth frame is a template; default %(default)s")
    parser.add_argument("--videos", type=int, default=None, help="how many; default all")
    parser.add_argument("--eps", nargs="+", type=float, default=list(EPS), help="bounds in 1/255")
    parser.add_argument("--attacks", nargs="+", default=list(DEFAULT), choices=ATTACKS)
    parser.add_argument("--long", type=int, default=0, help="people under attacks of 100 steps; default all")
    parser.add_argument("--real", type=Path, default=None, help="annotations of COCO, or a folder; see above")
    parser.add_argument("--images", type=Path, default=None, help="the pictures of the annotations")
    parser.add_argument("--weights", type=Path, default=packaged_weights("siamrpn_alex_mtl.safetensors"))
    parser.add_argument("--transfer", nargs="*", type=Path, default=[], help="weights of other multi-task trackers")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--keep", type=Path, default=None, help="a folder for what is finished")
    parser.add_argument("--out", type=Path, default=None, help="a folder for table, curves and bars")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options)
    columns = ["people", "attack", "eps", "persons", "pck", "relative", "more", "aimed", "transfer"]
    print_table(columns, [[_show(row[column]) for column in columns] for row in rows])
    if options.out is not None:
        write_plots(rows, options.out)
    if options.json:
        print(json.dumps({"split": options.split, "every": options.every, "rows": rows}))


if __name__ == "__main__":
    main()
