"""Epochs for Keras `fit`: which rows, with which labels, in which batches; each epoch may have its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from unfreeze.features.any_model import CutError
from unfreeze.progress import say
from unfreeze.training.batches import Rows, epoch_order
from unfreeze.training.fit_data import ArrayPhotos, KnownPhotos, Labelled, Photos, Stream

CHUNK_BYTES = 256 * 2**20
"""Photos of a stream that are in memory at a time."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch goes through.

    Attributes:
        rows: what the network takes in.
        labels: array with an entry a row, or a structure of such arrays.
        weights: of the rows in the loss, likewise, or None.
        batches: numbers of the rows of each batch.
    """

    rows: Rows
    labels: Any
    weights: Any
    batches: Sequence[np.ndarray]


class EpochBatches(keras.utils.PyDataset):
    """Epochs, batch by batch.

    Keras tells a data set that an epoch has ended before the first one has begun, so whoever calls `fit` says which
    epoch it is: by a callback that calls `start`.

    Args:
        epoch_of: gives an epoch by its number, from 0.
        first: the epoch to begin with.
    """

    def __init__(self, epoch_of: Callable[[int], Epoch], first: int = 0):
        super().__init__()
        self._epoch_of = epoch_of
        self._number, self._epoch = first, epoch_of(first)

    def start(self, number: int) -> None:
        """Go on to another epoch."""
        if number != self._number:
            self._number, self._epoch = number, self._epoch_of(number)

    def __len__(self) -> int:
        """Count the batches of this epoch."""
        return len(self._epoch.batches)

    def __getitem__(self, batch: int) -> tuple[Any, ...]:
        """Give one batch of this epoch: rows, labels, and weights if there are any."""
        epoch, indices = self._epoch, self._epoch.batches[batch]
        beside = (epoch.labels,) if epoch.weights is None else (epoch.labels, epoch.weights)
        of_batch: Any = keras.tree.map_structure(lambda array: array[indices], beside)
        return epoch.rows.take(indices, self._number), *of_batch


def epochs_of(
    data: Labelled | Stream, rows_of: Callable[[Photos], Rows], batch_size: int, seed: int | None
) -> Callable[[int], Epoch]:
    """Give a data set's epochs.

    Args:
        data: photos with labels.
        rows_of: gives what the network takes in of photos.
        batch_size: where the data doesn't come in batches.
        seed: draws each epoch's order, where the data doesn't come in its own; None keeps the photos' order.
    """
    if isinstance(data, Labelled):
        return _reordered(data, rows_of(data.photos), batch_size, seed)
    known: set[str] = set()
    return lambda number: _read(data, rows_of, known)


def _reordered(data: Labelled, rows: Rows, batch_size: int, seed: int | None) -> Callable[[int], Epoch]:
    def epoch_of(number: int) -> Epoch:
        order = epoch_order(len(rows), seed, number)
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        return Epoch(rows, data.labels, data.weights, batches)

    return epoch_of


def _read(stream: Stream, rows_of: Callable[[Photos], Rows], known: set[str]) -> Epoch:
    """Go once through a stream, for this epoch's photos and their order.

    Args:
        stream: the data.
        rows_of: as in `epochs_of`.
        known: names of the photos of earlier epochs; this one's are added.
    """
    is_first, new_count = not known, 0
    names: list[str] = []
    beside: list[tuple[Any, Any]] = []
    sizes: list[int] = []
    for chunk in _chunks(stream):
        chunk_names = [name for photos, _, _ in chunk for name in photos.keys(0)]
        new = [place for place, name in enumerate(chunk_names) if name not in known]
        if new:
            rows_of(ArrayPhotos(np.concatenate([photos.array for photos, _, _ in chunk]), chunk_names).some(new))
        new_count += len(new)
        names += chunk_names
        known.update(chunk_names)
        beside += [(labels, weights) for _, labels, weights in chunk]
        sizes += [len(photos) for photos, _, _ in chunk]
    if not names:
        raise CutError("its data is empty")
    if new_count > len(names) / 2 and not is_first:
        say("The photos are others than in the epoch before (augmented?): frozen layers run on each of them again.")
    joined: Any = keras.tree.map_structure(_joined, *beside)
    labels, weights = joined
    batches = np.split(np.arange(len(names)), np.cumsum(sizes)[:-1])
    return Epoch(rows_of(KnownPhotos(names)), labels, weights, batches)


def _joined(*arrays: np.ndarray | None) -> np.ndarray | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else None


def _chunks(stream: Iterable[tuple[ArrayPhotos, Any, Any]]) -> Iterator[list[tuple[ArrayPhotos, Any, Any]]]:
    """Gather batches up to CHUNK_BYTES."""
    chunk, size = [], 0
    for batch in stream:
        chunk.append(batch)
        size += batch[0].array.nbytes
        if size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
