"""Choosing a backend for Keras, threads, and quiet imports."""

import importlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from unfreeze import backend
from unfreeze.errors import BackendError

VARIABLES = ("KERAS_BACKEND", "TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL", "OMP_NUM_THREADS")


class Machine:
    """A process that has not imported Keras yet, on a machine with some backends."""

    def __init__(self, home: Path):
        self.home = home
        self.installed = ["tensorflow", "jax", "torch"]
        self.used: str | None = None

    def configure(self, text: str) -> None:
        (self.home / "keras.json").write_text(text)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "")  # so that it is put back afterwards
        monkeypatch.delenv(variable)

    def import_keras(name: str) -> None:
        assert name == "keras"
        machine.used = os.environ.get("KERAS_BACKEND")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in machine.installed else None)
    monkeypatch.setattr(importlib, "import_module", import_keras)
    monkeypatch.setattr(backend, "use_all_devices", lambda: None)  # it would import Keras in earnest
    return machine


@pytest.mark.parametrize(
    ("installed", "used"),
    [(["torch", "jax", "tensorflow"], "tensorflow"), (["torch", "jax"], "jax"), (["torch"], "torch")],
)
def test_an_installed_backend_is_used(machine, installed, used):
    machine.installed = installed
    backend.load_keras()
    assert machine.used == used


def test_the_environment_chooses(machine, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    machine.configure('{"backend": "jax"}')
    backend.load_keras()
    assert machine.used == "torch"


def test_keras_own_configuration_chooses_among_the_installed(machine):
    machine.configure('{"backend": "jax"}')
    backend.load_keras()
    assert machine.used is None  # Keras reads its file itself
    machine.installed = ["torch"]
    backend.load_keras()
    assert machine.used == "torch"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"floatx": "float32"}'])
def test_a_damaged_configuration_is_passed_over(machine, text):
    machine.configure(text)
    backend.load_keras()
    assert machine.used == "tensorflow"


def test_with_no_backend_the_error_says_which_to_install(machine):
    machine.installed = []
    with pytest.raises(BackendError) as error:
        backend.load_keras()
    assert str(error.value) == (
        "No backend for Keras is installed. Install one of them: pip install 'unfreeze[tensorflow-cpu]', "
        "'unfreeze[tensorflow]', 'unfreeze[jax]' or 'unfreeze[torch]'."
    )


def test_a_chosen_backend_that_is_not_there_is_named(machine, monkeypatch):
    machine.installed = ["tensorflow", "torch"]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(BackendError) as error:
        backend.load_keras()
    assert str(error.value) == (
        "KERAS_BACKEND is jax, which is not installed; what is installed: tensorflow, torch. "
        "Unset KERAS_BACKEND, or run: pip install 'unfreeze[jax]'."
    )


def test_onednn_is_on_unless_the_user_says_otherwise(machine, monkeypatch):
    backend.load_keras()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    backend.load_keras()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_imports_are_quiet_unless_they_fail(machine, monkeypatch, capfd):
    failing = False

    def greet(name: str) -> None:
        os.write(2, b"WARNING: this binary is optimised\n")
        if failing:
            raise ImportError("broken")

    monkeypatch.setattr(importlib, "import_module", greet)
    backend.load_keras()
    os.write(2, b"and then\n")
    assert capfd.readouterr().err == "and then\n"
    failing = True
    with pytest.raises(ImportError, match="broken"):
        backend.load_keras()
    assert capfd.readouterr().err == "WARNING: this binary is optimised\n"


def test_threads(monkeypatch):
    monkeypatch.setattr(backend, "_threads", None)
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.setenv(variable, "")
    assert 1 <= backend.thread_count() <= (os.cpu_count() or 1)
    backend.set_threads(3)
    assert backend.thread_count() == 3
    assert os.environ["OMP_NUM_THREADS"] == os.environ["TF_NUM_INTRAOP_THREADS"] == "3"


def test_keras_works_out_once_what_not_to_save():
    backend.load_keras()
    saving = importlib.import_module("keras.src.saving.saving_lib")
    assert saving.get_attr_skipset("Layer") is saving.get_attr_skipset("Layer")
