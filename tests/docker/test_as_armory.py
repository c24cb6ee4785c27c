"""ARMORY's Docker mode with buildah in Docker's place: what it asks for is what the container gets."""

import base64
import importlib.util
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.evaluation.configs import DOCKER_IMAGE, build_config, format_config

pytestmark = pytest.mark.filterwarnings("ignore")  # what ARMORY and Docker's client say on import

SOURCE = Path(__file__).parent.parent.parent / "docker" / "as_armory.py"

# Writes down its arguments and does as a container would: stays up by the first command, says something by the second.
FAKE = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
case $1 in
    from) echo box ;;
    inspect) echo "$IMAGE" ;;
    run) case "$*" in *"tail -f /dev/null") [ -z "$STAYS" ] || exec sleep 60 ;; *) echo "$SAYS" ;; esac ;;
esac
"""


class Stage:
    """A machine with that buildah, and what came of `armory run` on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        program = folder / "bin" / "buildah"
        program.parent.mkdir()
        program.write_text(FAKE)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.config = folder / "config.json"
        self.config.write_text(format_config(build_config("walkers", "mtl")))
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.setenv("CALLS", str(folder / "calls"))
        monkeypatch.setattr(os, "chown", lambda *_: None)
        monkeypatch.chdir(folder)
        self._monkeypatch = monkeypatch

    def run(self, *options: str, says: str = "", stays: bool = True, image: dict[str, Any] | None = None) -> int:
        from armory.docker import management
        from armory.eval import Evaluator

        # the script changes both for good
        self._monkeypatch.setattr(management.docker, "from_env", management.docker.from_env)
        self._monkeypatch.setattr(Evaluator, "get_id", Evaluator.get_id)
        self._monkeypatch.setenv("SAYS", says)
        self._monkeypatch.setenv("STAYS", "1" if stays else "")
        self._monkeypatch.setenv("IMAGE", json.dumps({"OCIv1": {"config": image or {}}}))
        spec = importlib.util.spec_from_file_location("as_armory", SOURCE)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.main([str(self.config), *options])

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_the_container_is_the_one_that_armory_asks_for(stage: Stage) -> None:
    import armory

    assert stage.run("--num-eval-batches", "1", says=armory.END_SENTINEL) == 0
    calls = stage.calls()
    assert calls[1] == f"from --pull-never {DOCKER_IMAGE}"
    staying, evaluating = sorted(
        (call for call in calls if call.startswith("run ")), key=lambda call: "tail" not in call
    )
    inside = ("datasets", "git", "outputs", "saved_models", "tmp")
    places = {str(stage.folder): "/workspace"} | {
        f"{stage.folder}/.armory/{name}": f"/armory/{name}" for name in inside
    }
    for call in (staying, evaluating):
        words = call.split(" -- ")[0].split()
        assert words[:3] == ["run", "--user", "1234:1234"]
        assert sorted(word for word in words if word.startswith("--volume=")) == sorted(
            f"--volume={host}:{place}:rw" for host, place in places.items()
        )
        assert "--env=HOME=/tmp" in words and f"--env=ARMORY_VERSION={armory.__version__}" in words
        assert "--env=TORCH_HOME=/armory/saved_models/pytorch" in words
    assert staying.endswith(" -- tail -f /dev/null")
    command = evaluating.split(" -- ")[1:]
    program, encoded, options = " -- ".join(command).removeprefix("python -m ").split(" ", 2)
    assert (program, options) == ("armory.scenarios.main", "--num-eval-batches 1 --base64")
    assert json.loads(base64.b64decode(encoded))["model"] == build_config("walkers", "mtl")["model"]
    assert calls[-1] == "rm box"


def test_without_its_last_line_an_evaluation_has_failed(stage: Stage) -> None:
    assert stage.run(says="all went well") == 1
    assert stage.calls()[-1] == "rm box"


def test_an_entry_point_is_obeyed_as_docker_would(stage: Stage) -> None:
    stage.run(image={"Entrypoint": ["/start.sh", "--now"]})
    assert any(call.endswith(" -- /start.sh --now tail -f /dev/null") for call in stage.calls())


def test_a_container_that_does_not_stay_up_is_told(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match="the container ended by itself"):
        stage.run(stays=False)


def test_no_gpu_is_promised(stage: Stage) -> None:
    with pytest.raises(RuntimeError, match="no runtime 'nvidia' here"):
        stage.run("--use-gpu")
