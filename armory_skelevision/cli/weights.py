"""`skelevision weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from armory_skelevision.cli.options import FROM, OPTIONS

app = typer.Typer(help="List, download, verify, convert or average weights files.", **OPTIONS)

_INTO = typer.Option("--into", help="Folder of downloaded weights; by default ARMORY's saved_model_dir.")


@app.command("list")
def list_weights(
    into: Annotated[Path | None, _INTO] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Also print training and hash, a paragraph each.")] = False,
) -> None:
    """List the packaged and the downloadable weights: network, licence and location."""
    from armory_skelevision.weights.listing import describe_all, format_description, format_table

    found = describe_all(_weights_folder(into))
    print("\n\n".join(map(format_description, found)) if verbose else format_table(found))


@app.command()
def fetch(
    names: Annotated[
        list[str], typer.Argument(help="Names of weights, such as siamrpn_alex_dwxcorr; see `weights list`.")
    ],
    into: Annotated[Path | None, _INTO] = None,
    origin: Annotated[str | None, FROM] = None,
) -> None:
    """Download the checkpoints that PySOT publishes. Resumes if interrupted."""
    from armory_skelevision.weights.published import fetch_weights

    for name in names:
        print(fetch_weights(name, _weights_folder(into), origin))


@app.command()
def verify(files: Annotated[list[Path], typer.Argument(help="Weights files.")]) -> None:
    """Load weights files and describe them. If a file cannot be used, prints why; the exit code is then 1."""
    from armory_skelevision.io import message
    from armory_skelevision.validation import StructuredError
    from armory_skelevision.weights.listing import describe_file, format_description

    failed = False
    for path in files:
        try:
            print(format_description(describe_file(path)))
        except StructuredError as error:
            print(message(str(error)))
            failed = True
    if failed:
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .pth, .pt, .ckpt or .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="File to write: .safetensors from the other kinds, or vice versa.")],
    licence: Annotated[str | None, typer.Option(help="Terms of use, recorded in the .safetensors file.")] = None,
    training: Annotated[str | None, typer.Option(help="How the weights were trained, also recorded.")] = None,
    lambda_k: Annotated[float | None, typer.Option(min=0, help="Weight of the keypoint loss, also recorded.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training, also recorded; -1 for unknown.")] = -1,
    backbone: Annotated[
        Literal["alexnetlegacy", "alexnet"],
        typer.Option(help="BACKBONE.TYPE of the PySOT config for which a checkpoint is written."),
    ] = "alexnetlegacy",
) -> None:
    """Convert weights between checkpoints and .safetensors, in float32 and without rounding."""
    from armory_skelevision.weights.convert import convert as convert_weights

    convert_weights(source, target, licence, training, lambda_k, seed, backbone)
    print(target)


@app.command()
def average(
    sources: Annotated[list[Path], typer.Argument(help="Two or more .safetensors files.")],
    out: Annotated[Path, typer.Option("--out", help="The .safetensors file to write.")],
) -> None:
    """Write the mean of weights that were trained from a common start, such as several runs of one tracker."""
    from armory_skelevision.weights.averaging import average_weights

    average_weights(sources, out)
    print(out)


def _weights_folder(given: Path | None) -> Path:
    from armory_skelevision.weights.resolve import saved_model_dir

    return given or saved_model_dir()
