"""Commands that write results, and attacked videos, for other toolkits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from armory_skelevision.io import printable


def export(
    run: Annotated[Path, typer.Argument(help="A result file, or a folder of ARMORY's outputs.")],
    form: Annotated[
        Literal["got10k", "otb", "lasot", "vot"],
        typer.Option("--format", help="Benchmark whose toolkit is to read the files."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results of all trackers; created if absent.")],
    tracker: Annotated[str | None, typer.Option(help="Name of the tracker; by default that of the model.")] = None,
    first_pixel: Annotated[
        int | None,
        typer.Option(min=0, max=1, help="Number of the first pixel; by default 1 for otb and 0 for the others."),
    ] = None,
) -> None:
    """Write tracked boxes as result files for the toolkits of GOT-10k, OTB, LaSOT, VOT or PySOT.

    A run with an attack becomes two trackers, TRACKER and TRACKER-attacked. The numbers printed are those that the
    toolkit should compute. Folders that are there already are never written into.
    """
    from armory_skelevision.results.export.trackers import export_trackers

    for exported in export_trackers(run, form, out, tracker, first_pixel):
        print(f"{printable(exported.folder)}: {_count(exported.sequences, 'sequence')}  {exported.scores}".rstrip())


def export_attacked(
    run: Annotated[Path, typer.Argument(help="The result file of one run, or its folder of ARMORY's outputs.")],
    layout: Annotated[
        Literal["otb", "got10k", "vot"], typer.Option(help="Benchmark whose layout the data set is to have.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the data set, new or empty.")],
    benign: Annotated[bool, typer.Option("--benign", help="Write the videos as they are, without the attack.")] = False,
    jpeg: Annotated[
        int | None, typer.Option(min=1, max=100, help="Quality of JPEG files; by default nothing is lost.")
    ] = None,
) -> None:
    """Write attacked videos and their true boxes as a data set, on which other toolkits can judge any tracker.

    RUN is a folder of `skelevision track --attack`; or a run that exported its frames, by "export_batches": true under
    "scenario" in its config.
    """
    from armory_skelevision.results.export.attacked import export_attacked as write

    exported = write(run, layout, out, "benign" if benign else "adversarial", jpeg)
    print(f"{printable(exported.folder)}: {_count(exported.sequences, 'sequence')}, {_count(exported.frames, 'frame')}")
    if exported.truth:
        print(f"not annotated: true boxes are {printable(exported.truth)}")
    if jpeg is not None:
        print(f"JPEG changed colours by up to {exported.largest_change} of 255")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
