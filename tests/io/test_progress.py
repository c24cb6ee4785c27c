import io
import sys

import pytest

from armory_skelevision.io import progress

MODULE = sys.modules[progress.__module__]  # the function hides its module


class Stream(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def redirect(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> Stream:
    stream = Stream(terminal)
    monkeypatch.setattr("sys.stderr", stream)
    return stream


def test_a_pipe_gets_lines_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = redirect(monkeypatch, terminal=False)
    monkeypatch.setattr(MODULE, "INTERVAL", 1e-9)
    with progress(total=4, initial=1, desc="Training", unit="step") as bar:
        for _ in range(3):
            bar.update()
        bar.set_postfix(loss=0.5)
    lines = pipe.getvalue().splitlines()
    assert lines[0].startswith("Training: 2 of 4, ") and lines[0].endswith(" left")
    assert lines[-1].endswith("left, loss=0.5")
    assert "\r" not in pipe.getvalue() and all(lines)


def test_what_is_short_writes_nothing_to_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = redirect(monkeypatch, terminal=False)
    assert list(progress(range(3), "Reading")) == [0, 1, 2]
    assert pipe.getvalue() == ""


def test_lines_are_counted_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = redirect(monkeypatch, terminal=False)
    now = [0.0]
    bar = progress(total=100, desc="Training")
    bar._time = lambda: now[0]
    bar.start_t = bar.last_print_t = 0.0
    for now[0] in range(1, 181):
        bar.update(0.5)
    assert [line.split(",")[0] for line in pipe.getvalue().splitlines()] == [
        f"Training: {done:.1f} of 100" for done in (30, 60, 90)
    ]


def test_a_terminal_gets_a_bar_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = redirect(monkeypatch, terminal=True)
    list(progress(range(3), "Reading"))
    assert "Reading: " in stream.getvalue() and "%|" in stream.getvalue()
    assert stream.getvalue().endswith("\r")
