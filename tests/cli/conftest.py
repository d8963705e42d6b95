"""Calls of `unfreeze` inside the test's process."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

import unfreeze.cli.verbs  # noqa: F401 (registers them)
from unfreeze import backend
from unfreeze.cli.app import app


@dataclass(frozen=True)
class Finished:
    """A call of the command that came to its end."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.stdout)


Call = Callable[..., Finished]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call `unfreeze` with these arguments, in a pipe."""
    monkeypatch.setattr(backend, "_threads", None)
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.setenv(variable, os.environ.get(variable, ""))

    def run(*arguments: object) -> Finished:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], prog_name="unfreeze")
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Finished(result.exit_code, result.stdout, result.stderr)

    return run


def refused(finished: Finished) -> str:
    """Give the message of a call that could not do its job: one, without a traceback, and nothing on stdout."""
    assert finished.code == 1
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    assert finished.stderr.count("unfreeze: ") == 1
    return finished.stderr.partition("unfreeze: ")[2].rstrip("\n")
