"""`skelevision submit`: handing in, and what organisers do with what is handed in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from armory_skelevision.cli.options import OPTIONS

if TYPE_CHECKING:
    from armory_skelevision.submission.verify import Terms

app = typer.Typer(help="Pack a tracker or a defense, verify such bundles, rank them under attacks.", **OPTIONS)

_BASELINE = typer.Option(
    "--baseline", help="Config that submissions answer to, instead of the package's own; may be given several times."
)
_REPOSITORIES = typer.Option(
    "--allow-repository", help='A value to allow for "external_github_repo"; ARMORY fetches code from there.'
)


def _terms(baselines: list[Path] | None, repositories: list[str] | None = None) -> Terms:
    from armory_skelevision.io import parse_json
    from armory_skelevision.submission.verify import Terms, check_form

    given = [parse_json(path.read_bytes()) for path in baselines or []]
    for baseline in given:
        check_form(baseline)
    return Terms(tuple(given) or Terms.usual().baselines, tuple(repositories or ()))


@app.command()
def pack(
    config: Annotated[Path, typer.Argument(help="ARMORY's config with your model and defense, otherwise as shipped.")],
    weights: Annotated[Path, typer.Option(help="The model's weights, .safetensors.")],
    out: Annotated[Path, typer.Option(help="The bundle to write, .tar.gz.")],
    team: Annotated[str, typer.Option(help="Letters, digits and hyphens.")] = "anonymous",
    defense_weights: Annotated[Path | None, typer.Option(help="Weights of the defense, if it has any.")] = None,
    result: Annotated[Path | None, typer.Option(help="ARMORY's result file of this config: what you claim.")] = None,
    repository: Annotated[str | None, typer.Option(help="Where your code is published, owner/name@tag.")] = None,
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
) -> None:
    """Write a config and its weights as one bundle, and verify it."""
    from armory_skelevision.io import hash_file
    from armory_skelevision.submission.pack import pack as pack_bundle

    pack_bundle(config, weights, out, team, defense_weights, result, repository, _terms(baseline))
    print(f"{out}  sha256 {hash_file(out)}")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The .tar.gz.")],
    into: Annotated[Path | None, typer.Option(help="Unpack it here, if it is accepted; a new folder.")] = None,
    smoke: Annotated[bool, typer.Option(help="Evaluate it on a few frames of an embedded video.")] = True,
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
    allow_repository: Annotated[list[str] | None, _REPOSITORIES] = None,
) -> None:
    """Say whether a bundle is what it has to be; exit 1 and the reason if it is not. Runs no code of it."""
    from armory_skelevision.submission.archive import RefusedError
    from armory_skelevision.submission.verify import smoke_run, verify_bundle

    terms = _terms(baseline, allow_repository)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            submission = verify_bundle(bundle, into or Path(scratch) / "bundle", terms)
        except RefusedError as error:
            raise RefusedError(f"{bundle} is refused: {error}") from error
        for finding in submission.warnings:
            print(f"warning: {finding.key}: {finding.problem}. {finding.mend}")
        manifest = submission.manifest
        print(f"{bundle}: accepted, of team {manifest.team}, {', '.join(sorted(submission.weights))}")
        if smoke:
            scores = smoke_run(submission)
            benign, adversarial = (sum(values) / len(values) for values in scores)
            print(f"smoke run: benign mIoU {benign:.4f}  adversarial mIoU {adversarial:.4f}")


@app.command()
def evaluate(
    bundles: Annotated[list[Path], typer.Argument(help="The .tar.gz files.")],
    suite: Annotated[Path, typer.Option(help="JSON file of attacks and data; see docs/submissions.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs and tables; made if absent.")],
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
    allow_repository: Annotated[list[str] | None, _REPOSITORIES] = None,
) -> None:
    """Put submissions to a suite of attacks and rank them. Goes on where it was stopped; exit 1 if any is left out."""
    from armory_skelevision.submission.evaluate import evaluate as evaluate_bundles
    from armory_skelevision.submission.ranking import format_table, penalized_scores, write_tables
    from armory_skelevision.submission.suite import read_suite

    asked = read_suite(suite)
    entries = evaluate_bundles(bundles, asked, out, _terms(baseline, allow_repository))
    rows = penalized_scores(entries, asked)
    print(format_table(rows, entries, asked))
    for path in write_tables(rows, entries, asked, out):
        print(path)
    if any(entry.problem is not None for entry in entries):
        raise typer.Exit(1)
