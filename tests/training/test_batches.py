"""Batches: every photo once an epoch, in an order and a view that follow from seed and epoch alone."""

import keras
import numpy as np
import pytest

from unfreeze.training.batches import Batches, epoch_order, every_view, for_keras, predict
from unfreeze.training.callbacks import EpochStart


class NotedRows:
    """Rows that hold their number and the epoch that they were asked for."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        return np.column_stack([indices, np.full(len(indices), epoch)]).astype("float32")


def batches_of(count: int, seed: int | None = 7, epoch: int = 0) -> Batches:
    return Batches(NotedRows(count), np.arange(count) % 3, batch_size=4, seed=seed, epoch=epoch)


@pytest.mark.parametrize("count", [1, 4, 75, 1000])
def test_an_epoch_is_a_permutation(count):
    for epoch in range(3):
        assert sorted(epoch_order(count, seed=3, epoch=epoch)) == list(range(count))


def test_the_order_follows_from_seed_and_epoch_alone():
    names = [(seed, epoch) for seed in range(4) for epoch in range(4)]
    orders = {name: tuple(epoch_order(50, *name)) for name in names}
    assert len(set(orders.values())) == 16
    assert all(tuple(epoch_order(50, *name)) == orders[name] for name in reversed(names))
    # numpy.random.default_rng((0, 1)).permutation(8), the same on every machine
    assert epoch_order(8, seed=0, epoch=1).tolist() == [1, 3, 7, 6, 0, 4, 2, 5]


def test_without_a_seed_photos_keep_their_order():
    assert epoch_order(5, seed=None, epoch=3).tolist() == [0, 1, 2, 3, 4]
    rows, labels = batches_of(6, seed=None)[1]
    assert rows[:, 0].tolist() == [4, 5]
    assert labels.tolist() == [1, 2]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (4, [4]), (8, [4, 4]), (10, [4, 4, 2])])
def test_the_last_batch_may_be_smaller(count, sizes):
    batches = batches_of(count)
    assert len(batches) == len(sizes)
    assert [len(batches[number][0]) for number in range(len(batches))] == sizes


def test_views_can_be_photos_of_their_own():
    sizes = np.arange(5, dtype="float32")
    batches = Batches(NotedRows(5), np.arange(5) % 3, batch_size=4, weights=sizes)
    views = every_view(batches, 3)
    photos, seen = np.concatenate([views[number][0] for number in range(len(views))]).T
    assert photos.tolist() == list(range(5)) * 3
    assert seen.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert views.labels.tolist() == batches.labels.tolist() * 3
    assert views.weights.tolist() == sizes.tolist() * 3
    assert views.rows.take(np.array([11, 3, 6, 4]), 7).tolist() == [[1, 2], [3, 0], [1, 1], [4, 0]]
    assert every_view(batches, 1) is batches


def test_labels_go_with_their_photos():
    batches = batches_of(10, epoch=2)
    rows, labels = (np.concatenate(part) for part in zip(*(batches[number] for number in range(3)), strict=True))
    assert rows[:, 0].tolist() == epoch_order(10, seed=7, epoch=2).tolist()
    assert labels.tolist() == (rows[:, 0] % 3).tolist()
    assert set(rows[:, 1]) == {2}


class Noting(keras.Model):
    """Learns nothing and notes what it is given."""

    def train_step(self, data):
        self.seen.append([np.asarray(part) for part in data])
        return {"loss": 0.0}


def test_keras_gets_the_batches_of_the_epoch_that_was_started():
    batches, model = batches_of(10), Noting()
    model.seen = []
    model.compile(run_eagerly=True)
    model.fit(for_keras(batches), epochs=2, callbacks=[EpochStart(batches)], shuffle=False, verbose=0)
    expected = [batch for epoch in range(2) for batch in map(batches_of(10, epoch=epoch).__getitem__, range(3))]
    assert len(model.seen) == 6
    for seen, batch in zip(model.seen, expected, strict=True):
        for given, wanted in zip(seen, batch, strict=True):
            np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize("count", [1, 4, 10])
def test_predictions_are_of_the_photos_in_their_own_order(count):
    class Shown(keras.Model):
        def predict_step(self, data):
            sizes.append(len(data[0]))
            return data[0] * 2.0

    sizes: list[int] = []
    model = Shown()
    model.compile(run_eagerly=True)
    rows = batches_of(count, seed=None).rows
    given = predict(model, rows, batch_size=4)
    np.testing.assert_array_equal(given, 2 * rows.take(np.arange(count), 0))
    assert set(sizes) == {min(count, 4)}
