"""Every command in README and guides is run here, or parsed by its real parser."""

import argparse
import ast
import importlib
import json
import pydoc
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from handmade_results import make_config, make_frames, make_results, write_result
from PIL import Image

from armory_skelevision.cli import app
from armory_skelevision.evaluation.configs import format_config

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docker/README.md", "town/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

# Commands that are parsed but not run, by how they begin, and why.
ONLY_PARSED = {
    "armory run": "an evaluation takes minutes; tests/integration and tests/examples/test_own.py run them",
    "skelevision train": "a training takes hours; tests/training run short ones",
    "skelevision weights average": "needs trained weights; tests/weights/test_averaging.py",
    "skelevision sweep sweep_configs/walkers.json --out results/walkers --jobs 2": "20 evaluations; tests/sweeps",
    "skelevision sweep sweep_configs/keypoints.json --out results/keypoints": "24 evaluations; tests/sweeps",
    "skelevision report results/keypoints --out report": "a report of those; tests/results",
    "skelevision data": "downloads, or cuts what was downloaded; tests/datasets, tests/training/test_real_crops.py",
    "skelevision track": "needs a video; tests/cli/test_track.py",
    "skelevision submit": "needs a bundle and a suite; tests/submission",
    "skelevision sweep sweep_configs/table": "needs trained trackers and a GPU, or real videos; tests/sweeps",
    "skelevision claims": "renews a page of this repository; tests/claims",
    "skelevision leaderboard": "measures for hours, or renews a page of this repository; tests/leaderboard",
    "python -m benchmarks.": "minutes to hours; tests/benchmarks call what they are made of",
    "python -m experiments.": "hours; tests/experiments call what they are made of",
    "python -m scripts.cut_out_people": "needs masks; tests/project/test_labels.py",
    "python -m scripts.split_coco": "needs annotations; tests/project/test_labels.py",
    "python -m scripts.label": "needs networks of others; tests/project/test_labels.py",
    "python docker/": "builds images; tests/docker/test_images.py",
    "python -m skelevision_town": "renders, by Blender; town/tests/test_render.py, town/tests/test_cutouts.py",
    "python -m pytest": "is what runs this",
    "make": "sets up environments and runs this",
    "pip": "installs; scripts/try_wheel.sh",
    "source": "changes the reader's shell",
    "cp": "copies what a training made",
}
RUN = (
    "skelevision check scenario_configs/walkers_mtl_patch.json",
    "skelevision check examples/own/config.json",
    "skelevision check mine.json",
    "skelevision summary RESULT.json",
    "skelevision report RUN… --out report",
    "skelevision compare A B --expect model",
    "skelevision export RUN --format got10k --out results/GOT-10k",
    "skelevision export-attacked RUN --layout otb --out attacked",
    "skelevision sweep sweep_configs/walkers.json --out results/walkers --dry-run",
)
READERS_FILES = {
    *("mine.json", "spring.json", "RESULT.json", "SETTINGS.json", "GRID.json", "config.json", "manifest.json"),
    *("boxes.json", "ranking.json", "result.json", "run.json", "runs.json", "grid.json", "000.json"),
    *("keypoints.json", "person_keypoints_train.json", "person_keypoints_val.json"),
    *("OTB.json", "source.json"),
}
"""Files that the reader writes, or that a command makes."""
CONFIG_FOLDERS = ("scenario_configs", "sweep_configs", "training_configs")
FOLDERS = (*CONFIG_FOLDERS, "benchmarks", "claims", "docker", "docs", "examples", "experiments", "scripts", "tests")
"""Folders of the repository in which commands name files."""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    language: str
    text: str


def read_pages() -> list[tuple[str, str]]:
    return [(str(page.relative_to(ROOT)), page.read_text(encoding="utf-8")) for page in PAGES]


def find_blocks(language: str) -> list[Block]:
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = [Block(name, *match) for name, text in read_pages() for match in fence.findall(text)]
    return [block for block in found if (block.language or "sh") == language]


def find_inline() -> list[tuple[str, str]]:
    """Inline code, with its page."""
    texts = [(name, re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)) for name, text in read_pages()]
    return [(name, " ".join(code.split())) for name, text in texts for code in re.findall(r"`([^`]+)`", text)]


def expand(script: str) -> list[list[str]]:
    """The commands of a shell script with loops and variables expanded, by a real shell that runs none of them."""
    record = r"""record() { printf '%s\x1f' "$@"; printf '\x1e'; }
        command_not_found_handle() { record "$@"; }
        source() { record source "$@"; }
        .venv/bin/python() { record python "$@"; }
        .venv-town/bin/python() { record python "$@"; }
        .venv-town/bin/skelevision() { record skelevision "$@"; }
        PATH=/nowhere
        """
    shell = ["/bin/bash", "--norc", "-eu", "-c", record + script]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [command.split("\x1f")[:-1] for command in done.stdout.split("\x1e")[:-1]]


COMMANDS = sorted({(block.page, shlex.join(argv)) for block in find_blocks("sh") for argv in expand(block.text)})
PROGRAMS = (
    *("armory run ", "make ", "skelevision ", "python docker/", "python examples/"),
    *("python -m benchmarks.", "python -m examples.", "python -m experiments."),
)
INLINE = sorted({(page, code) for page, code in find_inline() if code.startswith(PROGRAMS)})


def unquote(command: str) -> str:
    return " ".join(shlex.split(command))


class ParsedError(Exception):
    """The parser accepted the command, which would run from here on."""


class MissingError(Exception):
    """A required argument is missing; those that are given are right."""


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bool], None]:
    """Parse a command by the parser of its program; a mention in a sentence may omit arguments."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> argparse.Namespace:
        namespace = original(self, *args, **kwargs)
        if self.prog == "armory":  # whose first parser only finds the second
            return namespace
        raise ParsedError

    def error(self: argparse.ArgumentParser, message: str) -> None:
        raise MissingError(message) if "are required: " in message else AssertionError(message)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr(argparse.ArgumentParser, "error", error)
    monkeypatch.setattr(typer.core.TyperCommand, "invoke", lambda self, context: None)

    def parse_command(command: str, is_mention: bool = False) -> None:
        try:
            parse_whole(command)
        except MissingError:
            if not is_mention:
                raise

    def parse_whole(command: str) -> None:
        program, *arguments = shlex.split(command)
        if program == "skelevision":
            parse_ours(arguments)
        elif program == "make":
            check_targets(arguments)
        elif program == "armory":
            from armory.__main__ import main

            run_to_the_parser(main, ["armory", *arguments], monkeypatch)
        elif program == "python" and arguments[0] == "-m":
            if arguments[1] != "pytest":
                parse_module(arguments, monkeypatch)
        elif program == "python":
            monkeypatch.syspath_prepend(str((ROOT / arguments[0]).parent))
            run_to_the_parser(
                lambda: runpy.run_path(str(ROOT / arguments[0]), run_name="__main__"), arguments, monkeypatch
            )
        else:
            assert program in ONLY_PARSED, f"no parser is known for {program}"

    return parse_command


def parse_ours(arguments: list[str]) -> None:
    try:
        typer.main.get_command(app).main(arguments, "skelevision", standalone_mode=False)
    except Exception as error:
        if type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError"):
            raise MissingError(str(error)) from error
        raise AssertionError(f"{type(error).__name__}: {error}") from error


def parse_module(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "town"))
    module = importlib.import_module(arguments[1])
    run_to_the_parser(lambda: runpy.run_path(str(module.__file__), run_name="__main__"), arguments[1:], monkeypatch)


def run_to_the_parser(call: Callable[[], Any], arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    try:
        call()
    except ParsedError:
        return
    except SystemExit as stop:
        raise AssertionError(f"the parser refused it, exit code {stop.code}") from stop
    raise AssertionError("the program went past its parser")


def check_targets(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z -]+):(?!=)", makefile, re.MULTILINE))
    known = {name for line in targets for name in line.split()}
    variables = set(re.findall(r"\$\((\w+)\)", makefile))
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        assert name in (variables if equals else known), f"the Makefile has no {name}"


def check_files(command: str) -> None:
    for argument in shlex.split(command):
        path = argument.rpartition("=")[2]
        if path.split("/")[0] in FOLDERS and "/" in path:
            assert (ROOT / path).exists(), f"there is no {path}"
        elif path.endswith(".json") and "/" not in path:
            assert path in READERS_FILES, f"{path} is neither in the repository nor known as the reader's"


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_parse_and_name_existing_files(
    page: str, command: str, parse: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parse(command)
    check_files(command)
    plain = unquote(command)
    assert plain in RUN or any(plain.startswith(start) for start in ONLY_PARSED), (
        "run it here, or give the reason in ONLY_PARSED"
    )


@pytest.mark.parametrize(("page", "command"), INLINE)
def test_inline_commands_parse_and_name_existing_files(page: str, command: str, parse: Callable[..., None]) -> None:
    parse(command, True)
    check_files(command)


def test_lists_of_commands_are_up_to_date() -> None:
    plain = [unquote(command) for _, command in COMMANDS]
    assert [start for start in ONLY_PARSED if not any(command.startswith(start) for command in plain)] == []
    assert sorted(set(RUN) - set(plain)) == []


@pytest.fixture
def readers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the repository, a config, and results of two runs."""
    for name in FOLDERS:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "mine.json").write_text(format_config(make_config("mtl")))
    for name, model, found in (("A", "stl", 0.2), ("B", "mtl", 0.4)):
        write_result(tmp_path / name, make_results((0.7, 0.8), (found, found)), make_config(model))
    write_result(tmp_path / "RESULT.json", make_results((0.7, 0.8), (0.2, 0.4)), make_config("mtl"))
    write_result(tmp_path / "RUN…", make_results((0.7, 0.8), (0.2, 0.4)), make_config("mtl"))
    frames = make_frames((1.0, 0.5)) | make_frames((1.0, 0.25), side="adversarial")
    write_result(tmp_path / "RUN", make_results((0.5,), (0.25,), **frames, video_sizes=[[40, 30]]), make_config("mtl"))
    samples = tmp_path / "saved_samples" / "batch_0_ex_0_scenario.x_adv"
    samples.mkdir(parents=True)
    for number in range(2):
        Image.new("RGB", (40, 30)).save(samples / f"{samples.name}_frame_{number:04d}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


PRINTS = {
    "check": r"^no errors, .* 1 config checked$",
    "summary": r"benign mIoU 0\.75  adversarial mIoU 0\.30",
    "report": r"report/index\.html",
    "export": r"siamrpn_mtl-attacked: 1 sequence  AO 0\.250000",
    "export-attacked": r"^attacked: 1 sequence, 2 frames$",
    "compare": r"adversarial .* 0\.200 +0\.400 +\+0\.200",
    "sweep": r"\b20\b",
}


@pytest.mark.parametrize("command", RUN)
def test_cheap_commands_run(command: str, readers_folder: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    _, *arguments = shlex.split(command)
    code, out, err = run(*arguments)
    assert (code, err) == (0, ""), out
    assert re.search(PRINTS[arguments[0]], out, re.MULTILINE), out


def find_names(value: Any) -> Iterator[tuple[str, str]]:
    """Module and name of every section of a config."""
    if isinstance(value, dict):
        if {"module", "name"} <= value.keys():
            yield value["module"], value["name"]
        for inner in value.values():
            yield from find_names(inner)


@pytest.mark.parametrize("block", find_blocks("json"), ids=lambda block: f"{block.page}-{len(block.text)}")
def test_json_parses_and_names_existing_objects(block: Block) -> None:
    text = block.text if block.text.startswith("{") else "{" + block.text + "}"
    for module, name in find_names(json.loads(text)):
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


@pytest.mark.parametrize("block", find_blocks("python"), ids=lambda block: f"{block.page}-{len(block.text)}")
def test_python_imports_existing_names(block: Block) -> None:
    imports = [node for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_docstrings_named_in_guides_exist() -> None:
    names = [code.removeprefix("python -m pydoc ") for _, code in find_inline() if code.startswith("python -m pydoc ")]
    assert names
    assert [name for name in names if pydoc.locate(name) is None] == []


def test_configs_named_in_guides_exist() -> None:
    have = {path.name for folder in CONFIG_FOLDERS for path in (ROOT / folder).rglob("*.json")}
    named = {code for _, code in find_inline() if code.endswith(".json") and " " not in code}
    named = {code for code in named if Path(code).name not in READERS_FILES}
    assert len(named) > 10
    for code in named:
        for name in expand(f"set -f; list {code}")[0][1:]:
            path = Path(name)
            if len(path.parts) > 1 and path.parts[0] in FOLDERS:
                assert list(ROOT.glob(name)), f"there is no {name}"
            else:
                assert any(fnmatch(known, path.name) for known in have), f"there is no {name}"
