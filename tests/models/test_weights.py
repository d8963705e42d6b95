"""The fingerprint of weights: equal for equal weights, different for any difference."""

import hashlib

import keras
import numpy as np

from unfreeze.models.weights import weights_sha256


def small_model() -> keras.Model:
    photo = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(2, 3, name="convolution", kernel_initializer=keras.initializers.HeNormal(seed=1))(photo)
    return keras.Model(photo, keras.layers.BatchNormalization(name="bn")(x))


def test_known_value():
    """The hash of one weight, put together by hand."""
    layer = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones", name="dense")
    layer.build((None, 1))
    expected = hashlib.sha256(b"dense/kernel (1, 2) float32\n" + np.ones(2, "<f4").tobytes()).hexdigest()
    assert weights_sha256(layer) == expected


def test_same_after_saving_and_loading(tmp_path):
    model = small_model()
    model.save(tmp_path / "model.keras")
    assert weights_sha256(keras.models.load_model(tmp_path / "model.keras")) == weights_sha256(model)
    assert weights_sha256(small_model()) == weights_sha256(model)


def test_unnamed_weights_are_the_same_every_time():
    """Keras numbers them through a process: `variable_3` of one ConvNeXt is `variable_21` of the next."""

    class Scale(keras.layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(1,), initializer="ones")

    layers = [Scale(name="scale") for _ in range(2)]
    for layer in layers:
        layer.build((1,))
    assert layers[0].weights[0].path != layers[1].weights[0].path
    assert weights_sha256(layers[0]) == weights_sha256(layers[1])


def test_any_change_shows():
    model = small_model()
    before = weights_sha256(model)
    model.get_layer("bn").moving_mean.assign([0.0, np.float32(1e-30)])
    assert weights_sha256(model) != before


def test_of_some_layers():
    model = small_model()
    frozen = [model.get_layer("convolution")]
    before = weights_sha256(frozen)
    assert before == weights_sha256(frozen[0])
    model.get_layer("bn").gamma.assign([2.0, 2.0])
    assert weights_sha256(frozen) == before
    assert weights_sha256(model) != before


def test_trainable_or_not_makes_no_difference():
    model = small_model()
    before = weights_sha256(model)
    model.trainable = False
    assert weights_sha256(model) == before
