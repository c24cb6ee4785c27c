"""`skelevision data`: render, download or crop data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from armory_skelevision.cli.options import FROM, OPTIONS, require
from armory_skelevision.io import printable

if TYPE_CHECKING:
    from armory_skelevision.datasets.people import AnnotatedPeople

app = typer.Typer(help="Render or download a data set, or cut crops from one.", **OPTIONS)
crops = typer.Typer(help="Cut crops of real people from a downloaded data set into a store for training.", **OPTIONS)
app.add_typer(crops, name="crops")

_OUT = typer.Option("--out", help="Output folder, for the archives too; created if absent.")
_STORE = typer.Option("--out", help="Folder of the store; created if absent. Data sets may share one.")
_SKIP = typer.Option("--skip-invalid", help="Leave out and list unusable inputs, instead of ending with an error.")
_RENDERER = "in a checkout run `make town-env`, then .venv-town/bin/skelevision; see town/README.md"


@app.command()
def walkers(
    out: Annotated[Path, typer.Option(help="Output folder, whose name is that of the split; created if absent.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first video; the next seeds are for the others.")],
    videos: Annotated[int, typer.Option(min=1, help="Number of videos.")] = 1,
    frames: Annotated[int | None, typer.Option(min=2, help="Frames of each video; by default 36 to 40.")] = None,
) -> None:
    """Render more videos for the data set walkers, with annotations. Resumes if interrupted."""
    require("skelevision_town", _RENDERER)
    require("bpy", _RENDERER)
    from skelevision_town.render import render_split

    render_split(out, range(seed, seed + videos), frames)
    print(f'to evaluate on them: "root": "{out.absolute().parent}", "eval_split": "{out.name}" under "dataset"')


@app.command()
def coco(
    out: Annotated[Path, _OUT],
    splits: Annotated[list[str] | None, typer.Argument(help="Splits: train or val; by default both (20 GB).")] = None,
    origin: Annotated[str | None, FROM] = None,
) -> None:
    """Download COCO 2017: person keypoints and images. Resumes if interrupted; checks the published hashes."""
    from armory_skelevision.datasets.fetch import fetch_coco

    print(*map(printable, fetch_coco(out, splits or ["train", "val"], origin)), sep="\n")


@app.command()
def lasot(out: Annotated[Path, _OUT], origin: Annotated[str | None, FROM] = None) -> None:
    """Download LaSOT's 20 person sequences (4 GB). Resumes if interrupted."""
    from armory_skelevision.datasets.fetch import fetch_lasot

    print(*map(printable, fetch_lasot(out, origin)), sep="\n")


@app.command()
def otb(
    out: Annotated[Path, _OUT],
    names: Annotated[
        list[str] | None, typer.Argument(help="Sequences, such as Crossing; by default all of persons.")
    ] = None,
    origin: Annotated[str | None, FROM] = None,
) -> None:
    """Download sequences of the OTB benchmark. Resumes if interrupted."""
    from armory_skelevision.datasets.fetch import fetch_otb

    print(*map(printable, fetch_otb(out, names or (), origin)), sep="\n")


@crops.command("coco")
def crop_coco(
    annotations: Annotated[
        Path, typer.Option(help="Annotations, such as annotations/person_keypoints_train2017.json.")
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images, such as train2017.")],
    out: Annotated[Path, _STORE],
    skip_invalid: Annotated[bool, _SKIP] = False,
) -> None:
    """Cut crops of COCO's persons with more than 5 keypoints. Resumes if interrupted."""
    from armory_skelevision.datasets.coco import read_coco

    _make_crops(read_coco(annotations, images), out, skip_invalid)


@crops.command("lasot")
def crop_lasot(
    root: Annotated[Path, typer.Option(help="Folder with person-1 to person-20.")],
    split: Annotated[str, typer.Option(help="train (the first 800 frames of each sequence) or val (the next 100).")],
    out: Annotated[Path, _STORE],
    skip_invalid: Annotated[bool, _SKIP] = False,
) -> None:
    """Cut crops of LaSOT's persons, one per frame. Resumes if interrupted."""
    from armory_skelevision.datasets.lasot import read_lasot

    _make_crops(read_lasot(root, split), out, skip_invalid)


@crops.command("pictures")
def crop_pictures(
    boxes: Annotated[Path, typer.Option(help='JSON list of {"file", "boxes_xywh"} and more; see the guide.')],
    out: Annotated[Path, _STORE],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the pictures; by default that of the JSON file.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name in the store; by default that of the JSON file's folder.")
    ] = None,
    stretched: Annotated[
        bool,
        typer.Option("--stretched", help="All pictures were stretched to squares: undo it, by the people in them."),
    ] = False,
    skip_invalid: Annotated[bool, _SKIP] = False,
) -> None:
    """Cut crops of people with boxes in single pictures. Resumes if interrupted."""
    from armory_skelevision.datasets.picture_boxes import read_picture_boxes

    folder = boxes.absolute().parent
    people = read_picture_boxes(boxes, images or folder, _name_source(name, folder), stretched)
    _make_crops(people, out, skip_invalid)


@crops.command("sequences")
def crop_sequences(
    root: Annotated[Path, typer.Option(help="Folder of the data set.")],
    layout: Annotated[
        Literal["otb", "got10k", "lasot", "uav123", "trackingnet", "vot", "davis", "plain"],
        typer.Option(help="How it is laid out; see the guide."),
    ],
    out: Annotated[Path, _STORE],
    only: Annotated[list[str] | None, typer.Option(help="A sequence to take; may be repeated. By default all.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A sequence to leave out; may be repeated.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Take every so many frames.")] = 1,
    name: Annotated[str | None, typer.Option(help="Name in the store; by default that of the folder.")] = None,
    skip_invalid: Annotated[bool, _SKIP] = False,
) -> None:
    """Cut crops of the targets of sequences, which must be people. Resumes if interrupted."""
    from armory_skelevision.datasets.sequence_people import read_sequence_people

    chosen = _name_source(name, root), only or (), without or ()
    _make_crops(read_sequence_people(root, layout, *chosen, every), out, skip_invalid)


@crops.command("open-images")
def crop_open_images(
    boxes: Annotated[Path, typer.Option(help="Open Images' boxes, such as oidv6-train-annotations-bbox.csv.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures, ID.jpg.")],
    out: Annotated[Path, _STORE],
    skip_invalid: Annotated[bool, _SKIP] = False,
) -> None:
    """Cut crops of the people in pictures of Open Images. Resumes if interrupted."""
    from armory_skelevision.datasets.open_images import read_open_images

    _make_crops(read_open_images(boxes, images), out, skip_invalid)


def _name_source(name: str | None, folder: Path) -> str:
    """The name of a data set in a store, by default that of its folder."""
    from armory_skelevision.validation import InvalidValueError

    found = printable(folder.absolute().name if name is None else name)
    if not found.strip() or "/" in found or found.startswith("."):
        raise InvalidValueError("--name", "a name that a file's can begin with", repr(found)[:80])
    return found


def _make_crops(people: AnnotatedPeople, out: Path, skip_invalid: bool) -> None:
    from armory_skelevision.training.data.real_crops.building import build_crops

    made = build_crops(people, out, skip_invalid)
    print(f"{made.crops} crops in {printable(out)}")
    if made.problems:
        print(f"{len(made.problems)} left out, listed in {printable(out / people.name)}-problems.txt")
