"""Layers in another form: the same numbers and gradients to rounding."""

from typing import Any

import keras
import numpy as np
import pytest

from unfreeze.features.faster_layers import Folded, Normalization, with_faster_layers
from unfreeze.models.classifier import InferenceMode

TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.fixture
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((5, 6, 8))
    x = keras.layers.BatchNormalization(name="first_normal")(x)
    x = keras.layers.Conv2D(12, 1, use_bias=False, name="expand")(x)
    x = keras.layers.BatchNormalization(name="expand_normal")(x)
    x = keras.layers.ReLU(6, name="expand_relu")(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="filter")(x)
    x = keras.layers.BatchNormalization(name="filter_normal", scale=False)(x)
    x = keras.layers.Activation("swish", name="filter_swish")(x)
    x = keras.layers.Conv2D(8, 1, activation="relu", bias_initializer="ones", name="project")(x)
    x = keras.layers.BatchNormalization(name="late_normal")(x)
    x = keras.layers.Add(name="add")([x, inputs])
    x = keras.layers.Conv2D(4, 1, strides=2, name="strided")(x)
    x = y = keras.layers.Conv2D(4, 3, name="wide", padding="same", bias_initializer="ones")(x)
    x = keras.layers.BatchNormalization(name="wide_normal", center=False)(x)
    x = z = keras.layers.Conv2D(4, 1, name="used_twice")(x)
    x = keras.layers.BatchNormalization(name="beside_normal")(x)
    network = keras.Model(inputs, keras.layers.Add(name="end")([x, y, z]))
    rng = np.random.default_rng(2)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in layer.weights])
    return network


@pytest.mark.skipif(not TENSORFLOW, reason="other backends keep their layers")
def test_what_has_a_faster_form_is_replaced_and_nothing_else(network):
    faster: Any = with_faster_layers(network)
    folded = {
        layer.name: [part and part.name for part in (layer.normalization, layer.activation)]
        for layer in faster.layers
        if type(layer) is Folded
    }
    assert folded == {
        "expand": ["expand_normal", "expand_relu"],
        "filter": ["filter_normal", "filter_swish"],
        "project": [None, None],
        "used_twice": [None, None],
    }
    kept = {layer.name: type(layer) for layer in faster.layers if type(layer) is not Folded}
    assert {name for name, kind in kept.items() if kind is Normalization} == {
        "first_normal",
        "late_normal",
        "beside_normal",
    }
    assert kept["wide"] is kept["strided"] is keras.layers.Conv2D
    assert kept["wide_normal"] is keras.layers.BatchNormalization


@pytest.mark.skipif(not TENSORFLOW, reason="other backends keep their layers")
def test_layers_that_are_called_twice_stay_as_they_are():
    inputs = keras.Input((5, 6, 8))
    shared, normal = keras.layers.Conv2D(8, 1), keras.layers.BatchNormalization()
    conv_twice = keras.Model(inputs, normal(shared(shared(inputs))))
    normal_twice = keras.Model(inputs, keras.layers.ReLU()(normal(keras.layers.Conv2D(8, 1)(normal(inputs)))))
    photos = np.random.default_rng(0).normal(size=(3, 5, 6, 8)).astype("float32")
    for network, kinds in (
        (conv_twice, {keras.layers.Conv2D, Normalization}),
        (normal_twice, {keras.layers.BatchNormalization, Folded, keras.layers.ReLU}),
    ):
        faster: Any = with_faster_layers(network)
        assert {type(layer) for layer in faster.layers[1:]} == kinds
        np.testing.assert_allclose(faster(photos), network(photos), rtol=1e-5, atol=1e-5)


def test_outputs_are_the_same_and_weights_are_shared(network):
    faster: Any = with_faster_layers(network)
    photos = np.random.default_rng(0).normal(size=(3, 5, 6, 8)).astype("float32")
    np.testing.assert_allclose(faster(photos), network(photos), rtol=1e-5, atol=1e-5)
    assert {id(weight) for weight in faster.weights} == {id(weight) for weight in network.weights}
    network.get_layer("project").trainable = False
    assert len(faster.trainable_weights) == len(network.trainable_weights) == 19


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
