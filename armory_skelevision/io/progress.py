"""Progress for people and for logs: a bar on a terminal, a line a minute where output goes to a file or a pipe."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from typing import Any

from tqdm import tqdm

INTERVAL = 60.0
"""Seconds between lines where there is no terminal; nothing shorter writes any."""

_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed} elapsed, {remaining} left{postfix}"


def progress(items: Iterable[Any] | None = None, desc: str = "", **options: Any) -> tqdm:
    """A tqdm bar on stderr, to iterate over or to `update`; without a terminal a line a minute, with the time left.

    Args:
        items: What to iterate over; None for a bar that is updated by hand.
        desc: What is being done.
        options: Further arguments of `tqdm`, such as ``total``, ``initial``, ``unit``; by default the bar vanishes
            when it is done.
    """
    if sys.stderr.isatty():
        return tqdm(items, desc, **{"leave": False, **options})
    return _Lines(items, desc, **options, mininterval=INTERVAL, delay=INTERVAL, miniters=1, bar_format=_LINE)


class _Lines(tqdm):  # type: ignore[misc]
    """A bar that is a line of its own whenever it is shown."""

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        def write(line: str) -> None:
            file.write(" ".join(line.split()) + "\n")
            file.flush()

        return write

    def moveto(self, n: int) -> None:
        pass  # a bar within a bar has lines of its own, too

    def close(self) -> None:
        self.delay = math.inf  # nothing to wipe out at the end
        super().close()
