"""Matrix products in the place of 1 x 1 convolutions: the same numbers and gradients to rounding."""

from typing import Any

import keras
import numpy as np
import pytest

from unfreeze.features.pointwise import Pointwise, with_matrix_products

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((5, 6, 8))
    x = keras.layers.Conv2D(12, 1, use_bias=False, name="expand")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", name="filter")(x)
    x = keras.layers.Conv2D(8, 1, activation="relu", bias_initializer="ones", name="project")(x)
    x = keras.layers.Add(name="add")([x, inputs])
    x = keras.layers.Conv2D(4, 1, strides=2, name="strided")(x)
    x = keras.layers.Conv2D(4, 3, name="wide", padding="same")(x)
    return keras.Model(inputs, x)


@pytest.mark.skipif(not TENSORFLOW, reason="other backends keep their convolutions")
def test_only_pointwise_convolutions_are_replaced(network):
    kinds = {layer.name: type(layer) for layer in with_matrix_products(network).layers}
    replaced = {name for name, kind in kinds.items() if kind is Pointwise}
    assert replaced == {"expand", "project"}


def test_outputs_are_the_same_and_weights_are_shared(network):
    faster: Any = with_matrix_products(network)
    photos = np.random.default_rng(0).normal(size=(3, 5, 6, 8)).astype("float32")
    np.testing.assert_allclose(faster(photos), network(photos), rtol=1e-5, atol=1e-5)
    assert {id(weight) for weight in faster.weights} == {id(weight) for weight in network.weights}
    network.get_layer("project").trainable = False
    assert len(faster.trainable_weights) == len(network.trainable_weights) == 7


def test_training_comes_to_the_same_weights(network):
    rng = np.random.default_rng(1)
    photos, wanted = rng.normal(size=(16, 5, 6, 8)), rng.normal(size=(16, 3, 3, 4))
    start = network.get_weights()
    ends = []
    for model in (network, with_matrix_products(network)):
        network.set_weights(start)
        model.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)  # pyright: ignore[reportArgumentType]
        model.fit(photos, wanted, batch_size=4, epochs=2, shuffle=False, verbose=0)
        ends.append(network.get_weights())
    for ours, plain in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
