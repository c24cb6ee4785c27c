"""`skelevision leaderboard`: measuring, verifying and showing entries of the leaderboard."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from armory_skelevision.cli.options import OPTIONS
from armory_skelevision.io import message, printable
from armory_skelevision.validation import InvalidValueError

if TYPE_CHECKING:
    from armory_skelevision.leaderboard.entry import DefensePart

app = typer.Typer(help="Measure, verify and show trackers and defenses under the strongest patch.", **OPTIONS)

_WEIGHTS = typer.Option("--weights", help="The tracker's weights file; by default found by its name.")
_DEFENSE_WEIGHTS = typer.Option("--defense-weights", help="The defense's weights file, likewise.")
_OTB = typer.Option("--otb", help="Folder of sequences of OTB2015, in place of the packaged videos.")
_DEVICE = typer.Option(help="Where the network is computed.")
_Device = Literal["auto", "cpu", "gpu"]


@app.command()
def add(
    entry: Annotated[Path, typer.Argument(help="The file to write, such as leaderboard/mine.json.")],
    by: Annotated[str, typer.Option(help="Who submits it.")],
    tracker: Annotated[str, typer.Option(help="A tracker of the package.")] = "siamrpn_mtl",
    weights: Annotated[Path | None, _WEIGHTS] = None,
    defense: Annotated[
        str | None, typer.Option(help="A defense by its name, or the defense section of a config as .json.")
    ] = None,
    defense_weights: Annotated[Path | None, _DEFENSE_WEIGHTS] = None,
    reference: Annotated[str | None, typer.Option(help="Address of a page or a paper, https://…")] = None,
    split: Annotated[
        Literal["dev", "mini"] | None, typer.Option(help="Split of the data set walkers; dev unless --otb is given.")
    ] = None,
    otb: Annotated[Path | None, _OTB] = None,
    sequences: Annotated[
        str | None, typer.Option(help="Names of those, such as Crossing,Human7; by default all of OTB2015-Person.")
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames of each video, from the first.")] = 20,
    budget: Annotated[int, typer.Option(min=1, help="Gradient evaluations of the attack for each video.")] = 100,
    patches: Annotated[
        Path | None, typer.Option(help="Folder of patches that this attack found earlier, 00.png and so on.")
    ] = None,
    device: Annotated[_Device, _DEVICE] = "auto",
) -> None:
    """Measure a tracker, and a defense in front of it, by the leaderboard's protocol, and write the entry.

    All videos of the split, or all named sequences, are attacked, adaptively and in float32, which takes hours on a CPU
    with the default budget. The patches go into a folder beside the entry. The same command continues an interrupted
    one: ENTRY.part keeps the videos that are done. With --patches, nothing is attacked: the patches are shown.
    """
    from armory_skelevision.leaderboard.add import Wanted, add_entry

    section, section_weights = (None, None) if defense is None else _read_defense(defense)
    chosen = _name_split(split, otb, sequences)
    wanted = Wanted(tracker, weights, section, defense_weights or section_weights, chosen, frames, budget, patches, otb)
    made = add_entry(entry, wanted, by, reference, device)
    _print_means(made.videos)
    print(printable(entry))


@app.command()
def verify(
    entry: Annotated[Path, typer.Argument(help="The entry, .json.")],
    videos: Annotated[
        str | None, typer.Option(help="Numbers of the videos to measure, such as 0,3,5; by default all.")
    ] = None,
    attack: Annotated[bool, typer.Option("--attack", help="Attack the videos again, too: as slow as add.")] = False,
    weights: Annotated[Path | None, _WEIGHTS] = None,
    defense_weights: Annotated[Path | None, _DEFENSE_WEIGHTS] = None,
    otb: Annotated[Path | None, _OTB] = None,
    device: Annotated[_Device, _DEVICE] = "auto",
) -> None:
    """Measure an entry again, under its patches. Exit code 1 if its files or its numbers are others; says which.

    Mean IoUs may differ by half a point on each video. With --attack, an entry is also refused whose patches are too
    weak: if an attack of now leaves less in the mean over the videos by more than 10 points.
    """
    from armory_skelevision import __version__
    from armory_skelevision.leaderboard.entry import find_patches, read_entry
    from armory_skelevision.leaderboard.verify import verify_entry

    read = read_entry(entry)
    numbers = None if videos is None else _parse_numbers(videos)
    if read.version != __version__:
        print(message(f"note: measured with version {read.version}, this is {__version__}"), file=sys.stderr)
    found = verify_entry(read, find_patches(entry), numbers, attack, weights, defense_weights, otb, device)
    for score in found.scores:
        print(f"video {score.number}: benign {score.benign:.4f}  worst case {score.worst_case:.4f}")
    for score in found.attacked:
        print(f"video {score.number}: worst case under a patch of now {score.worst_case:.4f}")
    for line in found.differences:
        print(f"error: {line}", file=sys.stderr)
    if found.differences:
        raise typer.Exit(1)
    print(printable(f"{entry}: verified on {len(found.scores)} of {len(read.videos)} videos"))


@app.command()
def page(
    entries: Annotated[Path, typer.Option(help="Folder of the entries, one .json each.")] = Path("leaderboard"),
    out: Annotated[Path, typer.Option(help="The page to write, .html.")] = Path("docs/board.html"),
) -> None:
    """Write the page of all entries: one HTML file that needs nothing else. Run it in the repository."""
    from armory_skelevision.io.pages import write_page
    from armory_skelevision.leaderboard.entry import read_entries
    from armory_skelevision.leaderboard.page import MARK, render_page

    known = read_entries(entries)
    write_page(out, render_page(known), MARK)
    print(printable(f"{out}: {len(known)} {'entry' if len(known) == 1 else 'entries'}"))


def _read_defense(given: str) -> tuple[DefensePart, Path | None]:
    """A defense by its name, or by the section of a config that a file holds, and the weights that this names."""
    from armory_skelevision import defenses
    from armory_skelevision.io import read_object
    from armory_skelevision.leaderboard.entry import DefensePart
    from armory_skelevision.validation import PathText, check_known, check_value

    if not given.endswith(".json"):
        return DefensePart(given, {}, None), None
    section = read_object(Path(given))
    check_known("defense", section, ["module", "name", "kwargs", "type"])
    if section.get("module", defenses.__name__) != defenses.__name__:
        raise InvalidValueError("defense.module", defenses.__name__, repr(section["module"]))
    kwargs = section.get("kwargs") or {}
    check_value("defense.kwargs", kwargs, Mapping[str, Any])
    check_value("defense.kwargs.weights_file", kwargs.get("weights_file"), PathText | None)
    settings = {key: value for key, value in kwargs.items() if key != "weights_file"}
    part = DefensePart.from_dict({"name": section.get("name"), "kwargs": settings, "weights": None}, "defense")
    return part, Path(kwargs["weights_file"]) if "weights_file" in kwargs else None


def _name_split(split: str | None, otb: Path | None, sequences: str | None) -> str:
    """The split as an entry names it."""
    from armory_skelevision.leaderboard.entry import ALL_PERSONS

    if otb is None:
        if sequences is not None:
            raise InvalidValueError("--sequences", "none without --otb", printable(sequences))
        return split or "dev"
    if split is not None:
        raise InvalidValueError("--split", "none beside --otb", split, "name sequences by --sequences")
    if sequences is None:
        return ALL_PERSONS
    names = sorted(set(sequences.split(",")))
    if not all(names):
        raise InvalidValueError("--sequences", "names, separated by commas", printable(sequences) or "none")
    return "+".join(names)


def _parse_numbers(text: str) -> list[int]:
    numbers = text.split(",")
    if not all(number.isascii() and number.isdigit() and len(number) < 10 for number in numbers):
        raise InvalidValueError("--videos", "whole numbers, separated by commas", printable(text))
    return [int(number) for number in numbers]


def _print_means(videos: Any) -> None:
    means = {name: sum(getattr(video, name) for video in videos) / len(videos) for name in ("benign", "worst_case")}
    print(f"mean IoU: benign {means['benign']:.4f}  worst case {means['worst_case']:.4f}, {len(videos)} videos")
