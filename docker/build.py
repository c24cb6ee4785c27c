"""Build the images that the configs name, with the package's version as their tag.

    python docker/build.py                                # both
    python docker/build.py gpu --no-cache
    python docker/build.py cpu -- --build-arg BASE_IMAGE=registry/python:3.11-slim

What stands after ``--`` goes to the engine as it is. Nothing is pushed: releases are continuous integration's.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from armory_skelevision import __version__
from armory_skelevision.evaluation.configs import IMAGES

REPOSITORY = Path(__file__).parent.parent

DOCKERFILES = {"gpu": "Dockerfile", "cpu": "Dockerfile.cpu"}

ENGINES = ("docker", "podman", "buildah")
"""In the order in which they are looked for."""


def find_engine() -> str:
    """The first engine that this machine has.

    Raises:
        RuntimeError: If it has none.
    """
    for engine in ENGINES:
        if shutil.which(engine):
            return engine
    raise RuntimeError(f"none of {', '.join(ENGINES)} is installed, and one of them has to build")


def read_commit(repository: Path = REPOSITORY) -> str:
    """The commit that is built, with "-dirty" if there is more than it; "unknown" outside of a git repository."""
    texts = []
    for command in ("git rev-parse HEAD", "git status --porcelain"):
        try:
            done = subprocess.run(command.split(), cwd=repository, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return "unknown"
        texts.append(done.stdout.strip())
    commit, changes = texts
    return f"{commit}-dirty" if changes else commit


def build_command(kind: str, engine: str, commit: str, no_cache: bool, further: Sequence[str] = ()) -> list[str]:
    """The engine's command, to be run in the repository's root.

    Args:
        kind: "gpu" or "cpu".
        engine: One of `ENGINES`.
        commit: What `read_commit` says.
        no_cache: Build every layer anew.
        further: Further arguments for the engine.
    """
    return [
        *(engine, "build", "--file", f"docker/{DOCKERFILES[kind]}", "--tag", IMAGES[kind]),
        *("--build-arg", f"VERSION={__version__}", "--build-arg", f"COMMIT={commit}"),
        *(["--no-cache"] if no_cache else []),
        *further,
        ".",
    ]


def main(arguments: Sequence[str]) -> None:
    """Build what the arguments name.

    Raises:
        RuntimeError: If there is no engine.
        subprocess.CalledProcessError: If a build fails; the engine has said why.
    """
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="gpu|cpu", help="default: both")
    parser.add_argument("--engine", choices=ENGINES, help="default: the first of them that is installed")
    parser.add_argument("--no-cache", action="store_true", help="rebuild every layer")
    parser.add_argument("--dry-run", action="store_true", help="only print the commands")
    options = parser.parse_args(arguments[:cut])
    unknown = [kind for kind in options.kinds if kind not in DOCKERFILES]
    if unknown:
        parser.error(f"there is no image {unknown[0]!r}; there are {', '.join(DOCKERFILES)}")
    engine, commit = options.engine or find_engine(), read_commit()
    for kind in options.kinds or DOCKERFILES:
        command = build_command(kind, engine, commit, options.no_cache, arguments[cut + 1 :])
        print(shlex.join(command), flush=True)
        if not options.dry_run:
            # without the variable, older versions of Docker know no RUN --mount
            subprocess.run(command, cwd=REPOSITORY, env={**os.environ, "DOCKER_BUILDKIT": "1"}, check=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (RuntimeError, OSError, subprocess.CalledProcessError) as problem:
        sys.exit(f"error: {problem}")
