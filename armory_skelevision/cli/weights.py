"""`skelevision weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.cli.options import FROM, OPTIONS

app = typer.Typer(help="List, fetch, check, convert or average weight files.", **OPTIONS)

_INTO = typer.Option("--into", help="Folder of fetched weights; by default ARMORY's saved_model_dir.")


@app.command("list")
def list_weights(into: Annotated[Path | None, _INTO] = None) -> None:
    """List the packaged weights and those that can be fetched: network, training, licence, hash, place."""
    from armory_skelevision.weights.listing import describe_all

    print("\n\n".join(describe_all(_weights_folder(into))))


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(help="Such as siamrpn_alex_dwxcorr; `weights list` names them.")],
    into: Annotated[Path | None, _INTO] = None,
    origin: Annotated[str | None, FROM] = None,
) -> None:
    """Fetch PySOT's checkpoints from where they are published. Goes on where it was stopped."""
    from armory_skelevision.weights.listing import fetch_weights

    for name in names:
        print(fetch_weights(name, _weights_folder(into), origin))


@app.command()
def verify(files: Annotated[list[Path], typer.Argument(help="Weight files.")]) -> None:
    """Read weight files strictly and say what they are; exit 1 and one line per problem."""
    from armory_skelevision.weights.listing import describe_file, find_faults

    faults = {path: find_faults(path) for path in files}
    for path, found in faults.items():
        print("\n".join(found) if found else describe_file(path))
    if any(faults.values()):
        raise typer.Exit(1)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A .pth, .pt, .ckpt or .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="The file to write: .safetensors for the first three, and back.")],
    licence: Annotated[str | None, typer.Option(help="Terms of use, for a .safetensors file.")] = None,
    training: Annotated[str | None, typer.Option(help="How they were trained, likewise.")] = None,
    lambda_k: Annotated[float | None, typer.Option(min=0, help="Weight of the keypoint loss, likewise.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training, likewise; -1 for unknown.")] = -1,
) -> None:
    """Rewrite weights in the other format, in float32 and without rounding."""
    from armory_skelevision.weights.listing import convert as convert_weights

    convert_weights(source, target, licence, training, lambda_k, seed)
    print(target)


@app.command()
def average(
    sources: Annotated[list[Path], typer.Argument(help="Two or more .safetensors files.")],
    out: Annotated[Path, typer.Option("--out", help="The .safetensors file to write.")],
) -> None:
    """Write the mean of weights that were trained on from each other, such as several runs of one tracker."""
    from armory_skelevision.weights.averaging import average_weights

    average_weights(sources, out)
    print(out)


def _weights_folder(given: Path | None) -> Path:
    if given is not None:
        return given
    from armory_skelevision.weights.resolve import saved_model_dir

    return saved_model_dir()
