"""The container images: what docker/ says of them, and that version, tag, label and configs agree."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest

from armory_skelevision import __version__
from armory_skelevision.evaluation.check.sysconfig import check_image
from armory_skelevision.evaluation.configs import DOCKER_IMAGE, IMAGES, render_configs

ROOT = Path(__file__).parent.parent.parent
DOCKER = ROOT / "docker"
DOCKERFILES = {"gpu": DOCKER / "Dockerfile", "cpu": DOCKER / "Dockerfile.cpu"}
SCRIPTS = sorted([*DOCKER.glob("*.sh"), *(ROOT / "scripts").glob("*.sh")])


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docker_{name}", DOCKER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def instructions(path: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each on one line, without comments."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(words[0], words[1]) for line in joined.splitlines() if (words := line.split(maxsplit=1))]


def of(parts: list[tuple[str, str]], name: str) -> list[str]:
    return [value for found, value in parts if found == name]


def test_tags_come_from_the_version_alone() -> None:
    assert f"armory-skelevision:{__version__}" == IMAGES["gpu"] == DOCKER_IMAGE
    assert IMAGES["cpu"] == f"{DOCKER_IMAGE}-cpu"
    for image in IMAGES.values():
        assert re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", image)
    assert {json.loads(text)["sysconfig"]["docker_image"] for text in render_configs().values()} == {IMAGES["gpu"]}
    # no second place that could fall behind
    for path in [*DOCKER.rglob("*"), *SCRIPTS, ROOT / "Makefile"]:
        if path.is_file() and path.suffix in ("", ".cpu", ".py", ".sh"):
            assert __version__ not in path.read_text(), f"{path} names the version"


def test_check_knows_both_images_and_sees_another_version() -> None:
    for image in IMAGES.values():
        assert check_image(image) == check_image(f"team/{image}") == []
        (finding,) = check_image(image.replace(__version__, "9.9.9"))
        assert finding.level == "error" and finding.key == "sysconfig.docker_image"


@pytest.mark.parametrize("path", DOCKERFILES.values(), ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install -e .[dev]")
    done = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def goes_in(name: str) -> bool:
    """Whether .dockerignore lets a file into the build, by the rule that the last pattern that fits decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        parts = name.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if any(fnmatch(path, pattern) for path in (parts if line.startswith("**/") else above)):
            inside = line.startswith("!")
    return inside


def test_only_the_package_goes_into_a_build() -> None:
    for path in ("armory_skelevision/boxes.py", "armory_skelevision/weights/pretrained/siamrpn_alex_mtl.safetensors"):
        assert goes_in(path)
    for copied in {
        name for path in DOCKERFILES.values() for line in of(instructions(path), "COPY") for name in line.split()[:-1]
    }:
        assert copied.startswith(("--from=", "/opt/venv")) or (goes_in(copied) and (ROOT / copied).exists()), copied
    for path in (
        *(".git/config", ".venv/bin/python", "otb/Crossing/img/0001.jpg", "runs/mine/weights.safetensors", "mine.pth"),
        *("dist/a.whl", "tests/docker/test_images.py", "docker/Dockerfile", ".env", "store/train/a.npy"),
        *("armory_skelevision/__pycache__/boxes.cpython-311.pyc", "armory_skelevision/a/b.pyc"),
    ):
        assert not goes_in(path), path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(path: Path) -> None:
    first, *_ = text = path.read_text().splitlines()
    strict = {"#!/bin/sh": "set -eu", "#!/usr/bin/env bash": "set -euo pipefail"}
    assert strict[first] in text
    assert path.stat().st_mode & 0o111
    shellcheck = shutil.which("shellcheck")
    if shellcheck is not None:
        done = subprocess.run([shellcheck, path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


def test_the_folder_docker_hides_no_package() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import docker; print(docker.__file__)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "site-packages" in done.stdout


class TestBuild:
    build = load("build")

    def test_the_command(self) -> None:
        assert self.build.build_command("cpu", "podman", "abc", True, ["--volume", "a:b"]) == [
            *("podman", "build", "--file", "docker/Dockerfile.cpu", "--tag", f"armory-skelevision:{__version__}-cpu"),
            *("--build-arg", f"VERSION={__version__}", "--build-arg", "COMMIT=abc", "--no-cache"),
            *("--volume", "a:b", "."),
        ]
        for kind, path in DOCKERFILES.items():
            assert f"docker/{path.name}" in self.build.build_command(kind, "docker", "abc", False)

    def test_a_dry_run_builds_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(self.build, "read_commit", lambda: "abc")
        monkeypatch.setattr(self.build.subprocess, "run", lambda *a, **k: pytest.fail("something was run"))
        self.build.main(["--dry-run", "--engine", "docker", "--", "--build-arg", "BASE_IMAGE=a b"])
        gpu, cpu = capsys.readouterr().out.splitlines()
        assert f"--tag {IMAGES['gpu']} " in gpu and f"--tag {IMAGES['cpu']} " in cpu
        assert gpu.endswith("--build-arg 'BASE_IMAGE=a b' .")

    def test_what_cannot_be_is_said(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        with pytest.raises(RuntimeError, match="none of docker, podman, buildah is installed"):
            self.build.main(["gpu", "--dry-run"])
        assert self.build.read_commit() == "unknown"
        with pytest.raises(SystemExit):
            self.build.main(["tpu"])
        assert "there is no image 'tpu'; there are gpu, cpu" in capsys.readouterr().err

    def test_the_commit(self, tmp_path: Path) -> None:
        def git(*words: str) -> str:
            known = ["-c", "user.name=a", "-c", "user.email=a@b"]
            return subprocess.run(
                ["git", *known, *words], cwd=tmp_path, capture_output=True, text=True, check=True
            ).stdout

        assert self.build.read_commit(tmp_path) == "unknown"
        git("init", "--quiet")
        (tmp_path / "file").write_text("a")
        git("add", "file")
        git("commit", "--quiet", "--message", "first")
        assert self.build.read_commit(tmp_path) == git("rev-parse", "HEAD").strip()
        (tmp_path / "file").write_text("b")
        assert self.build.read_commit(tmp_path).endswith("-dirty")


class TestSameNumbers:
    same_numbers = load("same_numbers")

    def results(self, path: Path, **values: object) -> str:
        path.write_text(
            json.dumps({"results": {"benign_mean_iou": [0.5], "compute": {}, "benign_iou": [[0.25], [0.75]]} | values})
        )
        return str(path)

    @pytest.mark.parametrize(
        ("changed", "code"),
        [({}, 0), ({"benign_iou": [[0.25], [0.75009]]}, 0), ({"benign_iou": [[0.25], [0.7502]]}, 1)],
    )
    def test_a_difference_counts(self, tmp_path: Path, changed: dict[str, object], code: int) -> None:
        files = [self.results(tmp_path / "a.json"), self.results(tmp_path / "b.json", **changed)]
        assert self.same_numbers.main(files) == code

    @pytest.mark.parametrize("changed", [{"benign_iou": [[0.25]]}, {"more": 1.0}, {"benign_mean_iou": [float("nan")]}])
    def test_what_is_absent_or_no_number_differs(self, tmp_path: Path, changed: dict[str, object]) -> None:
        whole, other = self.results(tmp_path / "a.json"), self.results(tmp_path / "b.json", **changed)
        assert self.same_numbers.main([whole, other]) == self.same_numbers.main([other, whole]) == 1

    def test_nothing_is_not_the_same(self, tmp_path: Path) -> None:
        empty = self.results(tmp_path / "a.json", benign_iou=[], benign_mean_iou=[])
        with pytest.raises(ValueError, match="without numbers"):
            self.same_numbers.main([empty, empty])
