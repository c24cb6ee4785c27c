"""Mean IoU that patch attacks leave with the same number of gradient evaluations, and how far a patch can reach.

    python -m experiments.auto_patch [--json] [--models stl mtl nanotrack] [--nanotrack FILE] [--shown-to mtl …]
                                     [--constants packaged pysot]
                                     [--attacks grey random published armory flytrap auto …] [--split dev]
                                     [--videos 0 1 …] [--otb FOLDER --sequences Crossing Human7] [--frames 20]
                                     [--budget 100] [--precision bf16] [--table FILE] [--patches FOLDER]
                                     [--nnpack]

"published" is the sum of absolute box errors (SkeleVision, Eq. 3), maximised by signs of gradients in steps of .1; with
"armory" the last iterate is kept, as by ARMORY's attack, else the best one. "random" is the best of so many patches of
noise. A member of `AutoPatch`, such as "expected_giou+rank_margin:decoy", is given the whole budget. "reach" is the
share of frames in which a perfect distractor could win. The columns "in reach" are means over the videos with
`IN_REACH` and more.

With ``--otb``, the videos are sequences of that folder, with the patch of the OTB protocol (`datasets.otb_patch`).

The constants are those of each tracker, or PySOT's (penalty .16, window .40, rate .30) for all. With ``--table`` every
finished video is stored in a file: the same command resumes after an interruption, and several at once, of different
videos, share the work. ``--patches`` keeps the patches, ``MODEL-CONSTANTS-ATTACK/00.png`` and so on, for
`skelevision leaderboard add --patches`. ``--nnpack`` makes networks faster where there is AVX2 and nothing newer, with
``OMP_NUM_THREADS=1`` (`experiments.nnpack`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from armory_skelevision import evaluate, load_tracker, load_video
from armory_skelevision.attacks import AutoPatch, PatchAttack
from armory_skelevision.attacks.patch.auto import Member
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.datasets.otb_video import load_overlaid
from armory_skelevision.datasets.video import Video
from armory_skelevision.evaluation.table import IN_REACH
from armory_skelevision.io import hash_file, progress
from armory_skelevision.models import SiameseEstimator
from armory_skelevision.weights.packaged import packaged_weights
from benchmarks.common import print_table
from benchmarks.walkers import COUNTS
from experiments.flytrap import FlyTrap
from experiments.keeping import Rows
from experiments.nnpack import use_nnpack

PYSOT = {"penalty_k": 0.16, "window_influence": 0.40, "learning_rate": 0.30}
PUBLISHED_STEP = 0.1
WITHOUT = "without:"
MODELS = ("stl", "mtl", "nanotrack")
SETTING = ("model", "weights", "constants", "attack")


def make_attack(name: str, tracker: SiameseEstimator, options: argparse.Namespace) -> Any:
    """An attack by its name."""
    shared = {"precision": options.precision, "verbose": False}
    makers: dict[str, Callable[..., Any]] = {
        "grey": partial(PatchAttack, max_iter=0),
        "random": partial(PatchAttack, max_iter=0, start="random", restarts=options.budget),
        "published": partial(PatchAttack, step_size=PUBLISHED_STEP, max_iter=options.budget),
        "armory": partial(PatchAttack, step_size=PUBLISHED_STEP, max_iter=options.budget, keep="last"),
        "flytrap": partial(FlyTrap, step_size=PUBLISHED_STEP, max_iter=options.budget),
        "auto": partial(AutoPatch, budget=options.budget),
    }
    if name in makers:
        return makers[name](tracker, **shared)
    attack = AutoPatch(tracker, budget=options.budget, **shared)
    attack.members = choose_members(name)
    return attack


def choose_members(name: str) -> list[Member]:
    """The member of `AutoPatch` with a name, or all but it."""
    wanted = name.removeprefix(WITHOUT)
    others = [each for each in AutoPatch.members if name_member(each) != wanted]
    if len(others) == len(AutoPatch.members):
        raise SystemExit(f"no attack and no member of AutoPatch is called {wanted!r}")
    return others if name.startswith(WITHOUT) else [each for each in AutoPatch.members if each not in others]


def name_member(member: Member) -> str:
    """Such as "expected_giou+rank_margin:decoy"."""
    return f"{'+'.join(member.losses)}:{member.start}"


def open_video(number: int | str, options: argparse.Namespace) -> Video:
    """The first frames of a packaged video by its number, or of a sequence of OTB by its name."""
    if options.otb is None:
        return load_video(f"walkers/{options.split}/{number}")[: options.frames]
    (sequence,) = find_sequences(options.otb, [str(number)])
    return load_overlaid(sequence, options.frames)


def attack_video(
    name: str,
    tracker: SiameseEstimator,
    number: int | str,
    others: Sequence[str],
    kept: Path | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """What one attack leaves of one video: mean IoUs, the share of frames in reach, and seconds.

    The patch is written to ``kept``.
    """
    video = open_video(number, options)
    attack = make_attack(name, tracker, options)
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        attack.export = folder
        result = evaluate(tracker, video, attack)
        seconds = time.perf_counter() - start
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(folder, "patch_000.png"), kept)
    row = {"benign": result.benign.mean_iou, "reach": attack.reach[0], "seconds": round(seconds)}
    if result.adversarial is None:
        return row
    attacked = replace(video, frames=result.adversarial.frames)
    shown = {f"on {other}": evaluate(load(other, options), attacked).benign.mean_iou for other in others}
    return {**row, "left": result.adversarial.mean_iou, **shown}


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each tracker, constants, video and attack; all attacks of a video before the next video."""
    table, rows = Rows(options.table), []
    for model, constants in product(options.models, options.constants):
        tracker, weights = load(model, options, constants), hash_file(find_weights(model, options))[:12]
        others = [other for other in options.shown_to if other != model]
        pairs = list(product(options.videos, options.attacks))
        for number, name in progress(pairs, f"{model} {constants}", unit="attack"):
            key = dict(zip(SETTING, (model, weights, constants, name), strict=True))
            key |= {each: getattr(options, each) for each in ("split", "frames", "budget", "precision", "nnpack")}
            kept = None if options.patches is None else name_patch(options.patches, model, constants, name, number)
            work = partial(attack_video, name, tracker, number, others, kept, options)
            rows.append(table.get({**key, "video": number}, work))
    return rows


def name_patch(folder: Path, model: str, constants: str, attack: str, number: int | str) -> Path:
    """The picture of a patch."""
    name = f"{number:02d}" if isinstance(number, int) else number
    return folder / f"{model}-{constants}-{attack}" / f"{name}.png"


def summarize(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The means of each tracker, constants and attack, over all videos and over those in reach."""
    table = pd.DataFrame(rows)
    values = [name for name in table if name in ("benign", "left", "reach", "seconds") or name.startswith("on ")]
    groups = [name for name in SETTING if name != "weights"]
    means = table.groupby(groups, sort=False)[values].mean()
    within = table[table["reach"] >= IN_REACH].groupby(groups, sort=False)[["benign", "left"]].mean()
    return means.join(within.rename(columns="{} in reach".format)).reset_index()


def find_weights(model: str, options: argparse.Namespace) -> Path:
    """The weights file of a tracker."""
    return options.nanotrack if model == "nanotrack" else packaged_weights(f"siamrpn_alex_{model}.safetensors")


def load(model: str, options: argparse.Namespace, constants: str = "packaged") -> Any:
    """A tracker with its own constants, or PySOT's."""
    settings = PYSOT if constants == "pysot" else None
    tracker = load_tracker(find_weights(model, options), device=options.device, tracking=settings)
    if options.nnpack:
        use_nnpack(tracker.model)
    return tracker


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["stl", "mtl"], choices=MODELS)
    parser.add_argument("--shown-to", nargs="+", default=[], choices=MODELS, help="further trackers, for transfer")
    parser.add_argument("--nanotrack", type=Path, default=None, help="nanotrackv3.pth")
    parser.add_argument("--constants", nargs="+", default=["packaged"], choices=["packaged", "pysot"])
    parser.add_argument("--attacks", nargs="+", default=["published", "auto"])
    parser.add_argument("--split", default="dev", choices=list(COUNTS))
    parser.add_argument("--videos", nargs="+", type=int, default=None, help="numbers; default all")
    parser.add_argument("--otb", type=Path, default=None, help="folder of sequences of OTB, in place of a split")
    parser.add_argument("--sequences", nargs="+", default=["Crossing", "Human7"], help="with --otb, which of them")
    parser.add_argument("--frames", type=int, default=20, help="of each video")
    parser.add_argument("--budget", type=int, default=100, help="gradient evaluations per video")
    parser.add_argument("--precision", default="float32", choices=["float32", "bf16"], help="of the attack")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "gpu"])
    parser.add_argument("--table", type=Path, default=None, help="a CSV file for what is finished")
    parser.add_argument("--patches", type=Path, default=None, help="a folder for the patches")
    parser.add_argument("--nnpack", action="store_true", help="convolve by NNPACK")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.otb is not None:
        options.split, options.videos = "otb", options.sequences
    options.videos = options.videos if options.videos is not None else list(range(COUNTS[options.split]))
    if "nanotrack" in {*options.models, *options.shown_to} and options.nanotrack is None:
        parser.error("nanotrack needs --nanotrack FILE: its weights are not part of this package")

    rows = measure(options)
    means = summarize(rows)
    print_table(list(means), means.to_numpy().tolist())
    if options.json:
        print(json.dumps({"rows": rows, "means": means.to_dict("records")}))


if __name__ == "__main__":
    main()
