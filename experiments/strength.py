"""Loss that attacks reach in the same number of steps, on the packaged videos.

    python -m experiments.strength [--json] [--split dev] [--videos 5] [--steps 10] [--frames N]

Columns: ARMORY's ``AdversarialPhysicalTexture``; ours step for step (``sign``, the last iterate); ours with the best
iterate and two restarts. The value is the loss that all maximise, the sum of absolute box errors (SkeleVision, Eq. 3),
found by tracking the finished video. ARMORY's attack needs torchvision, as `attack.py` says; without it the column is
empty.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from benchmarks.attack_columns import STEP_SIZE, import_torchvision
from benchmarks.common import NotAvailableError, print_table, ratio
from benchmarks.scene import Scene
from benchmarks.walkers import walkers


def measure(split: str, videos: int, steps: int, frames: int | None, torchvision: str) -> list[dict[str, Any]]:
    """The loss of each attack on each video."""
    from armory_skelevision import load_tracker
    from armory_skelevision.attacks import PatchAttack

    estimator = load_tracker("siamrpn_mtl")
    attacks = {
        "armory": _armory(estimator, steps, torchvision),
        "sign": PatchAttack(estimator, step_size=STEP_SIZE, max_iter=steps, keep="last"),
        "best of 3": PatchAttack(estimator, step_size=STEP_SIZE, max_iter=steps, keep="best", restarts=3),
    }
    rows = []
    for number, scene in enumerate(walkers(split, videos, frames)):
        losses = {name: _loss(estimator, attack, scene) for name, attack in attacks.items()}
        rows.append({"video": number, "clean": float(estimator.compute_loss(scene.x, scene.y)[0]), **losses})
    return rows


def summarize(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of ours over ARMORY's, and on how many videos the strongest is above it."""
    ratios = [ratio(row["sign"], row["armory"]) for row in rows]
    known = [value for value in ratios if value is not None]
    return {
        "sign_over_armory": statistics.mean(known) if known else None,
        "best_of_3_higher": sum(row["best of 3"] > row["armory"] for row in rows) if known else None,
        "videos": len(rows),
    }


def main() -> None:
    """Measure, print, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="dev", choices=["dev", "mini"])
    parser.add_argument("--videos", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--frames", type=int, default=None, help="of each video; default all")
    parser.add_argument("--torchvision", default=".venv-torchvision", help="its folder; default %(default)s")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()

    rows = measure(options.split, options.videos, options.steps, options.frames, options.torchvision)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    summary = summarize(rows)
    print(", ".join(f"{name} {value}" for name, value in summary.items()))
    if options.json:
        print(json.dumps({"steps": options.steps, "split": options.split, **summary, "rows": rows}))


def _armory(estimator: Any, steps: int, torchvision: str) -> Any:
    try:
        import_torchvision(torchvision)
    except NotAvailableError as error:
        print(f"armory: {error}")
        return None
    from armory.art_experimental.attacks.carla_adversarial_texture import AdversarialPhysicalTexture

    return AdversarialPhysicalTexture(estimator, step_size=STEP_SIZE, max_iter=steps, batch_size=1, verbose=False)


def _loss(estimator: Any, attack: Any, scene: Scene) -> float | None:
    if attack is None:
        return None
    x_adv = attack.generate(x=scene.x, y=scene.y, y_patch_metadata=scene.metadata)
    return float(estimator.compute_loss(x_adv, scene.y)[0])


if __name__ == "__main__":
    main()
