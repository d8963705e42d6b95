"""Progress of long work: layers below report it, whoever is on top decides how it looks.

    with task("Reading photos", total=1702) as advance:
        for photo in photos:
            ...
            advance(1)

Without a reporter (the default, as in a script) nothing is shown.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol

Advance = Callable[[int], None]

MEGABYTE = 10**6


class Reporter(Protocol):
    """Shows progress and single lines of news to a person."""

    def task(self, title: str, total: int) -> AbstractContextManager[Advance]:
        """Open a task of `total` steps; the function it gives reports steps done."""
        ...

    def say(self, message: str) -> None:
        """Show one line that a person should not miss."""
        ...


class _Silent:
    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        yield lambda steps: None

    def say(self, message: str) -> None:
        pass


_reporter: ContextVar[Reporter] = ContextVar("reporter")
_SILENT = _Silent()


@contextmanager
def reporting_to(reporter: Reporter) -> Iterator[None]:
    """Send the progress of everything inside the block to `reporter`."""
    token = _reporter.set(reporter)
    try:
        yield
    finally:
        _reporter.reset(token)


def task(title: str, total: int) -> AbstractContextManager[Advance]:
    """Open a task of `total` steps with the current reporter."""
    return _reporter.get(_SILENT).task(title, total)


@contextmanager
def byte_task(title: str, total: int) -> Iterator[Advance]:
    """Open a task of `total` bytes, shown in megabytes; the function it gives reports bytes done."""
    done = 0
    with task(f"{title} (MB)", total // MEGABYTE) as advance:

        def advance_bytes(count: int) -> None:
            nonlocal done
            before, done = done, done + count
            if steps := done // MEGABYTE - before // MEGABYTE:
                advance(steps)

        yield advance_bytes


def say(message: str) -> None:
    """Show one line of news with the current reporter."""
    _reporter.get(_SILENT).say(message)
