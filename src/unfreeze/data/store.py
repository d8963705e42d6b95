"""Arrays of one shape on disk, found by key: decoded pixels, activations.

A store is a folder of shards that never change. A shard is a `.npy` file with the rows and a sealed `.json` file beside
it with their keys and checksums. The rows are in place before the keys, and go after them, so a kill at any moment
costs the rows of the shard being written and nothing else. Names are unique, so any number of processes can write to a
store.
"""

import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from unfreeze.data.shard import Shard, index_of
from unfreeze.files import publish
from unfreeze.seals import unsealed, write_sealed

SHARD_BYTES = 64 * 2**20
"""A shard is finished when it has about this size; it is what a kill can cost."""

ROW_BITS = 32
"""A row's place is one number: its shard's number, shifted by so many bits, and its number in the shard."""

Note = Mapping[str, Any]


class RowStore:
    """Rows of one shape and type, each under a key, with an optional note of plain data.

    Shards that are damaged, cut short or of another shape count as not there. Looking a key up counts as use of its
    shard; a shard that another process deleted before its first use counts as not there, too.

    Args:
        folder: made when the first row is written.
        shape: of one row.
        dtype: of the rows.
        make_room: called with the bytes of a shard before it is written.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        dtype: np.typing.DTypeLike,
        make_room: Callable[[int], None] | None = None,
    ):
        self.folder, self.shape, self.dtype, self.make_room = folder, shape, np.dtype(dtype), make_room
        self._shards: list[Shard] = []
        self._places: dict[str, int] = {}
        self._notes: dict[str, Note] = {}
        for index in sorted(folder.glob("[!.]*.json")):
            self._read_shard(index)

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process, which opens the folder anew."""
        return RowStore, (self.folder, self.shape, self.dtype, self.make_room)

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return self._find(key) is not None

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Give those of `keys` that have no row yet, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self]

    def note(self, key: str) -> Note | None:
        """Give what was noted with a row, or None where nothing was."""
        return self._notes.get(key) if key in self else None

    @contextmanager
    def writer(self) -> Iterator["RowWriter"]:
        """Open a writer; rows can be read once their shard is finished, at the latest when the block ends."""
        writer = RowWriter(self)
        try:
            yield writer
            writer.finish()
        except BaseException:
            writer.discard()
            raise

    def locate(self, keys: Sequence[str]) -> np.ndarray:
        """Look keys up once, so that batches can be taken by position.

        Returns:
            The rows' places in this store, int64 [keys].

        Raises:
            KeyError: a key has no row.
        """
        places = np.empty(len(keys), np.int64)
        for position, key in enumerate(keys):
            place = self._find(key)
            if place is None:
                raise KeyError(key)
            places[position] = place
        return places

    def take(self, places: np.ndarray) -> np.ndarray:
        """Copy rows out of the store.

        Args:
            places: from `locate`, all or some, int64 [n].

        Returns:
            [n, *shape], in the order of `places`.

        Raises:
            DataError: a shard went away or was damaged after the store was opened.
        """
        rows = np.empty((len(places), *self.shape), self.dtype)
        target, size = rows.reshape(-1).view(np.uint8).data, self.row_bytes
        for position, place in enumerate(places.tolist()):
            shard, row = place >> ROW_BITS, place & (1 << ROW_BITS) - 1
            self._shards[shard].read(row, target[position * size : (position + 1) * size])
        return rows

    def read(self, keys: Sequence[str]) -> np.ndarray:
        """Copy the rows of `keys` out of the store: [n, *shape]."""
        return self.take(self.locate(keys))

    def _find(self, key: str) -> int | None:
        place = self._places.get(key)
        return place if place is not None and self._shards[place >> ROW_BITS].use() else None

    def _read_shard(self, index: Path) -> None:
        try:
            content = unsealed(index.read_bytes())
            keys, notes, checksums = content["keys"], content["notes"], content["crc32"]
            shard = Shard(index.with_suffix(".npy"), checksums)
        except Exception:  # NumPy raises nearly anything on a damaged header
            return
        is_whole = len(keys) == len(notes) == len(checksums)
        if is_whole and shard.shape == (len(keys), *self.shape) and shard.dtype == self.dtype:
            self._add_shard(shard, keys, notes)

    def _add_shard(self, shard: Shard, keys: Sequence[str], notes: Sequence[Note | None]) -> None:
        first = len(self._shards) << ROW_BITS
        self._shards.append(shard)
        self._places.update(zip(keys, range(first, first + len(keys)), strict=True))
        self._notes.update((key, note) for key, note in zip(keys, notes, strict=True) if note is not None)


class RowWriter:
    """Adds rows to a store, one shard after the other; made by `RowStore.writer`."""

    def __init__(self, store: RowStore):
        self._store = store
        self._file: IO[bytes] | None = None
        self._temporary = self._final = store.folder
        self._rows: dict[str, Note | None] = {}
        self._checksums: list[int] = []
        self._rows_per_shard = max(1, SHARD_BYTES // max(1, store.row_bytes))

    def __contains__(self, key: str) -> bool:
        return key in self._rows or key in self._store

    def add(self, key: str, row: np.ndarray, note: Note | None = None) -> None:
        """Append a row; a key that is there already is passed over.

        Args:
            key: names the row.
            row: of the store's shape and type.
            note: plain data that JSON can hold, kept with the row.

        Raises:
            ValueError: the row has another shape or type than the store.
        """
        store = self._store
        if row.shape != store.shape or row.dtype != store.dtype:
            raise ValueError(f"The row is {row.dtype} {row.shape}, not {store.dtype} {store.shape} as the store.")
        if key in self:
            return
        if self._file is None:
            self._file = self._start()
        content = np.ascontiguousarray(row).data
        self._file.write(content)
        self._checksums.append(zlib.crc32(content))
        self._rows[key] = note
        if len(self._rows) == self._rows_per_shard:
            self.finish()

    def finish(self) -> None:
        """Give the current shard, if any, its place in the store."""
        if self._file is None:
            return
        self._file.seek(0)
        self._write_header(self._file, len(self._rows))
        self._file.close()
        publish(self._temporary, self._final)
        keys, notes, checksums = list(self._rows), list(self._rows.values()), self._checksums
        write_sealed(index_of(self._final), {"keys": keys, "notes": notes, "crc32": checksums}, indent=None)
        shard = Shard(self._final, checksums)
        shard.use()
        self._store._add_shard(shard, keys, notes)
        self._file, self._rows, self._checksums = None, {}, []

    def discard(self) -> None:
        """Drop the current shard."""
        if self._file is not None:
            self._file.close()
            with suppress(OSError):
                self._temporary.unlink()
            self._file, self._rows, self._checksums = None, {}, []

    def _start(self) -> IO[bytes]:
        folder = self._store.folder
        if self._store.make_room:
            self._store.make_room(self._rows_per_shard * self._store.row_bytes)
        folder.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        self._temporary, self._final = folder / f".{name}.npy", folder / f"{name}.npy"
        file = self._temporary.open("wb")
        self._write_header(file, 0)
        return file

    def _write_header(self, file: IO[bytes], count: int) -> None:
        """Write a .npy header; NumPy pads it so that any count takes the same room."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self._store.dtype),
            "fortran_order": False,
            "shape": (count, *self._store.shape),
        }
        np.lib.format.write_array_header_1_0(file, header)
