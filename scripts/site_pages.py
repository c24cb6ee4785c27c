"""Pages of the site that are not in docs/: those in the repository's root, and the generated reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from armory_skelevision.cli import app

ROOT = Path(__file__).parent.parent

FROM_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "docker/README.md": "docker.md",
    "town/README.md": "town.md",
    "LICENSE": "LICENSE.txt",
    "CITATION.cff": "CITATION.cff",
}

REFERENCE = {
    "evaluation": ("Evaluation", ["evaluation.evaluate", "evaluation.result", "evaluation.configs", "validation"]),
    # the nouns of a config: everything that a config can name is exported by these packages
    "models": ("Models", ["models"]),
    "attacks": ("Attacks", ["attacks"]),
    "defenses": ("Defenses", ["defenses"]),
    "datasets": ("Data sets", ["datasets"]),
    "metrics": ("Metrics", ["metrics"]),
    # what they are made of
    "tracking": ("Tracking", ["tracking", "boxes"]),
    "networks": ("Networks", ["networks", "networks.unet"]),
    "weights": ("Weights", ["weights", "weights.resolve"]),
    "training": ("Training", ["training.settings", "training.adversarial.settings", "training.dualossdef.settings"]),
    "results": ("Sweeps and results", ["sweeps.grid", "sweeps.run", "results.summary", "results.comparison"]),
    "submission": ("Submissions", ["submission.pack", "submission.verify", "submission.suite", "submission.ranking"]),
}
"""Page, its title, and the modules or objects of the package on it."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages; MkDocs calls this after it has read docs/."""
    for name, page in FROM_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding="utf-8")))
    for name, (title, modules) in REFERENCE.items():
        blocks = "\n".join(f"::: armory_skelevision.{module}\n" for module in modules)
        files.append(File.generated(config, f"api/{name}.md", content=f"# {title}\n\n{blocks}"))
    files.append(File.generated(config, "api/cli.md", content="\n".join(describe_commands())))
    return files


def on_page_markdown(markdown: str, config: MkDocsConfig, **_: Any) -> str:
    """Rewrite links that work on GitHub into links that work on the site; the source code stays on GitHub."""
    markdown = markdown.replace("](../armory_skelevision/", f"]({config.repo_url}/blob/main/armory_skelevision/")
    for name, page in FROM_ROOT.items():
        markdown = re.sub(rf"\]\((\.\./)?{re.escape(name)}(?=[)#])", f"]({page}", markdown)
    return re.sub(r"\]\((\.\./)?docs/", "](", markdown)


def describe_commands() -> Iterator[str]:
    """Yield the lines of a page with the `--help` of each command."""
    yield "# Command line\n"
    yield from _describe(typer.main.get_command(app), "skelevision", None)


def _describe(command: Any, name: str, parent: Any) -> Iterator[str]:
    context = type(command).context_class(command, info_name=name, parent=parent, terminal_width=100)
    if parent is not None:
        level = "#" * (2 if parent.parent is None else 3)
        yield f"{level} {context.command_path}\n"
    yield f"```text\n{click.unstyle(command.get_help(context))}\n```\n"
    for child, subcommand in getattr(command, "commands", {}).items():
        yield from _describe(subcommand, child, context)
