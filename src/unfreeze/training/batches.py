"""Batches of photos for Keras `fit`: a new order every epoch, the same on every machine."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from unfreeze.backend import thread_count
from unfreeze.devices import whole_batches
from unfreeze.gpu import on_gpu


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
        labels: class numbers, int [photos], or shares of the classes, float32 [photos, classes].
        batch_size: photos a batch; the last one may be smaller.
        seed: draws each epoch's order; None keeps the photos' own.
        epoch: the first epoch, from 0.
        weights: of the photos in the loss, float32 [photos], or None.
        mixup: alpha of the beta distribution of the shares in which each batch is mixed with itself in another order
            (H. Zhang et al., arXiv 1710.09412); 0 mixes nothing, all else needs shares as labels.
    """

    def __init__(
        self,
        rows: Rows,
        labels: np.ndarray,
        batch_size: int,
        seed: int | None = None,
        epoch: int = 0,
        weights: np.ndarray | None = None,
        mixup: float = 0,
    ):
        super().__init__()
        self.rows, self.labels, self.batch_size, self.seed = rows, labels, batch_size, seed
        self.weights, self.mixup = weights, mixup
        self.start(epoch)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return math.ceil(len(self.labels) / self.batch_size)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, ...]:
        """Give one batch of this epoch: rows [b, ...], labels [b, ...] and, if there are any, weights [b]."""
        indices = self._order[batch * self.batch_size : (batch + 1) * self.batch_size]
        arrays = [self.rows.take(indices, self.epoch), self.labels[indices]]
        if self.weights is not None:
            arrays.append(self.weights[indices])
        if self.mixup:
            draw = np.random.default_rng((self.seed or 0, self.epoch, batch))
            share, order = np.float32(draw.beta(self.mixup, self.mixup)), draw.permutation(len(indices))
            arrays = [share * each.astype(np.float32) + (1 - share) * each[order].astype(np.float32) for each in arrays]
        return tuple(arrays)

    def start(self, epoch: int) -> None:
        """Take up an epoch's order and views. Keras's own `on_epoch_end` can't tell: it comes once before the first."""
        self.epoch = epoch
        self._order = epoch_order(len(self.labels), self.seed, epoch)


def epoch_order(count: int, seed: int | None, epoch: int) -> np.ndarray:
    """Give the order in which an epoch visits `count` photos; it depends on the arguments alone."""
    if seed is None:
        return np.arange(count)
    return np.random.default_rng((seed, epoch)).permutation(count)


def predict(model: keras.Model, rows: Rows, batch_size: int, views: int = 1) -> np.ndarray:
    """Run a model on photos in their own order; gives its output [photos, ...].

    The last batch is filled up: TensorFlow would trace the model once more for a smaller one.

    Args:
        model: takes in the rows.
        rows: of the photos; epoch e gives view e.
        batch_size: photos a call.
        views: over how many the output is averaged.
    """
    batch_size = min(batch_size, len(rows))
    count = math.ceil(len(rows) / batch_size) * batch_size
    batches = Batches(_Repeated(rows), np.zeros(count, "int32"), batch_size)
    total: Any = 0
    with whole_batches():
        for view in range(views):
            batches.start(view)
            total = total + model.predict(for_keras(batches), verbose=0)[: len(rows)]  # pyright: ignore[reportArgumentType]
    return total / views


def every_view(batches: Batches, views: int) -> Batches:
    """Give all views of the photos as photos of their own, in order: all in view 0, then all in view 1 and so on."""
    if views == 1:
        return batches
    weights = None if batches.weights is None else np.tile(batches.weights, views)
    rows, labels = _EveryView(batches.rows, views), np.tile(batches.labels, views)
    return Batches(rows, labels, batches.batch_size, weights=weights)


@dataclass(frozen=True)
class _EveryView:
    """Photos in one view behind the same photos in the view before."""

    rows: Rows
    views: int

    def __len__(self) -> int:
        return len(self.rows) * self.views

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        views, photos = np.divmod(indices, len(self.rows))
        sorted_rows = np.concatenate([self.rows.take(photos[views == view], view) for view in np.unique(views)])
        return sorted_rows[np.argsort(np.argsort(views, kind="stable"))]


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
    its tuning thread is stopped, which is twice an epoch. A GPU gets batches that were made while it worked.
    """
    if keras.backend.backend() != "tensorflow":
        return _MadeAhead(batches) if on_gpu() else batches
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
    at_a_time = thread_count() if on_gpu() else None
    return tf.data.Dataset.range(len(batches)).map(batch, at_a_time).prefetch(1).with_options(options)


class _MadeAhead(keras.utils.PyDataset):
    """Batches that threads make before they are asked for, one after the other.

    Keras's own threads wait a tenth of a second at the end of each epoch.
    """

    def __init__(self, batches: Batches):
        super().__init__()
        self._batches, self._threads = batches, thread_count()
        self._pool = ThreadPoolExecutor(self._threads)
        self._made: dict[tuple[int, int], Future[tuple[np.ndarray, ...]]] = {}

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self._batches)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, ...]:
        """Give one batch of this epoch, and have those made that follow."""
        epoch, ahead = self._batches.epoch, range(batch, min(batch + self._threads + 1, len(self)))
        self._made = {
            (epoch, each): self._made.get((epoch, each)) or self._pool.submit(self._batches.__getitem__, each)
            for each in ahead
        }
        return self._made[epoch, batch].result()
