"""`skelevision claims`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from armory_skelevision.io import printable


def claims(
    folder: Annotated[Path, typer.Option(help="Folder of the claims, one .json each.")] = Path("claims"),
    out: Annotated[Path, typer.Option(help="The page to write, .md.")] = Path("docs/claims.md"),
    missing: Annotated[
        bool, typer.Option("--missing", help="Write nothing; print the commands that would have to be run.")
    ] = False,
) -> None:
    """Write the page of the papers' claims from their files, and list what is missing. Run it in the repository."""
    from armory_skelevision.claims.claim import hash_packaged, read_claims
    from armory_skelevision.claims.page import MARK, list_commands, list_missing, render_page
    from armory_skelevision.io.pages import write_page

    known, packaged = read_claims(folder), hash_packaged()
    lacking = list_missing(known, packaged)
    if missing:
        print(*list_commands(known, packaged), sep="\n")
        for name in lacking:
            if not known[name].experiment:
                print(f"note: {name}: {lacking[name]}", file=sys.stderr)
        return
    write_page(out, render_page(known, packaged), MARK)
    for name, why in lacking.items():
        print(printable(f"{name}: {why}"))
    print(printable(f"{out}: {len(known)} claims, {len(lacking)} without a verdict on the packaged weights of now"))
