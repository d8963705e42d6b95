"""Files that are whole or not there: written beside their place, flushed, renamed."""

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = re.compile(r"\.[0-9a-f]{8}-.")


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; when the block ends well it takes `path`'s place.

    Whoever looks sees the old file or the new one, never half of one, even if the machine stops in between.
    The temporary file lies in the same folder and keeps the name's ending, so that writers that go by it
    (Keras, matplotlib) accept it. If the block fails it is deleted and `path` stays as it was.

    Args:
        path: the file to make or replace; its folder must exist.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        yield temporary
        publish(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its place in one step, on disk before anybody sees it."""
    with temporary.open("r+b") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    if os.name != "nt":  # Windows can't open a folder, and its renames need no flushing
        _flush_folder(path.parent)


def replace_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with its own line ends, the whole file or nothing.

    File names that are not UTF-8 (as `os.fsdecode` reads them) keep their bytes.
    """
    replace_bytes(path, text.encode("utf-8", "surrogateescape"))


def replace_bytes(path: Path, data: bytes) -> None:
    """Write `data`, the whole file or nothing."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(data)


def remove_leftovers(folder: Path) -> None:
    """Delete what `write_atomically` could not, below a folder that nobody else writes to: its process was killed."""
    for file in folder.rglob(".*"):
        if _TEMPORARY.match(file.name):
            with suppress(OSError):
                file.unlink()


def file_sha256(path: Path) -> str:
    """Hash a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
