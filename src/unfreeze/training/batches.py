"""Batches of photos for Keras `fit`: a new order every epoch, the same on every machine."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np


class Rows(Protocol):
    """What a network takes in, photo by photo: pixels in some view, or activations."""

    def __len__(self) -> int:
        """Count the photos."""
        ...

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        """Give these photos' rows as `epoch` (from 0) sees them, [len(indices), ...]."""
        ...


class Batches(keras.utils.PyDataset):
    """Photos and labels in the order of `seed`, or in their own order without one.

    Args:
        rows: the network's input.
        labels: class numbers, int [photos].
        batch_size: photos a batch; the last one may be smaller.
        seed: draws each epoch's order; None keeps the photos' own.
        epoch: the first epoch, from 0.
    """

    def __init__(self, rows: Rows, labels: np.ndarray, batch_size: int, seed: int | None = None, epoch: int = 0):
        super().__init__()
        self.rows, self.labels, self.batch_size, self.seed = rows, labels, batch_size, seed
        self.start(epoch)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Give one batch of this epoch: rows [b, ...] and class numbers [b]."""
        indices = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        return self.rows.take(indices, self._epoch), self.labels[indices]

    def start(self, epoch: int) -> None:
        """Take up an epoch's order and views. Keras's own `on_epoch_end` can't tell: it comes once before the first."""
        self._epoch = epoch
        self._order = epoch_order(len(self.labels), self.seed, epoch)


def epoch_order(count: int, seed: int | None, epoch: int) -> np.ndarray:
    """Give the order in which an epoch visits `count` photos; it depends on the arguments alone."""
    if seed is None:
        return np.arange(count)
    return np.random.default_rng((seed, epoch)).permutation(count)


def predict(model: keras.Model, rows: Rows, batch_size: int) -> np.ndarray:
    """Run a model on photos in their own order; gives its output [photos, ...].

    The last batch is filled up: TensorFlow would trace the model once more for a smaller one.
    """
    batch_size = min(batch_size, len(rows))
    count = math.ceil(len(rows) / batch_size) * batch_size
    batches = Batches(_Repeated(rows), np.zeros(count, "int32"), batch_size)
    return model.predict(for_keras(batches), verbose=0)[: len(rows)]  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class _Repeated:
    """Photos, and behind the last one the first again."""

    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        return self.rows.take(indices % len(self.rows), epoch)


def for_keras(batches: Batches) -> Any:
    """Give batches to Keras's `fit` and `predict` in the form that costs least; they follow `batches.start` as before.

    TensorFlow gets a dataset that tunes nothing: Keras makes one of anything else, and half a second goes by whenever
    its tuning thread is stopped, which is twice an epoch.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    examples = batches[0]
    types = [array.dtype for array in examples]

    def batch(number: Any) -> tuple[Any, ...]:
        arrays = tf.numpy_function(lambda number: batches[int(number)], [number], types)
        return tuple(
            tf.ensure_shape(array, (None, *example.shape[1:])) for array, example in zip(arrays, examples, strict=True)
        )

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.range(len(batches)).map(batch).prefetch(1).with_options(options)
