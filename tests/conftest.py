"""What all tests share: a home of their own, one thread each, no network, and the real data where it is at hand."""

import json
import os
import runpy
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# `make fuzz` sets HYPOTHESIS_PROFILE=fuzz; tests marked so leave the number of examples to the profile.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=5000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

_HOME = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # Before anything is imported: ARMORY, ART and Keras write to the home folder, OpenMP reads its threads once.
    home = tempfile.mkdtemp(prefix="home-of-tests-")
    config.stash[_HOME] = home
    os.environ.update(HOME=home, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _HOME in config.stash:
        shutil.rmtree(config.stash[_HOME], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What takes longest begins first, so that no worker is left alone with it at the end.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    # Each worker takes tests that follow each other, which share their modules' fixtures, and helps who is behind.
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    connect = socket.socket.connect

    def connect_nearby(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and str(address[0]) not in ("127.0.0.1", "::1", "localhost"):  # type: ignore[index]
            raise OSError(f"tests run without network; something wanted to reach {address}")
        connect(self, address)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", connect_nearby)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real data; a test that asks for it is skipped where there is none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `skelevision` in this process; gives its exit code, stdout and stderr."""
    from armory_skelevision import cli

    def run_command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            cli.app([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run_command


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[list[str], Any]]:
    """Run a benchmark or an experiment in this process; gives the table and the JSON that it prints."""

    def run_script(name: str, *options: object) -> tuple[list[str], Any]:
        monkeypatch.setattr(sys, "argv", [name, "--json", *map(str, options)])
        runpy.run_module(name, run_name="__main__")
        *table, last = capsys.readouterr().out.splitlines()
        return table, json.loads(last)

    return run_script
