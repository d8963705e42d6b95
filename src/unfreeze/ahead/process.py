"""Frozen layers that run ahead of training, on what the processor has left.

Building, tracing, saving and drawing keep one core busy, and training leaves gaps. Meanwhile a process of the lowest
priority runs the frozen layers of experiments still to come:

    with running_ahead() as ahead:
        ahead.give(fillings)
        ...
        with paused():      # whoever needs rows opens the stores anew here, and computes what is not there yet
            ...
"""

import os
import pickle
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate
from typing import Any

from unfreeze.ahead.filling import Filling
from unfreeze.backend import threads_are_limited
from unfreeze.progress import say

WORTHWHILE = 1000
"""Photos and views from which on a process of its own is started; it takes a third of a second and 150 MB."""

PATIENCE = 3.0
"""Seconds in which it has to come to an end of what it is at, which is a tenth of one. Where other processes leave the
processor no time at all, it is given up."""

ENDED = "its process ended"
COMMAND = [sys.executable, "-P", "-m", "unfreeze.ahead.worker"]  # modules in the folder it is called in don't count

_running: "Ahead | None" = None


class Ahead:
    """The process, from the first work that is worth it on."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._order: bytes | None = None
        self._works = False

    def give(self, fillings: Sequence[Filling]) -> None:
        """Let it work on these in place of what it had before, in their order, from the end of the next pause on."""
        if threads_are_limited() or not hasattr(os, "nice") or not _is_worth_it(fillings):
            return
        self._stop()
        self._order = pickle.dumps(pickle.dumps(list(fillings)))
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError as error:
                self._give_up(str(error))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let it finish what it is at; inside the block it does nothing, afterwards it goes on."""
        self._stop()
        yield
        if self._process and self._order:
            self._works = True
            self._send(self._order)

    def close(self) -> None:
        """End the process."""
        process, self._process, self._works = self._process, None, False
        if not process:
            return
        assert process.stdin
        assert process.stdout
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _stop(self) -> None:
        if self._works:
            self._works = False
            self._send(pickle.dumps(None))
            if problem := self._answer():
                self._give_up(problem)

    def _send(self, message: bytes) -> None:
        try:
            assert self._process
            assert self._process.stdin
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except OSError:
            self._give_up(ENDED)

    def _answer(self) -> Any:
        if not self._process:
            return None
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            return "the processor has no time left"
        try:
            return pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            return ENDED

    def _give_up(self, problem: str) -> None:
        """Go on without: nothing is lost but time."""
        say(f"Frozen layers don't run ahead: {problem}")
        self.close()


def _is_worth_it(fillings: Sequence[Filling]) -> bool:
    """Count what is missing, no further than needed: there may be millions."""
    sizes = (len(photos) for filling in fillings for _, photos in filling.missing())
    return any(count >= WORTHWHILE for count in accumulate(sizes, initial=0))


@contextmanager
def running_ahead() -> Iterator[Ahead]:
    """Give a process that may run frozen layers ahead inside the block."""
    global _running
    before, _running = _running, Ahead()
    try:
        yield _running
    finally:
        _running.close()
        _running = before


@contextmanager
def paused() -> Iterator[None]:
    """Pause what runs ahead, if anything does; all that it computed can be read then."""
    if _running is None:
        yield
        return
    with _running.paused():
        yield
