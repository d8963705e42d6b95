"""Arrays of one shape on disk, found by key: decoded pixels, activations.

A store is a folder of shards that never change. A shard is a `.npy` file with the rows, memory-mapped when
read, and a `.json` file beside it with their keys. The rows are in place before the keys, so a kill at any
moment costs the rows of the shard being written and nothing else, and names are unique, so any number of
processes can write to a store.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from unfreeze.files import publish, replace_text

SHARD_BYTES = 64 * 2**20
"""A shard is finished when it has about this size; it is what a kill can cost."""

OPEN_SHARDS = 100
"""Most shards mapped at a time; each takes a file descriptor, of which macOS gives a process 256."""

Note = Mapping[str, Any]


@dataclass(frozen=True)
class Locations:
    """Where rows lie, as shard and row numbers of one store: int64 [n] each."""

    shards: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | np.ndarray) -> "Locations":
        return Locations(self.shards[index], self.rows[index])


class RowStore:
    """Rows of one shape and type, each under a key, with an optional note of plain data.

    Shards that are damaged, cut short or of another shape count as not there.

    Args:
        folder: made when the first row is written.
        shape: of one row.
        dtype: of the rows.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike):
        self.folder, self.shape, self.dtype = folder, shape, np.dtype(dtype)
        self._shards: list[Path] = []
        self._maps: dict[int, np.ndarray] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._notes: dict[str, Note] = {}
        for index in sorted(folder.glob("*.json")):
            self._read_shard(index)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Give those of `keys` that have no row yet, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._places]

    def note(self, key: str) -> Note | None:
        """Give what was noted with a row, or None where nothing was."""
        return self._notes.get(key)

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

    def locate(self, keys: Sequence[str]) -> Locations:
        """Look keys up once, so that batches can be taken by position.

        Raises:
            KeyError: a key has no row.
        """
        places = np.array([self._places[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        return Locations(places[:, 0], places[:, 1])

    def take(self, locations: Locations, out: np.ndarray | None = None) -> np.ndarray:
        """Copy rows out of the store.

        Args:
            locations: from `locate`, or part of it.
            out: where to put them, [n, *shape]; a new array by default.

        Returns:
            [n, *shape], in the order of `locations`.
        """
        if out is None:
            out = np.empty((len(locations), *self.shape), self.dtype)
        places = zip(locations.shards.tolist(), locations.rows.tolist(), strict=True)
        for position, (shard, row) in enumerate(places):
            out[position] = self._rows(shard)[row]
        return out

    def read(self, keys: Sequence[str], out: np.ndarray | None = None) -> np.ndarray:
        """Copy the rows of `keys` out of the store: [n, *shape]."""
        return self.take(self.locate(keys), out)

    def _rows(self, shard: int) -> np.ndarray:
        rows = self._maps.get(shard)
        if rows is None:
            for oldest in list(self._maps)[: max(0, len(self._maps) - OPEN_SHARDS + 1)]:
                self._maps.pop(oldest, None)
            rows = np.asarray(np.load(self._shards[shard], mmap_mode="r", allow_pickle=False))
            self._maps[shard] = rows
        return rows

    def _read_shard(self, index: Path) -> None:
        file = index.with_suffix(".npy")
        try:
            content = json.loads(index.read_text(encoding="utf-8"))
            keys, notes = content["keys"], content["notes"]
            if file.stat().st_size != content["bytes"] or len(keys) != len(notes):
                return
            rows = np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError):
            return
        if rows.shape == (len(keys), *self.shape) and rows.dtype == self.dtype:
            self._add_shard(file, keys, notes)

    def _add_shard(self, file: Path, keys: Sequence[str], notes: Sequence[Note | None]) -> None:
        shard = len(self._shards)
        self._shards.append(file)
        for row, (key, note) in enumerate(zip(keys, notes, strict=True)):
            if key not in self._places:
                if note is not None:
                    self._notes[key] = note
                self._places[key] = (shard, row)


class RowWriter:
    """Adds rows to a store, one shard after the other; made by `RowStore.writer`."""

    def __init__(self, store: RowStore):
        self._store = store
        self._file: IO[bytes] | None = None
        self._temporary = self._final = store.folder
        self._rows: dict[str, Note | None] = {}
        row_bytes = int(np.prod(store.shape, dtype=np.int64)) * store.dtype.itemsize
        self._rows_per_shard = max(1, SHARD_BYTES // max(1, row_bytes))

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
        self._file.write(np.ascontiguousarray(row).data)
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
        size = self._temporary.stat().st_size
        publish(self._temporary, self._final)
        keys, notes = list(self._rows), list(self._rows.values())
        index = {"bytes": size, "keys": keys, "notes": notes}
        replace_text(self._final.with_suffix(".json"), json.dumps(index))
        self._store._add_shard(self._final, keys, notes)
        self._file, self._rows = None, {}

    def discard(self) -> None:
        """Drop the current shard."""
        if self._file is not None:
            self._file.close()
            with suppress(OSError):
                self._temporary.unlink()
            self._file, self._rows = None, {}

    def _start(self) -> IO[bytes]:
        folder = self._store.folder
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
