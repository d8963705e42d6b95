"""What a person sees while work goes on: bars on a terminal, plain lines in a pipe, nothing with --quiet."""

import io
import sys

import pytest

from unfreeze.cli import screen as module
from unfreeze.cli.screen import Screen
from unfreeze.progress import say, task


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def streams(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO | None = None) -> tuple[io.StringIO, io.StringIO]:
    """Put a file in the place of stdout, and of stderr too where nothing else is given."""
    stdout, stderr = io.StringIO(), stderr or io.StringIO()
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    return stdout, stderr


def work(seconds_a_step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do six steps of that length."""
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    with task("Reading photos", 6) as advance:
        for _ in range(6):
            clock[0] += seconds_a_step
            advance(1)
    say("half of them are new")
    print("result")


def test_a_pipe_gets_plain_lines_now_and_then(monkeypatch):
    stdout, stderr = streams(monkeypatch)
    with Screen().progress():
        work(15, monkeypatch)
    assert stderr.getvalue().splitlines() == [
        "Reading photos: 2 of 6, about 60 s left",
        "Reading photos: 4 of 6, about 30 s left",
        "half of them are new",
    ]
    assert stdout.getvalue() == "result\n"


def test_short_work_gets_no_line(monkeypatch):
    _, stderr = streams(monkeypatch)
    with Screen().progress():
        work(0.1, monkeypatch)
    assert stderr.getvalue() == "half of them are new\n"


def test_quiet_is_quiet(monkeypatch):
    stdout, stderr = streams(monkeypatch)
    with Screen(quiet=True).progress():
        work(100, monkeypatch)
    assert (stdout.getvalue(), stderr.getvalue()) == ("result\n", "")


def test_with_json_stdout_is_kept_for_the_document(monkeypatch):
    stdout, stderr = streams(monkeypatch)
    screen = Screen(json=True)
    with screen.progress():
        work(0.1, monkeypatch)
        print("{}", file=screen.stdout)
    assert sys.stdout is stdout
    assert stdout.getvalue() == "{}\n"
    assert stderr.getvalue() == "half of them are new\nresult\n"


def test_a_terminal_gets_bars_with_the_time_left(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    stdout, stderr = streams(monkeypatch, stderr=Terminal())
    with Screen().progress():
        with task("Reading photos", 6) as advance:
            advance(2)
            sys.stderr.flush()
        say("half of them are new")
        print("result")
    shown = stderr.getvalue()
    assert "Reading photos" in shown
    assert "2/6" in shown or "0/6" in shown
    assert "-:--:--" in shown  # the time left, not known yet
    assert "half of them are new" in shown
    assert stdout.getvalue() == "result\n"  # a file gets the result and nothing else


def test_stdout_comes_back_after_an_error(monkeypatch):
    stdout, _ = streams(monkeypatch)
    with pytest.raises(ValueError, match="broken"), Screen(json=True).progress():
        raise ValueError("broken")
    assert sys.stdout is stdout
