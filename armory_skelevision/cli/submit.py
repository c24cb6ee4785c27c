"""`skelevision submit`: packing a submission, and what organisers do with it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from armory_skelevision.cli.options import OPTIONS

if TYPE_CHECKING:
    from armory_skelevision.submission.verify import Terms

app = typer.Typer(
    help="Pack a tracker or a defense as a bundle; verify bundles and rank them under attacks.", **OPTIONS
)

_BASELINE = typer.Option(
    "--baseline",
    help="Config of the evaluation that submissions take part in, instead of the package's own; may be repeated.",
)
_REPOSITORIES = typer.Option(
    "--allow-repository", help='Value to allow for "external_github_repo", from which ARMORY fetches code.'
)


def _terms(baselines: list[Path] | None, repositories: list[str] | None = None) -> Terms:
    from armory_skelevision.io import read_object
    from armory_skelevision.submission.archive import MAX_TEXT
    from armory_skelevision.submission.verify import Terms, check_form

    given = [read_object(path, MAX_TEXT) for path in baselines or []]
    for baseline in given:
        check_form(baseline)
    return Terms(tuple(given) or Terms.usual().baselines, tuple(repositories or ()))


@app.command()
def pack(
    config: Annotated[Path, typer.Argument(help="Config of the package in which you changed only model and defense.")],
    weights: Annotated[Path, typer.Option(help="The model's weights, .safetensors.")],
    out: Annotated[Path, typer.Option(help="The bundle to write, .tar.gz.")],
    team: Annotated[str, typer.Option(help="Name of the team: letters, digits and hyphens.")] = "anonymous",
    defense_weights: Annotated[Path | None, typer.Option(help="Weights of the defense, if it has any.")] = None,
    result: Annotated[
        Path | None, typer.Option(help="ARMORY's result file of this config, with the scores that you claim.")
    ] = None,
    repository: Annotated[str | None, typer.Option(help="Repository of your code, owner/name@tag.")] = None,
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the bundle, if there is one.")] = False,
) -> None:
    """Write a config and its weights as one bundle, and verify it."""
    from armory_skelevision.io import hash_file
    from armory_skelevision.submission.pack import pack as pack_bundle

    pack_bundle(config, weights, out, team, defense_weights, result, repository, _terms(baseline), overwrite)
    print(f"{out}  sha256 {hash_file(out)}")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle, .tar.gz.")],
    into: Annotated[Path | None, typer.Option(help="New folder to unpack it into, if it is accepted.")] = None,
    smoke: Annotated[bool, typer.Option(help="Also evaluate it on a few frames of a packaged video.")] = True,
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
    allow_repository: Annotated[list[str] | None, _REPOSITORIES] = None,
) -> None:
    """Check a bundle without running any of its content. If it is refused, prints why; the exit code is then 1."""
    from armory_skelevision.evaluation.check.findings import describe
    from armory_skelevision.evaluation.runner import RunFailedError
    from armory_skelevision.io import message, printable
    from armory_skelevision.submission.archive import RefusedError
    from armory_skelevision.submission.verify import verify_bundle

    terms = _terms(baseline, allow_repository)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            submission = verify_bundle(bundle, into or Path(scratch) / "bundle", terms, smoke)
        except (RefusedError, RunFailedError) as error:
            reason = f"the smoke run failed: {error}" if isinstance(error, RunFailedError) else error
            print(message(f"error: {bundle} is refused: {reason}"), file=sys.stderr)
            raise typer.Exit(1) from None
    for finding in submission.warnings:
        print(message(f"warning: {describe(finding)}"))
    if submission.smoke is not None:
        benign, adversarial = (sum(values) / len(values) for values in submission.smoke)
        print(f"smoke run: benign mIoU {benign:.4f}  adversarial mIoU {adversarial:.4f}")
    files = ", ".join(name.rpartition("/")[-1] for name in sorted(submission.manifest.weights))
    print(printable(f"{bundle}: accepted, team {submission.manifest.team}, {files}"))


@app.command()
def evaluate(
    bundles: Annotated[list[Path], typer.Argument(help="The bundles, .tar.gz.")],
    suite: Annotated[Path, typer.Option(help="JSON file of attacks and data; see docs/submissions.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs and tables; created if absent.")],
    baseline: Annotated[list[Path] | None, _BASELINE] = None,
    allow_repository: Annotated[list[str] | None, _REPOSITORIES] = None,
) -> None:
    """Evaluate submissions under a suite's attacks and rank them. Resumes if interrupted; exit code 1 if one fails."""
    from armory_skelevision.submission.evaluate import evaluate as evaluate_bundles
    from armory_skelevision.submission.ranking import format_table, rank, write_tables
    from armory_skelevision.submission.suite import read_suite

    wanted = read_suite(suite)
    participants = evaluate_bundles(bundles, wanted, out, _terms(baseline, allow_repository))
    rows = rank(participants, wanted)
    print(format_table(rows, participants, wanted))
    for path in write_tables(rows, participants, wanted, out):
        print(path)
    if any(participant.problem is not None for participant in participants):
        raise typer.Exit(1)
