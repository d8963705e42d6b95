"""What a person sees: bars on a terminal, plain lines in a pipe, nothing with --quiet."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from unfreeze.progress import Advance, reporting_to

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN_SECONDS = 20.0
"""Least time between two plain lines of one task."""


@dataclass
class Screen:
    """How this call wants its output; verbs read it, options set it.

    Attributes:
        json: one document on stdout, all else on stderr.
        quiet: no progress.
        debug: errors with a traceback.
        kept: what an interrupt leaves, for whoever says so.
        is_over: the last word is said.
        stdout: where documents go.
    """

    json: bool = False
    quiet: bool = False
    debug: bool = False
    kept: str = ""
    is_over: bool = False
    stdout: TextIO = field(default_factory=lambda: sys.stdout)

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show the progress of everything inside the block on stderr; with --json prints go there too."""
        kept = sys.stdout
        if self.json:
            self.stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            if self.quiet:
                yield
            elif sys.stderr.isatty():
                with _bars() as bars, reporting_to(_Bars(bars)):
                    yield
            else:
                with reporting_to(_Lines()):
                    yield
        finally:
            sys.stdout = kept
            kept.flush()  # now, while a broken pipe can still be dealt with


screen = Screen()


def _bars() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Bars would draw what goes to stdout on stderr, above themselves: wrong if stdout is a file or a pipe.
    shared = sys.stdout.isatty()
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared)


class _Bars:
    """Bars with the time left."""

    def __init__(self, bars: "Progress"):
        self._bars = bars

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        number = self._bars.add_task(title, total=total)
        try:
            yield lambda steps: self._bars.advance(number, steps)
        finally:
            self._bars.remove_task(number)
            self._bars.refresh()

    def say(self, message: str) -> None:
        self._bars.console.print(message, highlight=False, markup=False)


class _Lines:
    """A line when a task starts to take long, and every now and then after."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        started = shown = time.monotonic()
        done = 0

        def advance(steps: int) -> None:
            nonlocal done, shown
            done += steps
            now = time.monotonic()
            if now - shown >= PLAIN_SECONDS and done < total:
                shown = now
                left = (now - started) / done * (total - done)
                self.say(f"{title}: {done} of {total}, about {left:.0f} s left")

        yield advance

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)
