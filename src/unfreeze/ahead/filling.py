"""Photos taken through stages of frozen layers into the stages' stores, in parts, by whoever gets to it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from unfreeze.data.inputs import Pixels
from unfreeze.data.store import RowStore
from unfreeze.data.threads import in_order
from unfreeze.errors import UnfreezeError

Chunk = tuple[int, np.ndarray]
"""A view's number, and numbers of photos."""


class Stage(Protocol):
    """Frozen layers, ready to run."""

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows, [n, ...] to float32 [n, ...]; several threads may call it at a time."""
        ...


@dataclass(frozen=True)
class Filling:
    """What is to be computed of photos, and where it goes; in another process the stores are opened anew.

    Attributes:
        pixels: photos and views that the stages start from.
        stages: each runs on the rows of the one before.
        stores: where each stage's rows go.
        keep: for each stage, whether they do.
        size: photos that one thread takes through all stages at a time.
        threads: that do so.
    """

    pixels: Pixels
    stages: Sequence[Stage]
    stores: Sequence[RowStore]
    keep: Sequence[bool]
    size: int
    threads: int

    def missing(self) -> Iterator[Chunk]:
        """Give view and photos of everything that the last stage has no row for, in chunks."""
        for view in self.pixels.seen:
            keys = self.pixels.keys(view)
            absent = set(self.stores[-1].missing(keys))
            indices = np.array([index for index, key in enumerate(keys) if key in absent], np.int64)
            for start in range(0, len(indices), self.size):
                yield view, indices[start : start + self.size]

    def bytes(self, chunks: Iterable[Chunk]) -> int:
        """Say how much will be written for these chunks."""
        row_bytes = sum(store.row_bytes for keep, store in zip(self.keep, self.stores, strict=True) if keep)
        return row_bytes * sum(len(photos) for _, photos in chunks)

    def fill(self, chunks: Iterable[Chunk]) -> Iterator[int]:
        """Compute chunks and write their rows, which can be read when all are done.

        Yields:
            Photos done, chunk by chunk.

        Raises:
            UnfreezeError: numbers too large for float16.
        """
        with ExitStack() as writing:
            writers = [writing.enter_context(store.writer()) for store in self.stores]
            for keys, results in in_order(self._run, chunks, self.threads):
                for keep, writer, rows in zip(self.keep, writers, results, strict=True):
                    if keep and rows is not None:
                        for key, row in zip(keys, rows, strict=True):
                            writer.add(key, row)
                yield len(keys)

    def _run(self, chunk: Chunk) -> tuple[list[str], list[np.ndarray | None]]:
        """Take photos through the stages, beginning behind the last one whose rows are on disk."""
        view, indices = chunk
        keys = self.pixels.keys(view, indices)
        results: list[np.ndarray | None] = [None] * len(self.stages)
        done = [depth for depth, store in enumerate(self.stores) if not store.missing(keys)]
        first = done[-1] + 1 if done else 0
        rows = self.stores[first - 1].read(keys) if first else self.pixels.take(indices, view)
        for depth in range(first, len(self.stages)):
            rows = results[depth] = rounded(self.stages[depth].run(rows), self.stores[depth].dtype)
        return keys, results


def rounded(rows: np.ndarray, precision: np.dtype) -> np.ndarray:
    """Give rows in the precision in which they are stored.

    Raises:
        UnfreezeError: some are too large for float16.
    """
    with np.errstate(over="ignore"):
        result = rows.astype(precision)
    if precision == np.float16 and not np.isfinite(result).all():
        raise UnfreezeError(
            f"Activations up to {np.abs(rows).max():.3g} are too large for float16, which ends at 65504. "
            "Keep them whole: add `precision: float32` to the recipe, or --set precision=float32."
        )
    return result
