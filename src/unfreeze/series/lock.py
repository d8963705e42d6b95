"""One process at a time writes to a series' folder."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from unfreeze.errors import RunError
from unfreeze.files import remove_leftovers, replace_text

LOCK, HOLDER = ".lock", ".holder.json"
"""Files in OUT: the one that the operating system locks, which it undoes when a process dies, and who holds it."""


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keep other processes from writing to OUT inside the block.

    Args:
        out: the series' folder; it is made where it isn't there.

    Raises:
        RunError: another process writes there; the message says which, and since when.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise RunError(
            f"{out} is in use{_by_whom(out / HOLDER)}. Wait until that has come to its end and make the same call "
            "again, which then does what is left; or choose another folder with --out."
        ) from None
    try:
        since = datetime.now().astimezone().isoformat(" ", timespec="seconds")
        remove_leftovers(out)
        replace_text(out / HOLDER, json.dumps({"process": os.getpid(), "host": platform.node(), "since": since}))
        yield
    finally:
        with suppress(OSError):
            (out / HOLDER).unlink()
        lock.release()


def _by_whom(file: Path) -> str:
    try:
        holder = json.loads(file.read_text(encoding="utf-8"))
        return f" by process {holder['process']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # between locking and writing it
        return " by another process"
