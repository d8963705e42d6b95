"""What TensorFlow's exporter can't do by itself runs in ONNX Runtime all the same."""

import keras
import numpy as np
import onnx
import pytest
from tests.networks import assert_close, run

from unfreeze.features.engine import Engine
from unfreeze.features.onnx_export import export_onnx
from unfreeze.features.onnx_from_tensorflow import LARGE_BYTES, opened_functions
from unfreeze.onnx_session import OnnxLayers

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
def test_functions_run_as_before_afterwards(tmp_path):
    import tensorflow as tf

    photo = keras.Input((8, 8, 4))
    model = keras.Model(photo, keras.layers.Conv2D(2, 1)(photo))
    for before in (False, True):
        tf.config.run_functions_eagerly(before)
        with opened_functions():
            assert tf.config.functions_run_eagerly()
        assert tf.config.functions_run_eagerly() == before
        export_onnx(model, tmp_path / "model.onnx")
        assert tf.config.functions_run_eagerly() == before
    tf.config.run_functions_eagerly(False)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="is about TensorFlow")
def test_large_weights_stand_in_the_file_as_they_are_used(tmp_path):
    photo = keras.Input((4, 4, 64))
    features = keras.layers.Conv2D(4096, 1, use_bias=False, name="large")(photo)
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.DepthwiseConv2D(3)(features))
    model = keras.Model(photo, keras.layers.Dense(3)(features))
    [kernel] = model.get_layer("large").get_weights()
    assert kernel.nbytes >= LARGE_BYTES
    export_onnx(model, tmp_path / "model.onnx")
    content = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(content)
    assert [each.name for each in content.graph.input] == [photo.name]
    used = {name for node in content.graph.node for name in node.input}
    assert {each.name for each in content.graph.initializer} <= used  # ONNX Runtime complains of others
    constants = [onnx.numpy_helper.to_array(each) for each in content.graph.initializer]
    assert any(np.array_equal(each, kernel.transpose(3, 2, 0, 1)) for each in constants)
    assert sum(each.nbytes for each in constants) < 1.01 * 4 * model.count_params() + 1000
    rows = np.random.default_rng(0).normal(0, 1, (5, 4, 4, 64)).astype(np.float32)
    assert_close(OnnxLayers(tmp_path / "model.onnx", 2).run(rows), run(model, rows))
