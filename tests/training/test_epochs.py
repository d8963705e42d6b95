"""Epochs: the same batches whatever form data has, and streams as they come."""

import keras
import numpy as np
import pytest

from unfreeze.features.any_model import CutError
from unfreeze.training import epochs
from unfreeze.training.batches import epoch_order
from unfreeze.training.epochs import EpochBatches, epochs_of
from unfreeze.training.fit_data import open_data

PHOTOS = np.arange(10 * 12, dtype="uint8").reshape(10, 2, 2, 3)
LABELS = np.arange(10)
WEIGHTS = np.linspace(0, 1, 10, dtype="float32")


class Computed:
    """Stands in for frozen layers: sums each photo, notes how many it was given, and finds them again by name."""

    def __init__(self):
        self.by_name, self.counts = {}, []

    def __call__(self, photos):
        new = [index for index, name in enumerate(photos.keys(0)) if name not in self.by_name]
        if new:
            sums = photos.take(np.array(new)).sum((1, 2, 3))
            self.by_name |= {photos.keys(0)[index]: total for index, total in zip(new, sums, strict=True)}
            self.counts.append(len(new))
        return Found([self.by_name[name] for name in photos.keys(0)])


class Found:
    def __init__(self, sums):
        self.sums = np.array(sums)

    def __len__(self):
        return len(self.sums)

    def take(self, indices, epoch):
        return self.sums[indices]


def batches_of(data, *beside, seed=None, epoch=0, computed=None):
    opened = open_data(data, *beside)
    batches = EpochBatches(epochs_of(opened, computed or Computed(), batch_size=4, seed=seed), epoch)
    return [batches[number] for number in range(len(batches))]


def pairs(*arrays):
    return [tuple(array[start : start + 4] for array in arrays) for start in (0, 4, 8)]


class Pairs(keras.utils.PyDataset):
    ended = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return pairs(PHOTOS, LABELS)[index]

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize(
    "data",
    [(PHOTOS, LABELS), [PHOTOS, LABELS], pairs(PHOTOS, LABELS), Pairs()],
    ids=["tuple", "list of arrays", "list of pairs", "PyDataset"],
)
def test_every_form_of_data_gives_the_same_batches(data):
    found = batches_of(data)
    assert [len(rows) for rows, _ in found] == [4, 4, 2]
    assert np.concatenate([rows for rows, _ in found]).tolist() == PHOTOS.sum((1, 2, 3)).tolist()
    assert np.concatenate([labels for _, labels in found]).tolist() == LABELS.tolist()


def test_a_py_dataset_hears_of_the_end_of_its_epochs():
    data = Pairs()
    batches = EpochBatches(epochs_of(open_data(data), Computed(), 4, None))
    assert data.ended == 1
    batches.start(0)  # it is there already
    batches.start(1)
    assert data.ended == 2


def test_weights_and_structures_of_labels_go_with_their_photos():
    named = {"number": LABELS, "square": LABELS[:, None] ** 2}
    for data in ((PHOTOS, named, WEIGHTS), [(PHOTOS, named, WEIGHTS)]):
        found = batches_of(data, seed=3) if isinstance(data, tuple) else batches_of(data)
        for rows, labels, weights in found:
            assert rows.tolist() == PHOTOS.sum((1, 2, 3))[labels["number"]].tolist()
            assert labels["square"].tolist() == [[number**2] for number in labels["number"]]
            assert weights.tolist() == WEIGHTS[labels["number"]].tolist()


def test_orders_follow_from_seed_and_epoch():
    orders = {}
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        found = batches_of(PHOTOS, LABELS, seed=seed, epoch=epoch)
        orders[seed, epoch] = np.concatenate([labels for _, labels in found]).tolist()
        assert orders[seed, epoch] == epoch_order(10, seed, epoch).tolist()
    assert len(set(map(tuple, orders.values()))) == 3


def test_a_stream_is_computed_in_parts_and_once(monkeypatch):
    monkeypatch.setattr(epochs, "CHUNK_BYTES", PHOTOS[:5].nbytes)
    computed = Computed()
    data = pairs(PHOTOS, LABELS)
    batches = EpochBatches(epochs_of(open_data(data), computed, 4, None))
    assert computed.counts == [8, 2]
    data.reverse()
    batches.start(1)
    assert computed.counts == [8, 2]
    assert [labels.tolist() for _, labels in (batches[0], batches[2])] == [[8, 9], [0, 1, 2, 3]]
    data[0] = (255 - PHOTOS[8:], LABELS[8:])  # new photos
    batches.start(2)
    assert computed.counts == [8, 2, 2]
    assert batches[0][0].tolist() == (255 - PHOTOS[8:].astype(int)).sum((1, 2, 3)).tolist()


def test_an_empty_stream():
    with pytest.raises(CutError, match="its data is empty"):
        batches_of([])
