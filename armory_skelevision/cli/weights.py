"""`skelevision weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.cli.options import FROM, OPTIONS

app = typer.Typer(help="List, download, verify, convert or average weights files.", **OPTIONS)

_INTO = typer.Option("--into", help="Folder of downloaded weights; by default ARMORY's saved_model_dir.")


@app.command("list")
def list_weights(into: Annotated[Path | None, _INTO] = None) -> None:
    """List the packaged and the downloadable weights. Prints network, training, licence, hash and location."""
    from armory_skelevision.weights.listing import describe_all

    print("\n\n".join(describe_all(_weights_folder(into))))


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
    """Check weights files and describe them. If a file cannot be used, prints why; the exit code is then 1."""
    from armory_skelevision.weights.listing import describe_file, verify_file

    problems = {path: verify_file(path) for path in files}
    for path, found in problems.items():
        print("\n".join(found) if found else describe_file(path))
    if any(problems.values()):
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .pth, .pt, .ckpt or .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="File to write: .safetensors from the other kinds, or vice versa.")],
    licence: Annotated[str | None, typer.Option(help="Terms of use, recorded in the .safetensors file.")] = None,
    training: Annotated[str | None, typer.Option(help="How the weights were trained, also recorded.")] = None,
    lambda_k: Annotated[float | None, typer.Option(min=0, help="Weight of the keypoint loss, also recorded.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training, also recorded; -1 for unknown.")] = -1,
) -> None:
    """Convert weights between checkpoints and .safetensors, in float32 and without rounding."""
    from armory_skelevision.weights.convert import convert as convert_weights

    convert_weights(source, target, licence, training, lambda_k, seed)
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
