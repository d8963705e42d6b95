"""What TensorFlow's exporter can't do by itself runs in ONNX Runtime all the same."""

import keras
import numpy as np
import pytest
from tests.networks import assert_close, run

from unfreeze.features.engine import Engine
from unfreeze.features.onnx_gaps import exportable

ROWS = np.random.default_rng(0).normal(0, 3, (5, 8, 8, 4)).astype(np.float32)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "layer",
    [keras.layers.Activation("gelu"), keras.layers.Conv2D(4, 3, groups=4), keras.layers.Conv2D(6, 3, groups=2)],
    ids=["gelu", "depthwise", "grouped"],
)
def test_it_gives_what_keras_gives(layer, tmp_path, news):
    photo = keras.Input((8, 8, 4))
    model = keras.Model(photo, keras.layers.Conv2D(3, 1)(layer(photo)))
    engine = Engine(model, tmp_path)
    engine.prepare(ROWS)
    assert engine.is_exported, engine.choice
    assert news == []
    assert_close(engine.run(ROWS), run(model, ROWS))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="is about TensorFlow")
def test_functions_run_as_before_afterwards():
    import tensorflow as tf

    for before in (False, True):
        tf.config.run_functions_eagerly(before)
        with exportable():
            assert tf.config.functions_run_eagerly()
        assert tf.config.functions_run_eagerly() == before
    tf.config.run_functions_eagerly(False)
