"""`unfreeze serve`: what it says, and calls that can't be served."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.cli.conftest import refused
from unfreeze.inference import serve


@pytest.fixture
def run(series):
    return series / "experiments" / "model_0" / "seed-0"


def test_no_run(call, tmp_path):
    assert refused(call("serve", tmp_path / "nowhere")).startswith(f"There is no run {tmp_path / 'nowhere'}.")


def test_a_port_that_is_taken(call, run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(call("serve", run, "--port", port))
    assert said.startswith(f"The page can't listen on 127.0.0.1, port {port} (")
    assert said.endswith("Name another one with --port.")


def test_a_host_that_is_not_this_machine(call, run):
    assert "can't listen on 192.0.2.1, port 7860 to 7879" in refused(call("serve", run, "--host", "192.0.2.1"))


def test_without_gradio(call, run, monkeypatch):
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None)
    said = refused(call("serve", run))
    assert said == "The page needs Gradio, which is not installed: pip install 'unfreeze[serve]'."


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_no_port(call, run, port):
    assert call("serve", run, "--port", port).code == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_call_answers_and_ends_in_order(run, number):
    code = "import sys; from unfreeze.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "serve", str(run), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        lines = [process.stdout.readline() for _ in range(3)]
        address = json.loads("".join(lines))["address"]
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"unfreeze" in answer.read()
        process.send_signal(number)
        assert process.wait(60) == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
        assert "Traceback" not in process.stderr.read()
