"""What all verbs have in common: help, version, options, exit codes, and how errors are shown."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import unfreeze
import unfreeze.cli.verbs  # (registers them)
from tests.cli.conftest import refused
from unfreeze.backend import thread_count
from unfreeze.cli.app import Terminated, app
from unfreeze.data.check import Check
from unfreeze.errors import DataError

VERBS = [command.callback.__name__ for command in app.registered_commands if command.callback]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `unfreeze check` fail with this error."""

    def fail_with(error: BaseException) -> None:
        def check(data: str) -> None:
            raise error

        monkeypatch.setattr(unfreeze, "check", check, raising=False)

    return fail_with


def test_help_lists_the_verbs_in_order(call):
    finished = call("--help")
    assert finished.code == 0
    listed = [line.split()[0] for line in finished.stdout.partition("Commands:\n")[2].split("\n\n")[0].splitlines()]
    assert listed == VERBS
    assert listed[:7] == ["check", "plan", "run", "train", "compare", "show", "predict"]
    assert "Start with `unfreeze run demo`" in finished.stdout


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_with_an_example(call, name):
    finished = call(name, "--help")
    assert finished.code == 0
    assert f"Usage: unfreeze {name} [OPTIONS]" in finished.stdout
    assert f"Example: unfreeze {name}" in " ".join(finished.stdout.split())
    for option in ("--json", "--quiet", "--threads", "--debug", "--version"):
        assert option in finished.stdout


@pytest.mark.parametrize("arguments", [["--version"], *([name, "--version"] for name in VERBS)])
def test_the_version(call, arguments):
    finished = call(*arguments)
    assert (finished.code, finished.stdout) == (0, f"{unfreeze.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "No such command 'nosuch'"),
        (["run"], "Missing argument 'RECIPE'"),
        (["show"], "Missing argument 'RUN'"),
        (["predict", "run"], "Missing argument 'IMAGE_OR_DIR...'"),
        (["plan", "demo", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["plan", "demo", "--colour"], "No such option: --colour"),
        (["train", "photos", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["check", "photos", "--threads", "0"], "Invalid value for '--threads'"),
        (["show", "run", "--out", "x.jpg"], "pictures are written as PNG: give x.png or the like."),
        (["views", "run", "a.jpg", "--out", "x.pdf"], "pictures are written as PNG: give x.png or the like."),
        (["show", "run", "--count", "0"], "Invalid value for '--count'"),
    ],
)
def test_a_wrong_command_line_exits_with_2(call, arguments, message):
    finished = call(*arguments)
    assert (finished.code, finished.stdout) == (2, "")
    assert message in " ".join(finished.stderr.split())
    assert "--help' for help" in finished.stderr


def test_without_arguments_it_helps(call):
    finished = call()
    assert finished.code == 2
    assert "Usage: unfreeze" in finished.stdout + finished.stderr


def test_an_error_is_one_message(call, failing):
    failing(DataError("The photos are too few. Take more."))
    assert refused(call("check", "photos")) == "The photos are too few. Take more."
    finished = call("check", "photos", "--debug")
    assert finished.code == 1
    assert finished.stderr.startswith("Traceback (most recent call last):")
    assert finished.stderr.endswith("unfreeze: The photos are too few. Take more.\n")


def test_an_error_of_ours_is_owned_up_to(call, failing):
    failing(ZeroDivisionError("division by zero"))
    assert refused(call("check", "photos")) == (
        "something went wrong that should not: ZeroDivisionError: division by zero\n"
        "Call it again with --debug to see where, and please report that."
    )


def test_what_the_file_system_refuses_is_not_our_error(call, failing):
    failing(OSError(28, "No space left on device", "runs/demo/x"))
    assert refused(call("check", "photos")) == (
        "the disk is full: OSError: [Errno 28] No space left on device: 'runs/demo/x'. `unfreeze plan` says how much a "
        "recipe writes. Make room and make the same call again; what is finished is kept."
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(KeyboardInterrupt(), 130, "unfreeze: interrupted.\n"), (Terminated(), 143, "unfreeze: terminated.\n")],
)
def test_an_interrupt(call, failing, error, code, message):
    failing(error)
    finished = call("check", "photos", "--debug")
    assert (finished.code, finished.stdout, finished.stderr) == (code, "", message)


def test_options_count_before_and_behind_the_verb_and_for_one_call_only(call, monkeypatch):
    found = Check("photos", 1, {"a": 1}, {"train": 1}, (), (), (), (9, 9), (9, 9), "Notice.", ())
    monkeypatch.setattr(unfreeze, "check", lambda data: found, raising=False)
    assert call("check", "photos", "--json").json["images"] == 1
    assert call("--json", "check", "photos").json["images"] == 1
    assert call("check", "photos").stdout.startswith("Notice.\n1 usable photos of 1 classes\n")
    call("check", "photos", "--threads", "3")
    assert thread_count() == 3


def command(*arguments: str, **options: object) -> subprocess.Popen:
    code = "import sys; from unfreeze.cli import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, **options)


def test_names_in_any_alphabet_are_printed_whatever_the_terminal_can_show(tmp_path):
    (tmp_path / "Äpfel").mkdir()
    (tmp_path / "Äpfel" / "梨.jpg").write_bytes(b"")
    printed = {}
    for option in ("--quiet", "--json"):
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        with command("check", str(tmp_path), option, env=environment, stdout=subprocess.PIPE) as process:
            printed[option], _ = process.communicate()
        assert process.returncode == 1
    assert "\\xc4pfel/\\u68a8.jpg: is empty" in printed["--quiet"]
    assert json.loads(printed["--json"])["bad"] == [{"path": "Äpfel/梨.jpg", "reason": "is empty"}]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_goes_away_is_no_reason_to_complain(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.jpg").write_bytes(b"")
    reader, writer = os.pipe()
    os.close(reader)
    with command("check", str(tmp_path), stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_an_output_that_is_full_gets_one_line(option):
    with open("/dev/full", "w") as full, command(option, stdout=full, stderr=subprocess.PIPE) as process:
        _, stderr = process.communicate()
    assert process.returncode == 1
    assert stderr.startswith("unfreeze: the disk is full")
    assert len(stderr.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")
def test_sigterm_has_its_own_exit_code(tmp_path):
    os.mkfifo(tmp_path / "recipe.yaml")  # who reads it waits
    arguments = "run", str(tmp_path / "recipe.yaml"), "--data", str(tmp_path)
    with command(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        file = open(tmp_path / "recipe.yaml", "w")  # goes on when the command reads  # noqa: SIM115
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate()
        file.close()
    assert (process.returncode, stdout) == (143, "")
    assert stderr == (
        "unfreeze: terminated. Experiments that were finished are kept, and of one in training the epochs up to half a "
        "minute ago; the same call goes on from there.\n"
    )
