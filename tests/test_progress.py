"""Progress goes to whoever listens, and to nobody by default."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from unfreeze.progress import Advance, reporting_to, say, task


class Notes:
    """A reporter that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        self.lines.append(f"{title} {total}")
        yield lambda steps: self.lines.append(f"+{steps}")
        self.lines.append("done")

    def say(self, message: str) -> None:
        self.lines.append(message)


def work() -> None:
    with task("Reading", total=3) as advance:
        advance(2)
    say("news")


def test_without_a_reporter_nothing_is_shown(capfd):
    work()
    assert capfd.readouterr() == ("", "")


def test_the_innermost_reporter_hears_it_and_only_inside_its_block():
    outer, inner = Notes(), Notes()
    with reporting_to(outer):
        with reporting_to(inner):
            work()
        assert outer.lines == []
        say("after")
    work()
    assert inner.lines == ["Reading 3", "+2", "done", "news"]
    assert outer.lines == ["after"]


def test_a_failing_block_stops_the_reporting():
    notes = Notes()
    with pytest.raises(ValueError, match="broken"), reporting_to(notes):
        raise ValueError("broken")
    say("unheard")
    assert notes.lines == []


def test_a_thread_of_somebody_else_is_not_disturbed():
    notes = Notes()
    with reporting_to(notes):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert notes.lines == []
