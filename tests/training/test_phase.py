"""One phase against plain Keras: what is trained, on which photos, and with which result."""

from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny import tiny_backbone, tiny_photos

from unfreeze.config import Augmentation
from unfreeze.features.cut import find_cut, split
from unfreeze.features.frozen import trained_part
from unfreeze.models.classifier import (
    backbone_of,
    build_classifier,
    feature_extractor,
    reused_classifier,
    without_augmentation,
)
from unfreeze.training.batches import Batches, epoch_order
from unfreeze.training.custom import Custom
from unfreeze.training.phase import train_phase

UNFROZEN = ("conv2", "bn2", "relu2")
EPOCHS, BATCH, COUNT = 3, 8, 30
FLIP = Augmentation(flip="horizontal")
SGD = Custom(optimizer=keras.optimizers.SGD(momentum=0.9))


class Rows:
    """Photos, in training lighter by their epoch's number; it is noted which were taken when."""

    def __init__(self, photos: np.ndarray, lighter: bool = False):
        self._photos, self._lighter = photos, lighter
        self.taken: list[tuple[int, list[int]]] = []

    def __len__(self) -> int:
        return len(self._photos)

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        self.taken.append((epoch, indices.tolist()))
        return self._photos[indices] + (np.uint8(epoch) if self._lighter else 0)


def train(classifier: keras.Model, unfrozen=UNFROZEN, first=0, callbacks=(), rate=0.01) -> tuple[keras.Model, Rows]:
    """Train on the photos, epochs counted from `first`."""
    photos, labels = tiny_photos(COUNT)
    trained, rows = without_augmentation(classifier), Rows(photos, lighter=True)
    batches = Batches(rows, labels, BATCH, seed=4, epoch=first)
    validation = Batches(Rows(photos[:7]), labels[:7], BATCH) if callbacks else None
    train_phase(classifier, trained, unfrozen, rate, batches, validation, range(first, first + EPOCHS), callbacks)
    return trained, rows


def weights(layer: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in layer.weights]


def moved(classifier: keras.Model, before: keras.Model) -> set[str]:
    """Name the weights that differ between two classifiers of the same structure."""
    pairs = zip(classifier.weights, before.weights, strict=True)
    return {mine.path for mine, theirs in pairs if not np.array_equal(mine.numpy(), theirs.numpy())}


@pytest.mark.parametrize(
    ("unfrozen", "expected"),
    [
        ((), set()),
        (("bn2", "relu2"), {"bn2/gamma", "bn2/beta"}),
        (UNFROZEN, {"conv2/kernel", "bn2/gamma", "bn2/beta"}),
    ],
)
def test_head_and_unfrozen_weights_are_trained_and_no_statistics_move(unfrozen, expected):
    classifier, untouched = build_classifier(tiny_backbone(), 3), build_classifier(tiny_backbone(), 3)
    train(classifier, unfrozen)
    assert moved(backbone_of(classifier), backbone_of(untouched)) == expected
    for mine, theirs in zip(weights(classifier.get_layer("head")), weights(untouched.get_layer("head")), strict=True):
        assert (mine != theirs).all()


def test_a_second_phase_trains_other_layers_and_forgets_the_first_optimizer():
    classifier = build_classifier(tiny_backbone(), 3)
    train(classifier, unfrozen=())
    between = keras.models.clone_model(classifier)
    between.set_weights(classifier.get_weights())
    trained, _ = train(classifier, UNFROZEN, first=EPOCHS, rate=0.001)
    assert moved(backbone_of(classifier), backbone_of(between)) == {"conv2/kernel", "bn2/gamma", "bn2/beta"}
    assert float(trained.optimizer.learning_rate) == pytest.approx(0.001)
    assert int(trained.optimizer.iterations) == EPOCHS * 4


def test_each_epoch_sees_its_own_view_of_every_photo_once():
    for first in (0, 2):
        _, rows = train(build_classifier(tiny_backbone(), 3), first=first)
        epochs = range(first, first + EPOCHS)
        assert {epoch for epoch, _ in rows.taken} == set(epochs)
        for epoch in epochs:
            batches = [indices for when, indices in rows.taken if when == epoch][-4:]  # fit looks at the first twice
            assert np.concatenate(batches).tolist() == epoch_order(COUNT, seed=4, epoch=epoch).tolist()


def test_it_is_plain_keras_on_the_same_batches():
    classifier, plain = build_classifier(tiny_backbone(), 3, FLIP, seed=2), plain_model()
    plain.set_weights(weights(without_augmentation(classifier)))
    history = keras.callbacks.History()
    trained, rows = train(classifier, callbacks=[history])

    photos, labels = tiny_photos(COUNT)
    plain.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    batches = rows.taken[-EPOCHS * 4 :]
    losses = [float(plain.train_on_batch(photos[batch] + np.uint8(epoch), labels[batch])) for epoch, batch in batches]
    for mine, theirs in zip(weights(trained), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    of_epochs = np.average(np.reshape(losses, (EPOCHS, 4)), axis=1, weights=[8, 8, 8, 6])
    np.testing.assert_allclose(history.history["loss"], of_epochs, rtol=1e-4)

    expected = plain.predict(photos[:7], verbose=0)
    np.testing.assert_allclose(trained.predict(photos[:7], verbose=0), expected, atol=1e-5)
    assert history.history["val_accuracy"][-1] == pytest.approx(np.mean(expected.argmax(axis=1) == labels[:7]))
    assert history.history["val_loss"][-1] == pytest.approx(-np.log(expected[range(7), labels[:7]]).mean(), rel=1e-4)


@pytest.mark.parametrize("unfrozen", [(), UNFROZEN])
def test_the_suffix_alone_trains_the_same(unfrozen):
    photos, labels = tiny_photos(COUNT)
    results = []
    for alone in (False, True):
        classifier = build_classifier(tiny_backbone(), 3, seed=2)
        trained, inputs = without_augmentation(classifier), photos
        if alone:
            extractor = feature_extractor(classifier)
            prefix, _ = split(extractor, find_cut(extractor, unfrozen))
            trained, inputs = trained_part(classifier, unfrozen), prefix.predict(photos, verbose=0)
        batches = Batches(Rows(inputs), labels, BATCH, seed=4)
        history = keras.callbacks.History()
        train_phase(classifier, trained, unfrozen, 0.01, batches, None, range(EPOCHS), [history])
        results.append([*weights(classifier), history.history["loss"], history.history["accuracy"]])
    for whole, suffix in zip(*results, strict=True):
        np.testing.assert_allclose(suffix, whole, atol=1e-5)


@pytest.mark.parametrize("unfrozen", [(), UNFROZEN])
def test_the_next_experiment_trains_the_same_without_tracing_again(unfrozen):
    photos, labels = tiny_photos(COUNT)
    backbone = tiny_backbone()
    start, parts, functions = backbone.get_weights(), [], []

    def trained_by(classifier: keras.Model, seed: int, rate: float, custom: Custom | None = None) -> list[np.ndarray]:
        extractor = feature_extractor(classifier)
        prefix, _ = split(extractor, find_cut(extractor, unfrozen))
        parts.append(trained_part(classifier, unfrozen))
        batches = Batches(Rows(prefix.predict(photos, verbose=0)), labels, BATCH, seed=seed)
        train_phase(classifier, parts[-1], unfrozen, rate, batches, None, range(EPOCHS), [], custom)
        functions.append(parts[-1].train_function)
        return [*weights(classifier), np.float32(parts[-1].optimizer.learning_rate)]

    for seed, rate, custom in [(0, 0.01, None), (1, 0.02, None), (2, 0.01, SGD), (3, 0.02, SGD), (4, 0.01, None)]:
        backbone.set_weights(start)
        again = trained_by(reused_classifier(backbone, 3, seed=seed), seed, rate, custom)
        fresh = trained_by(build_classifier(tiny_backbone(), 3, seed=seed), seed, rate, custom)
        for mine, theirs in zip(again, fresh, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert len({id(part) for part in parts[::2]}) == 1
    assert len({id(part) for part in parts[1::2]}) == 5
    shared = functions[::2]
    assert (shared[1] is shared[0]) == (keras.backend.backend() == "tensorflow")
    assert len({id(function) for function in shared[1:]}) == 4  # another optimizer means another function


class StoredNormalization(keras.layers.Layer):
    """What BatchNormalization is in inference mode: y = gamma (x - mean) / sqrt(variance + epsilon) + beta."""

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=input_shape[-1:], name="gamma")
        self.beta = self.add_weight(shape=input_shape[-1:], name="beta")
        self.mean = self.add_weight(shape=input_shape[-1:], name="mean", trainable=False)
        self.variance = self.add_weight(shape=input_shape[-1:], name="variance", trainable=False)

    def call(self, x):
        return self.gamma * (x - self.mean) / keras.ops.sqrt(self.variance + 1e-3) + self.beta


def plain_model() -> keras.Model:
    """Build the tiny network and its head anew, without any code of ours, with UNFROZEN trainable."""
    photo = keras.Input((16, 16, 3))
    x = photo / 128 - 1
    for number in (1, 2):
        trainable = number == 2
        x = keras.layers.Conv2D(6, 3, strides=2, use_bias=False, trainable=trainable)(x)
        x = keras.ops.relu(StoredNormalization(trainable=trainable)(x))
    x = keras.ops.mean(x, axis=(1, 2))
    return keras.Model(photo, keras.layers.Dense(3, activation="softmax")(x))
