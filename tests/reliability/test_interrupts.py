"""Ctrl-C and SIGTERM at any moment: the process ends within two seconds and says what is kept and how to go on."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")

MAIN = "import sys; from unfreeze.cli import main; sys.exit(main())"
STUBBORN = """
import sys, time
import unfreeze
def run(*_, **__):
    print("ready", file=sys.stderr, flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass  # as a library that swallows every exception
unfreeze.run = run
from unfreeze.cli import main
main()
"""


def interrupted(code: str, arguments: list[str], number: int, after: float | str) -> tuple[float, int, str]:
    """Send a signal after some seconds, or after a line of stderr that begins so; gives seconds, exit code, stderr."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr
        if isinstance(after, str):
            while not process.stderr.readline().startswith(after):
                assert process.poll() is None
        else:
            time.sleep(after)
        started = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate()
        return time.monotonic() - started, process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_code_that_swallows_exceptions_is_stopped_too(number):
    seconds, code, stderr = interrupted(STUBBORN, ["run", "demo"], number, "ready")
    assert seconds < 2
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert stderr.splitlines()[-1].endswith("half a minute ago; the same call goes on from there.")


@pytest.mark.slow
def test_at_any_moment(solar_cells, tmp_path, monkeypatch):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\ndata: {image_size: 64}\nexperiments: {model: {unfreeze: 10, epochs: 3}}\n")
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    draw, seconds = random.Random(0), []
    for trial in range(16):
        number = draw.choice([signal.SIGINT, signal.SIGTERM])
        arguments = ["run", str(recipe), "--data", str(solar_cells), "--out", str(tmp_path / f"out{trial}")]
        took, code, stderr = interrupted(MAIN, arguments, number, draw.uniform(1.5, 20))
        if code == 0:
            continue  # it was done before
        seconds.append(took)
        assert code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], stderr
        assert "the same call goes on from there." in stderr.splitlines()[-1], stderr
        assert "Traceback" not in stderr
    print(f"{len(seconds)} interrupts, the slowest took {max(seconds):.2f} s")
    assert len(seconds) >= 8
    assert max(seconds) < 2
