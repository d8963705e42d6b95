"""One file of rows: a plain `.npy` file that never changes, with a `.json` file beside it that names the rows.

Rows are read at their place in the file and never mapped into memory: mapped pages count as the process's own, so an
epoch over 50,000 photos would make it as large as all of them together. What is read often stays in the system's
file cache either way.

The `.json` file's time of change says when the shard was last used.
"""

import os
import weakref
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from unfreeze.errors import DataError

OPEN_SHARDS = 100
"""Most files open at a time, of all stores together; macOS gives a process 256."""

POSITIONAL = hasattr(os, "preadv")
"""Whether the system reads at a place in one step; Windows must go there first."""

_in_use: set[Path] = set()
"""Shards that this process needs rows of; `delete` keeps them."""

_registry = Lock()


class Shard:
    """Rows of one shape and type in one file; any number of threads may read it.

    Args:
        file: the `.npy` file, whole and in its place.
        checksums: CRC-32 of each row, with which it is compared when this process reads it for the first time.

    Attributes:
        shape: of the whole file, [rows, ...].
        dtype: of the rows.

    Raises:
        OSError: it can't be read.
        ValueError: it is no such file, or cut short.
    """

    def __init__(self, file: Path, checksums: Sequence[int] = ()):
        self.file, self._name, self._checksums = file, str(file), np.array(checksums, np.uint32)
        with file.open("rb") as content:
            np.lib.format.read_magic(content)
            self.shape, by_column, self.dtype = np.lib.format.read_array_header_1_0(content)
            self._start, end = content.tell(), content.seek(0, os.SEEK_END)
        self._row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        if not self.shape or by_column or end != self._start + self.shape[0] * self._row_bytes:
            raise ValueError(f"{file} doesn't hold what its header says")
        self._checked = bytearray(self.shape[0])
        self._use: bool | None = None

    def use(self) -> bool:
        """Note that this process needs the rows; gives False if another one has deleted them since it was opened."""
        if self._use is None:
            with _registry:
                self._use = _touch(index_of(self.file))
                if self._use:
                    _in_use.add(self.file)
        return self._use

    def read(self, row: int, target: memoryview) -> None:
        """Copy one row into `target`, as bytes.

        Raises:
            DataError: the file went away after the shard was opened, or is damaged.
        """
        try:
            _opened(self._name).read(target, self._start + row * self._row_bytes)
            if len(self._checksums) and not self._checked[row]:
                if zlib.crc32(target) != self._checksums[row]:
                    self._drop()
                self._checked[row] = True
        except (OSError, EOFError) as error:
            reason = "it is shorter than it was" if isinstance(error, EOFError) else error.strerror or str(error)
            raise DataError(
                f"{self.file} can't be read any more ({reason}): another process made room in the cache or emptied it, "
                "or the file is damaged. Make the same call again; if it fails again, empty the cache with "
                "`unfreeze cache --clear`."
            ) from error

    def _drop(self) -> None:
        """Take a damaged shard out of the store, for good.

        Raises:
            DataError: that says so.
        """
        with suppress(OSError):
            index_of(self.file).unlink(missing_ok=True)
        raise DataError(
            f"{self.file} was damaged after it was written (the checksum of a row is wrong), so it is not used any "
            "more. Make the same call again, which computes its rows anew. If it happens again, a disk may be failing."
        )


def index_of(file: Path) -> Path:
    """Give the file that names a shard's rows."""
    return file.with_suffix(".json")


def delete(file: Path) -> bool:
    """Delete a shard, the names of its rows first, unless this process uses it; tells whether it is gone."""
    with _registry:
        if file in _in_use:
            return False
        try:
            index_of(file).unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        except OSError:  # not ours, or (on Windows) open in another process
            return False
    return True


def close_all() -> None:
    """Close the files that are open for reading; they are opened again when needed."""
    _opened.cache_clear()


class _OpenFile:
    """A file open for reading at any place, closed when the last thread is done with it."""

    def __init__(self, file: str):
        self._descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = Lock()
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, target: memoryview, place: int) -> None:
        while target:
            count = self._read(target, place)
            if not count:
                raise EOFError
            target, place = target[count:], place + count

    def _read(self, target: memoryview, place: int) -> int:
        if POSITIONAL:
            return os.preadv(self._descriptor, [target], place)
        with self._lock:
            os.lseek(self._descriptor, place, os.SEEK_SET)
            data = os.read(self._descriptor, len(target))
        target[: len(data)] = data
        return len(data)


@lru_cache(OPEN_SHARDS)
def _opened(file: str) -> _OpenFile:
    return _OpenFile(file)


def _touch(index: Path) -> bool:
    try:
        os.utime(index)
    except FileNotFoundError:
        return False
    except OSError:  # somebody else's cache, good for reading all the same
        pass
    return True
