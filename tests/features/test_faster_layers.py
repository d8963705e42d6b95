"""Layers in another form: the same numbers and gradients to rounding."""

from typing import Any

import keras
import numpy as np
import pytest

from unfreeze.features.faster_layers import Normalization, Pointwise, with_faster_layers
from unfreeze.models.classifier import InferenceMode

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((5, 6, 8))
    x = keras.layers.Conv2D(12, 1, use_bias=False, name="expand")(x)
    x = keras.layers.BatchNormalization(name="normal")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="filter")(x)
    x = keras.layers.Conv2D(8, 1, activation="relu", bias_initializer="ones", name="project")(x)
    x = keras.layers.Add(name="add")([x, inputs])
    x = keras.layers.Conv2D(4, 1, strides=2, name="strided")(x)
    x = keras.layers.Conv2D(4, 3, name="wide", padding="same")(x)
    network = keras.Model(inputs, x)
    normal: Any = network.get_layer("normal")
    rng = np.random.default_rng(2)
    normal.set_weights([rng.uniform(0.5, 2, 12) for _ in normal.weights])
    return network


@pytest.mark.skipif(not TENSORFLOW, reason="other backends keep their layers")
def test_what_has_a_faster_form_is_replaced_and_nothing_else(network):
    kinds = {layer.name: type(layer) for layer in with_faster_layers(network).layers}
    assert {name for name, kind in kinds.items() if kind is Pointwise} == {"expand", "project"}
    assert {name for name, kind in kinds.items() if kind is Normalization} == {"normal"}


def test_outputs_are_the_same_and_weights_are_shared(network):
    faster: Any = with_faster_layers(network)
    photos = np.random.default_rng(0).normal(size=(3, 5, 6, 8)).astype("float32")
    np.testing.assert_allclose(faster(photos), network(photos), rtol=1e-5, atol=1e-5)
    assert {id(weight) for weight in faster.weights} == {id(weight) for weight in network.weights}
    network.get_layer("project").trainable = False
    assert len(faster.trainable_weights) == len(network.trainable_weights) == 9


def test_statistics_of_a_batch_are_used_where_they_are_asked_for(network):
    photos = np.random.default_rng(0).normal(size=(3, 5, 6, 8)).astype("float32")
    start = network.get_weights()
    ours = with_faster_layers(network)(photos, training=True)
    moved = network.get_weights()
    assert not np.array_equal(moved[3], start[3])
    network.set_weights(start)
    np.testing.assert_allclose(ours, network(photos, training=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moved[3], network.get_weights()[3], rtol=1e-5)


def test_training_comes_to_the_same_weights(network):
    rng = np.random.default_rng(1)
    photos, wanted = rng.normal(size=(16, 5, 6, 8)), rng.normal(size=(16, 3, 3, 4))
    start = network.get_weights()
    ends = []
    for model in (network, with_faster_layers(network)):
        network.set_weights(start)
        photo = keras.Input(photos.shape[1:])
        trained: Any = keras.Model(photo, InferenceMode(model)(photo))
        trained.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
        trained.fit(photos, wanted, batch_size=4, epochs=2, shuffle=False, verbose=0)
        ends.append(network.get_weights())
    assert not np.array_equal(ends[0][1], start[1])
    for ours, plain in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
