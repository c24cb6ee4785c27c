"""Mutation tests: put single faults into a room of the package, and count those that its tests find.

python -m scripts.mutation [--jobs N] ROOM...

Faults that no test finds are listed with the command that shows them. The work is done on a copy in `.mutation/ROOM`,
which is kept until the next call. Needs mutmut, which `make mutation` installs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "armory_skelevision"


class Room(NamedTuple):
    """A part of the package, and the tests that are to find its faults."""

    sources: list[str]
    """Patterns of paths in the package."""
    tests: list[str]


ROOMS = {
    "boxes": Room(["boxes.py"], ["tests/test_boxes.py", "tests/metrics", "tests/attacks/test_objectives.py"]),
    "tracking": Room(["tracking/*"], ["tests/tracking"]),
    "attacks": Room(["attacks/*"], ["tests/attacks"]),
    # parts of attacks, each with the few fast tests of its own, which take minutes instead of hours
    "objectives": Room(
        ["attacks/objectives.py", "attacks/optimizer.py"],
        ["tests/attacks/test_objectives.py", "tests/attacks/test_optimizer.py"],
    ),
    "online": Room(
        [f"attacks/digital/{name}.py" for name in ("iou", "noise_search", "online", "rtaa")],
        [f"tests/attacks/test_{name}.py" for name in ("noise_search", "online", "rtaa_loss")],
    ),
    "screen": Room(
        [f"attacks/patch/{name}.py" for name in ("eot", "regularizers", "screen")],
        [f"tests/attacks/test_{name}.py" for name in ("eot", "regularizers", "screen")],
    ),
    "triggers": Room(["attacks/backdoor.py", "attacks/triggers.py"], ["tests/attacks/test_triggers.py"]),
    "pgd": Room(
        ["attacks/digital/gradient.py", "attacks/digital/per_frame.py"],
        ["tests/attacks/test_pgd.py"],
    ),
    "keypoints": Room(["attacks/keypoints/*"], ["tests/attacks/test_keypoints.py"]),
    "files": Room(
        ["attacks/patch/checkpoints.py", "attacks/patch/files.py"],
        ["tests/attacks/test_patch_checkpoints.py", "tests/attacks/test_patch_files.py"],
    ),
    "gradients": Room(
        ["attacks/gradients.py", "attacks/patch/objective.py"],
        ["tests/attacks/test_gradients.py", "tests/attacks/test_patch_objective.py"],
    ),
    "interface": Room(["attacks/interface.py"], ["tests/attacks/test_interface.py"]),
    "metrics": Room(["metrics/*"], ["tests/metrics"]),
    "weights": Room(["weights/*"], ["tests/weights"]),
    "averaging": Room(["weights/averaging.py"], ["tests/weights/test_averaging.py"]),
    "intervals": Room(["results/intervals.py"], ["tests/results/test_intervals.py"]),
    "readers": Room(
        [
            *("io/reading.py", "io/images.py", "datasets/numbers.py", "datasets/coco*.py", "datasets/lasot.py"),
            *("datasets/otb_sequences.py", "datasets/layouts/*.py", "datasets/image_folders.py"),
            *("sweeps/grid.py", "sweeps/axes.py"),
            *("results/values.py", "results/consistency.py", "results/result_file.py"),
        ],
        [
            *(
                "tests/io/test_reading.py",
                "tests/io/test_images.py",
                "tests/datasets/test_numbers.py",
                "tests/datasets/test_otb.py",
                "tests/datasets/test_layouts.py",
            ),
            *("tests/datasets/test_people.py", "tests/sweeps/test_grid.py", "tests/sweeps/test_grid_mistakes.py"),
            *("tests/results/test_result_file.py", "tests/results/test_contradictions.py"),
            "tests/results/test_missing_values.py",
        ],
    ),
}

SETTINGS = """
[tool.mutmut]
source_paths = ["{package}"]
only_mutate = {sources}
also_copy = {copied}
# tests compare what errors are about, not their wording; zip(…, strict=True) only documents
do_not_mutate_patterns = ['raise \\w*Error\\(', '^ *(fix|expected|got|problem) = ', 'zip\\(.*strict=']
"""


def main() -> None:
    """Test the rooms that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="+", choices=ROOMS, metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--jobs", type=int, default=2, help="how many faults at a time")
    arguments = parser.parse_args()
    for name in arguments.rooms:
        folder = ROOT / ".mutation" / name
        copy_checkout(folder, ROOMS[name])
        run_together(["make_faults()"], folder)
        calls = [f"run_tests({job}, {arguments.jobs}, {ROOMS[name].tests})" for job in range(arguments.jobs)]
        run_together(calls, folder / "mutants")
        print(f"{name}: {summarise(folder)}")


def run_together(calls: list[str], folder: Path) -> None:
    """Run calls of `faults`, each in a process of its own, which imports the copy in this folder."""
    command = [
        sys.executable,
        "-c",
        "import sys; from scripts import faults; sys.exit(eval(sys.argv[1], vars(faults)))",
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    processes = [subprocess.Popen([*command, call], cwd=folder, env=environment) for call in calls]
    if any(list(map(subprocess.Popen.wait, processes))):
        sys.exit("it stopped early; see above")


def copy_checkout(folder: Path, room: Room) -> None:
    """Make a copy of the checkout with the settings of a room."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [name for name in listed.split("\0") if (ROOT / name).is_file()]
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    settings = SETTINGS.format(
        package=PACKAGE,
        sources=[f"{PACKAGE}/{pattern}" for pattern in room.sources],
        copied=sorted({name.split("/")[0] for name in files}),
    )
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(settings)


def summarise(folder: Path) -> str:
    """The score of a room, and the faults that no test finds."""
    lines = [line for path in (folder / "mutants").glob("*.txt") for line in path.read_text("utf-8").splitlines()]
    found = [line.split("\t") for line in lines if "__mutmut_" in line]
    left = [f"  {state}: {name}" for state, name in sorted(found) if state in ("survived", "no tests")]
    hint = f"  see them with: cd {folder.relative_to(ROOT)} && mutmut show NAME"
    return "\n".join([f"{len(found) - len(left)} of {len(found)} faults found", *left, *([hint] if left else [])])


if __name__ == "__main__":
    main()
