"""Epochs for Keras `fit`: which rows, with which labels, in which batches; each epoch may have its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from unfreeze.training.batches import Rows, epoch_order


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
        given = [epoch.labels] if epoch.weights is None else [epoch.labels, epoch.weights]
        parts = keras.tree.map_structure(lambda array: array[indices], given)
        return epoch.rows.take(indices, self._number), *parts


def shuffled_epochs(
    rows: Rows, labels: Any, weights: Any, batch_size: int, seed: int | None
) -> Callable[[int], Epoch]:
    """Give epochs of the same rows, each in its own order, or all in the rows' own without a seed."""

    def epoch_of(number: int) -> Epoch:
        order = epoch_order(len(rows), seed, number)
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        return Epoch(rows, labels, weights, batches)

    return epoch_of
