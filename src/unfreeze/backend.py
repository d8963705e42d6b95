"""Keras and the backend under it. Packages that use Keras call `load_keras` before anything else imports it."""

import ctypes
import functools
import gc
import importlib.util
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unfreeze.devices import use_all_devices
from unfreeze.errors import BackendError

BACKENDS = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
"""Keras's name of a backend -> the module that it needs, in our order of preference."""

NOT_FOR_COMMANDS = ("sklearn", "pandas", "matplotlib.pyplot")
"""What Keras imports where it is installed, to wrap and show things that no command needs; it takes half a second."""

_MALLOC_TRIM_THRESHOLD, _MALLOC_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
_KEEP_BYTES = 1 << 30

_is_command = False
_threads: int | None = None


def load_keras() -> None:
    """Choose an installed backend, set what must be set before it is imported, and import Keras.

    `KERAS_BACKEND` is respected, and so is Keras's own configuration file, unless it names a backend that is not
    installed: Keras itself writes that file, with TensorFlow in it. Does nothing if Keras is there already.

    Raises:
        BackendError: no backend is installed, or the chosen one is not.
    """
    if "keras" in sys.modules:
        return
    chosen = os.environ.get("KERAS_BACKEND")
    installed = [name for name, module in BACKENDS.items() if importlib.util.find_spec(module)]
    if not installed:
        raise BackendError(
            "No backend for Keras is installed. Install one of them: pip install 'unfreeze[tensorflow-cpu]', "
            "'unfreeze[tensorflow]', 'unfreeze[jax]' or 'unfreeze[torch]'."
        )
    if chosen in BACKENDS and chosen not in installed:
        raise BackendError(
            f"KERAS_BACKEND is {chosen}, which is not installed; what is installed: {', '.join(installed)}. "
            f"Unset KERAS_BACKEND, or run: pip install 'unfreeze[{chosen}]'."
        )
    if not chosen and _configured() not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]
    # TensorFlow leaves oneDNN's kernels off on processors without AVX-512; they are about 1.7 times faster there.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its warnings about retracing help nobody here
    _keep_freed_memory()
    with native_stderr_kept_back(), _no_garbage_collected(), _hidden(NOT_FOR_COMMANDS if _is_command else ()):
        importlib.import_module("keras")
    _speed_up_saving()
    use_all_devices()


def expect_command() -> None:
    """Say that this process is a command's own, in which nobody else uses Keras."""
    global _is_command
    _is_command = True


def set_threads(count: int) -> None:
    """Limit every engine to this many threads. Call it before Keras is imported."""
    global _threads
    _threads = count
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ[variable] = str(count)


def threads_are_limited() -> bool:
    """Whether `set_threads` was called: then nothing may use more of the processor."""
    return _threads is not None


def thread_count() -> int:
    """Threads to use: what `set_threads` was given, else the processors that this process may run on."""
    if _threads is not None:
        return _threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _configured() -> str | None:
    """Read the backend that Keras's configuration file names."""
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def native_stderr_kept_back() -> Iterator[None]:
    """Hide what compiled code writes to stderr; it is shown after all if the block fails.

    TensorFlow greets on stderr at every import, before any setting of its log level takes effect.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _hidden(modules: Sequence[str]) -> Iterator[None]:
    """Let modules that nobody has imported yet look as if they were not installed."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # pyright: ignore[reportCallIssue, reportArgumentType]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Keep Python from looking for garbage among what is imported in the block, then and later.

    Backends make half a million objects that live as long as the process. Going through them again and again takes a
    quarter of the import's time, and half a second whenever Keras collects garbage.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _speed_up_saving() -> None:
    """Let Keras work out once which attributes hold no weights, not for every layer: half of the time it takes to save.

    Keras 3.15 keeps the answer under one name and looks for it under another.
    """
    saving: Any = sys.modules.get("keras.src.saving.saving_lib")
    if hasattr(saving, "get_attr_skipset"):
        saving.get_attr_skipset = functools.cache(saving.get_attr_skipset)


def _keep_freed_memory() -> None:
    """Stop glibc from giving large blocks back: fetching them again costs TensorFlow a fifth of its time and more."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # not glibc
    mallopt(_MALLOC_MMAP_THRESHOLD, _KEEP_BYTES)
    mallopt(_MALLOC_TRIM_THRESHOLD, _KEEP_BYTES)
