"""Run tests against each fault that mutmut makes of the package: what `mutation` starts in the copy of a checkout.

mutmut starts and collects pytest anew for each fault. Here one process collects the tests once, and runs those that
reach a fault's function in a fork of itself, beginning with the ones that found its other faults: ten times as fast.
"""

from __future__ import annotations

import gc
import importlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from _pytest.runner import runtestprotocol

ACTIVE = "MUTANT_UNDER_TEST"
"""The environment variable by which mutmut's functions know which of them is to be faulty."""

MAX_MEMORY = 12 * 10**9
"""Bytes of address space: a fault may switch off the check that refuses more."""

FORK = multiprocessing.get_context("fork")


class Visit(NamedTuple):
    """What a test does without any fault."""

    passed: bool
    functions: set[str]
    """Those that it calls, by mutmut's names."""
    modules: set[str]
    """Those of the package that it imports."""
    seconds: float


class Faults:
    """A pytest plugin that runs no test as such, but all of them against each fault.

    Args:
        names: The faults.
        out: Where a line for each goes: what became of it, and its name.
    """

    def __init__(self, names: list[str], out: Path) -> None:
        self.names, self.out = names, out

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Find out which tests reach which function, and run them against its faults."""
        visits = {item: in_fork(partial(visit, item), 600) for item in session.items}
        if wrong := [item.nodeid for item, seen in visits.items() if seen is None or not seen.passed]:
            raise pytest.UsageError(f"without any fault fail {', '.join(wrong)}")
        for module in sorted(set().union(*(seen.modules for seen in visits.values()))):
            importlib.import_module(module)
        gc.freeze()
        finds: Counter[tuple[str, pytest.Item]] = Counter()
        with self.out.open("w", encoding="utf-8") as out:
            for name in self.names:
                function = name.rpartition("__mutmut_")[0]
                tests = [item for item, seen in visits.items() if function in seen.functions]
                order = {item: (-finds[function, item], visits[item].seconds) for item in tests}
                tests.sort(key=order.__getitem__)
                limit = 10 + 5 * sum(visits[item].seconds for item in tests)
                found = in_fork(partial(find, name, tests), limit) if tests else "no tests"
                if isinstance(found, int):
                    finds[function, tests[found]] += 1
                    found = "killed"
                print(found or "timeout", name, sep="\t", file=out, flush=True)
        return True


def in_fork(work: Callable[[], Any], seconds: float) -> Any:
    """What a function returns in a fork of this process; None if that ends, or takes longer than it may."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run() -> None:
        os.setsid()
        os.environ["HOME"] = tempfile.mkdtemp(dir=os.environ["HOME"])  # nothing is left for the next one
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        sender.send(work())

    process = FORK.Process(target=run)
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(seconds) else None
    except EOFError:
        return None
    finally:
        receiver.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid or 0, signal.SIGKILL)  # and what it has started
        process.kill()
        process.join()


def visit(item: pytest.Item) -> Visit:
    """Run a test without any fault."""
    from mutmut.mutation import trampoline

    functions: set[str] = set()
    trampoline.record_trampoline_hit = lambda name, caller=None: functions.add(name)
    os.environ[ACTIVE] = "stats"
    begin = time.monotonic()
    passed = passes(item, None)
    modules = {name for name in sys.modules if name.partition(".")[0] == "armory_skelevision"}
    return Visit(passed, functions, modules, time.monotonic() - begin)


def find(name: str, tests: list[pytest.Item]) -> int | str:
    """Which test is the first to find a fault; "survived" if none does."""
    os.environ[ACTIVE] = name
    following = [*tests[1:], None]
    pairs = enumerate(zip(tests, following, strict=True))
    return next((number for number, (item, after) in pairs if not passes(item, after)), "survived")


def passes(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Whether a test passes or is skipped; fixtures that the following one shares are kept."""
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=following))


def make_faults() -> None:
    """Write the package with all faults to ``mutants``, as mutmut does first of all."""
    from mutmut import __main__ as mutmut

    Path("mutants").mkdir()
    mutmut.set_mutant_under_test("mutant_generation")
    with open(os.devnull, "w", encoding="utf-8") as quiet, redirect_stdout(quiet):
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.create_mutants(1)


def run_tests(job: int, jobs: int, tests: list[str]) -> int:
    """Run tests against every ``jobs``-th fault, from ``mutants``, and write ``job``.txt there; pytest's exit code."""
    names: list[str] = []
    for path in sorted(Path("armory_skelevision").rglob("*.meta")):
        names += json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    os.environ[ACTIVE] = ""
    options = ["-q", "-m", "not slow and not fuzz", "-p", "no:cacheprovider", "--tb=native", "--assert=plain"]
    plugin = Faults(names[job::jobs], Path(f"{job}.txt"))
    return int(pytest.main([*options, f"--basetemp=tests-{job}", *tests], plugins=[plugin]))
