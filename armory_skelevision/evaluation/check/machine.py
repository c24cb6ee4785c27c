"""Whether this machine is ready: versions, ARMORY's folders, room for results, ffmpeg."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from armory_skelevision.evaluation.check.findings import Finding, error, warning

PACKAGE = "armory_skelevision"
CONSTRAINTS = Path(__file__).parent.parent.parent / "constraints.txt"
"""The versions that were tested together; beside the package in the repository, not in an installed one."""

NOT_IMPORTED = ("tensorflow", "tensorflow-cpu", "tensorflow-datasets", "tidecv")
"""What every run imports and a check does not, for the time it takes: whether they can be is seen by what they need."""

FOLDERS = "ARMORY's folders"
"""Key of findings about folders that ARMORY cannot use."""

CONFIGURATION = "ARMORY's configuration"
"""Key of the finding that ARMORY's folders are not known at all."""

PLENTY, SCARCE = 2e9, 2e8
"""Bytes for results and exported videos: below the first they may not last, below the second they will not."""

_NAMES = ("dataset_dir", "local_git_dir", "output_dir", "saved_model_dir", "tmp_dir")


def check_machine() -> list[Finding]:
    """What this machine lacks, independently of any config."""
    findings = [*check_package(), *compare_with_tested(CONSTRAINTS), *check_ffmpeg(), *check_folders()]
    return [finding._replace(where="this machine") for finding in findings]


def check_package() -> list[Finding]:
    """Whether the package's dependencies are installed, and those of the packages that a check does not import."""
    try:
        findings = check_versions(metadata.requires(PACKAGE) or [])
    except metadata.PackageNotFoundError:
        problem = "it is on Python's path, but not installed: its dependencies are not checked"
        return [warning(PACKAGE, problem, "install it with pip, from its repository with -e")]
    for name in NOT_IMPORTED:
        if _installed(name) is not None:
            # another version than the required one often works
            findings += check_versions(metadata.requires(name) or [], differing=warning)
    return list(dict.fromkeys(findings))


def check_versions(requirements: Iterable[str], differing: Callable[[str, str, str], Finding] = error) -> list[Finding]:
    """What is absent or too old of what the package needs.

    Args:
        requirements: Such as ``torch>=2.4``, with their markers; those of extras do not count.
        differing: Makes the finding on what is installed in a version that does not fit.
    """
    findings = []
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found, fix = _installed(requirement.name), f'pip install "{requirement.name}{requirement.specifier}"'
        if found is None:
            findings.append(error(requirement.name, "it is not installed", fix))
        elif not requirement.specifier.contains(found, prereleases=True):
            findings.append(differing(requirement.name, f"expected {requirement}, got {found}", fix))
    return findings


def compare_with_tested(constraints: Path) -> list[Finding]:
    """One warning that names what is installed in another version than in a file of tested ones, if there is one."""
    if not constraints.is_file():
        return []
    lines = [line.split("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines()]
    # a local build such as 2.13.0+cpu satisfies ==2.13.0; what is not installed is no matter
    found = check_versions(filter(None, lines), differing=warning)
    differing = [finding.problem for finding in found if finding.level == "warning"]
    if not differing:
        return []
    fix = f"if something fails: pip install -c {constraints.name} -e ."
    return [warning("versions", f"not those that were tested together: {'; '.join(differing)}", fix)]


def check_ffmpeg() -> list[Finding]:
    """Whether videos can be written, by a program of the system or by the one that `imageio-ffmpeg` carries."""
    if shutil.which("ffmpeg") is not None:
        return []
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as raised:
        fix = "pip install --force-reinstall imageio-ffmpeg, or install the system's ffmpeg"
        return [error("ffmpeg", f"there is no such program ({raised}): videos cannot be exported", fix)]
    return []


def check_folders() -> list[Finding]:
    """Whether ARMORY's folders are configured and writable, and have room. Makes none of them."""
    from armory import configuration, paths

    defaults = paths.HostDefaultPaths()
    settings = Path(defaults.armory_config)
    findings = []
    if not settings.is_file():
        problem = f"ARMORY is not configured; it uses {defaults.armory_dir}"
        findings.append(warning("armory configure", problem, "run `armory configure` to choose other folders"))
        folders = {name: getattr(defaults, name) for name in _NAMES}
    else:
        try:
            folders = configuration.load_global_config(str(settings))
        except (ValueError, KeyError, TypeError, OSError) as raised:
            reason = raised.args[0] if isinstance(raised, KeyError) else raised
            return [error(CONFIGURATION, f"{settings} cannot be used ({reason})", "run `armory configure` again")]
    for name in _NAMES:
        findings += _check_writable(name, Path(folders[name]))
    return findings + _check_room(Path(folders["output_dir"]))


def _check_writable(name: str, folder: Path) -> list[Finding]:
    there = _nearest(folder)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return []
    if not there.is_dir():
        return [error(FOLDERS, f"{name} is {folder}, but {there} is a file", "move it, or run `armory configure`")]
    problem, fix = _why_not(there)
    # data and weights that are there already need no room
    level = warning if name in ("dataset_dir", "saved_model_dir", "local_git_dir") and folder.is_dir() else error
    return [level(FOLDERS, f"{name} is {folder}, but {problem}", f"{fix}, or run `armory configure` for other folders")]


def _why_not(folder: Path) -> tuple[str, str]:
    """Why a folder cannot be written to, and what to do about it."""
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"{folder} is on a file system that is mounted read-only", "mount it for writing"
    if folder.stat().st_uid == os.getuid():
        return f"{folder} has no permission to write", f"run `chmod u+wx {folder}`"
    # a container that ran as root leaves such folders behind
    owned = f"you may not write to {folder}, which belongs to {_owner(folder)}"
    return owned, f'run `sudo chown -R "$(id -u)" {folder}`'


def _check_room(output_dir: Path) -> list[Finding]:
    free = shutil.disk_usage(_nearest(output_dir)).free
    if free >= PLENTY:
        return []
    level = warning if free >= SCARCE else error
    fix = f"free {PLENTY / 1e9:.0f} GB for exported videos, or choose another disk with `armory configure`"
    return [level("disk", f"{free / 1e9:.1f} GB are free for results in {output_dir}", fix)]


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())


def _owner(folder: Path) -> str:
    try:
        return folder.owner()
    except KeyError:  # a container's user, which has no name here
        return f"uid {folder.stat().st_uid}"


@cache
def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
