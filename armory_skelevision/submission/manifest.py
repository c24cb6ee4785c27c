"""The manifest of a bundle: its team, versions, files with their hashes, and claimed scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from armory_skelevision.io import hash_file, parse_json
from armory_skelevision.submission.archive import CONFIG, MANIFEST, WEIGHTS, RefusedError

FORMAT = "armory_skelevision submission 1"
TEAM = "^[A-Za-z0-9][A-Za-z0-9-]{0,31}\\Z"
"""Pattern of a team's name, which is a prefix of the names of its weights."""

REPOSITORY = r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+\Z"
"""Pattern of ``external_github_repo``: owner/name@tag."""

_SCORE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_FILE = {
    "type": "object",
    "properties": {"sha256": {"type": "string", "pattern": "^[0-9a-f]{64}\\Z"}, "bytes": {"type": "integer"}},
    "required": ["sha256", "bytes"],
    "additionalProperties": False,
}
_HEADER = {"type": "object", "additionalProperties": {"type": "string"}}
_PROPERTIES: dict[str, Any] = {
    "format": {"const": FORMAT},
    "team": {"type": "string", "pattern": TEAM},
    "version": {"type": "string", "pattern": "^[0-9A-Za-z.+-]{1,40}\\Z"},
    "docker_image": {"type": ["string", "null"], "maxLength": 200},
    "external_github_repo": {"type": ["string", "null"], "pattern": REPOSITORY},
    "files": {"type": "object", "additionalProperties": _FILE},
    "weights": {"type": "object", "additionalProperties": _HEADER},
    "claimed": {
        "type": ["object", "null"],
        "properties": {"benign": _SCORE, "adversarial": _SCORE, "videos": {"type": "integer", "minimum": 1}},
        "required": ["benign", "adversarial", "videos"],
        "additionalProperties": False,
    },
}
SCHEMA = {
    "type": "object",
    "properties": _PROPERTIES,
    "required": list(_PROPERTIES),
    "additionalProperties": False,
}


class Claim(NamedTuple):
    """Mean IoU that a team measured itself, in [0, 1]; None where that part was skipped."""

    benign: float | None
    adversarial: float | None
    videos: int


class Manifest(NamedTuple):
    """A bundle's manifest."""

    team: str
    version: str
    """Version of this package with which the bundle was packed."""
    docker_image: str | None
    external_github_repo: str | None
    files: dict[str, dict[str, Any]]
    """``sha256`` and ``bytes`` of every file but the manifest, by name."""
    weights: dict[str, dict[str, str]]
    """Metadata of each weights file: training, licence, seed and so on."""
    claimed: Claim | None

    def to_json(self) -> bytes:
        """The content of the manifest's file."""
        content = {"format": FORMAT, **self._asdict(), "claimed": self.claimed._asdict() if self.claimed else None}
        return (json.dumps(content, indent=4, sort_keys=True, ensure_ascii=False) + "\n").encode()


def describe_files(files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Hash and size of files, by their names in the bundle."""
    return {name: {"sha256": hash_file(path), "bytes": path.stat().st_size} for name, path in files.items()}


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an unpacked bundle, and compare all files with it.

    Raises:
        RefusedError: If it is not a manifest, or does not list the files as they are.
    """
    import jsonschema

    content = read_json(folder / MANIFEST)
    error = next(iter(jsonschema.Draft7Validator(SCHEMA).iter_errors(content)), None)
    if error is not None:
        place = ".".join(str(part) for part in error.absolute_path)
        raise RefusedError(f"{MANIFEST}.{place}".rstrip("."), "a manifest's value", f"{error.message:.200}")
    claimed = Claim(**content["claimed"]) if content["claimed"] else None
    manifest = Manifest(**{field: content[field] for field in Manifest._fields[:-1]}, claimed=claimed)
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
    """Read a file of a bundle as JSON.

    Raises:
        RefusedError: If there is none, or it is not strict JSON; see `parse_json`.
    """
    if not path.is_file():
        raise RefusedError(path.name, "a file of this name", "none")
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise RefusedError(path.name, "JSON", f"{error!s:.200}") from error
