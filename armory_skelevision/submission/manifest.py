"""The manifest of a bundle: its team, versions, files with their hashes, and claimed scores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from armory_skelevision.io import hash_file, parse_json
from armory_skelevision.submission.archive import CONFIG, MANIFEST, WEIGHTS, RefusedError
from armory_skelevision.validation import Count, Fraction, InvalidValueError, Settings

_FORMS = {
    "team": ("[A-Za-z0-9][A-Za-z0-9-]{0,31}", "up to 32 letters, digits and hyphens"),
    "version": ("[0-9A-Za-z.+-]{1,40}", "a version"),
    "external_github_repo": (r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+", "owner/name@tag"),
}
"""Pattern of some of the values, and what to call it."""


@dataclass(frozen=True)
class Claim(Settings):
    """Mean IoU that a team measured itself, in [0, 1]; None where that part was skipped."""

    benign: Fraction | None
    adversarial: Fraction | None
    videos: Count


@dataclass(frozen=True)
class Manifest(Settings):
    """A bundle's manifest.

    Attributes:
        format: Of this file.
        team: Prefix of the names of its weights.
        version: That of this package with which the bundle was packed.
        docker_image: As in the config.
        external_github_repo: As in the config.
        files: ``sha256`` and ``bytes`` of every file but the manifest, by name.
        weights: Metadata of each weights file: training, licence, seed and so on.
        claimed: The team's own result.
    """

    format: Literal["armory_skelevision submission 1"]
    team: str
    version: str
    docker_image: str | None
    external_github_repo: str | None
    files: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, Mapping[str, str]]
    claimed: Claim | None

    def check(self) -> None:
        """Refuse names that have another form."""
        for key, (pattern, expected) in _FORMS.items():
            value = getattr(self, key)
            if value is not None and not re.fullmatch(pattern, value):
                raise InvalidValueError(key, expected, repr(value))

    def to_json(self) -> bytes:
        """The content of the manifest's file."""
        return (json.dumps(asdict(self), indent=4, sort_keys=True, ensure_ascii=False) + "\n").encode()


def describe_files(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Hash and size of files, by their names in the bundle."""
    return {name: {"sha256": hash_file(path), "bytes": path.stat().st_size} for name, path in files.items()}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an unpacked bundle, and compare all files with it.

    Raises:
        RefusedError: If it is not a manifest, or does not list the files as they are.
    """
    content = read_json(folder / MANIFEST)
    try:
        if isinstance(content, dict) and content.get("claimed") is not None:
            content["claimed"] = Claim.from_dict(content["claimed"], f"{MANIFEST}.claimed")
        manifest = Manifest.from_dict(content, MANIFEST)
    except InvalidValueError as error:
        raise RefusedError(error.key, error.expected, error.got, error.fix) from None
    there = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    del there[MANIFEST]
    for name in sorted(set(manifest.files) ^ set(there)):
        missing = "bundle" if name in manifest.files else "manifest"
        raise RefusedError(name, "a file of the bundle and of the manifest", f"none in the {missing}")
    for name, found in describe_files(there).items():
        if found != manifest.files[name]:
            raise RefusedError(name, "the file of the manifest", "another hash or size")
    weights = {name for name in there if name.startswith(f"{WEIGHTS}/")}
    if set(manifest.weights) != weights or CONFIG not in there or not weights:
        raise RefusedError(MANIFEST, f"{CONFIG}, and weights with their metadata", f"{sorted(there)}")
    return manifest


def read_json(path: Path) -> Any:
    """Read a file of a bundle as strict JSON (`RefusedError` if there is none, or it is something else)."""
    if not path.is_file():
        raise RefusedError(path.name, "a file of this name", "none")
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise RefusedError(path.name, "JSON", f"{error!s:.200}") from error
