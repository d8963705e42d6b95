"""A run in a process of its own that kills itself where and when a test says; product code knows nothing of it."""

import builtins
import io
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["unfreeze.series.run", "unfreeze.report.pictures"]
)  # so that starting takes no seconds


@dataclass(frozen=True)
class Kill:
    """When a process kills itself: at the so-manieth moment before or after a file changes, or after some seconds."""

    moment: int = 0
    seconds: float = 0.0


def unfreeze_run(arguments: Sequence[object], cache: Path, log: Path, kill: Kill | None = None) -> int:
    """Call `unfreeze run` in a new process.

    Args:
        arguments: of `unfreeze.run`: recipe, data, out, and maybe more.
        cache: folder of all caches.
        log: file for what it says, and where it was killed.
        kill: None lets it come to its end.

    Returns:
        The exit code: 0, or -9 where it was killed.
    """
    process = _CONTEXT.Process(target=_run, args=(arguments, str(cache), str(log), kill))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(arguments: Sequence[Any], cache: str, log: str, kill: Kill | None) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ["UNFREEZE_CACHE"] = cache
    from unfreeze.features import engine
    from unfreeze.training import callbacks

    callbacks.WRITE_EVERY = 0.0  # the state of training is written after every epoch
    engine.TRIAL_SECONDS = 1e-3
    out = arguments[2]
    if kill and kill.moment:
        _Watch([str(out), cache], kill.moment).watch()
    if kill and kill.seconds:
        threading.Thread(target=_die_after, args=(kill.seconds,), daemon=True).start()
    from unfreeze.series.run import run

    run(*arguments)


def _die(where: str) -> None:
    print(f"killed {where}", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _die_after(seconds: float) -> None:
    time.sleep(seconds)
    _die("by the clock")


class _Watch:
    """Stands around everything by which Python changes files below some folders."""

    def __init__(self, folders: Sequence[str], kill_at: int):
        self._folders, self._kill_at, self._moments = folders, kill_at, 0

    def watch(self) -> None:
        for name in ("rename", "replace", "unlink", "remove", "mkdir"):
            self._around(os, name, self._ours)
        self._around(os, "fsync", lambda descriptor: "")
        self._around(io, "open", lambda file, mode="r", *_: self._ours(file) if set(str(mode)) & set("wax+") else None)
        builtins.open = io.open
        self._around(pathlib.Path, "write_bytes", self._ours)

    def _ours(self, path: Any, *_: Any) -> str | None:
        is_ours = isinstance(path, str | os.PathLike) and str(path).startswith(tuple(self._folders))
        return pathlib.Path(path).name if is_ours else None

    def _around(self, module: Any, name: str, described: Callable[..., str | None]) -> None:
        original = getattr(module, name)

        def watched(*arguments: Any, **settings: Any) -> Any:
            what = described(*arguments)
            if what is not None:
                self._pass(f"before {name} {what}")
            result = original(*arguments, **settings)
            if what is not None:
                self._pass(f"after {name} {what}")
            return result

        setattr(module, name, watched)

    def _pass(self, what: str) -> None:
        self._moments += 1
        if self._moments == self._kill_at:
            _die(what)
