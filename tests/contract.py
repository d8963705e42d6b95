"""What everything relies on in a backbone: a test of a new one is a call of `check_backbone`."""

from pathlib import Path
from unittest import mock

import keras
import numpy as np

from tests.networks import assert_close, run
from unfreeze.features import engine as engine_module
from unfreeze.features.cut import find_cut, split
from unfreeze.features.engine import Engine
from unfreeze.models.classifier import backbone_of, build_classifier, feature_extractor
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.models.weights import weights_sha256


def check_backbone(backbone: keras.Model, folder: Path, share: float = 1.0, in_onnx: bool = True) -> None:
    """Check that a backbone can be classified with, cut, exported, saved and loaded.

    Args:
        backbone: as `build_backbone` gives it, with any weights.
        folder: for files.
        share: of its layers that are exported, from the first on; exporting takes longest.
        in_onnx: whether ONNX Runtime can run it, else Keras does and says why.
    """
    size = backbone.input_shape[1]
    assert backbone.input_shape == (None, size, size, 3)
    assert len(backbone.output_shape) == 4
    assert None not in backbone.output_shape[1:]
    photos = np.random.default_rng(0).integers(0, 256, (3, size, size, 3)).astype("float32")
    classifier = build_classifier(backbone, 3)
    extractor = feature_extractor(classifier)
    features = run(extractor, photos)
    assert features.shape == (3, backbone.output_shape[-1])
    assert np.ptp(features, axis=0).max() > 1e-3 * np.abs(features).max()  # not the same for every photo
    check_cut(extractor, backbone, photos, features)
    check_engine(extractor, backbone, share, photos.astype(np.uint8), folder, in_onnx)
    check_files(classifier, photos, folder)


def check_cut(extractor: keras.Model, backbone: keras.Model, photos: np.ndarray, features: np.ndarray) -> None:
    """Both sides of a cut together are the whole."""
    prefix, suffix = split(extractor, find_cut(extractor, unfrozen_layers(backbone, len(backbone.layers) // 3)))
    between = prefix(photos, training=False) if prefix else photos
    assert_close(run(suffix, between) if suffix else keras.ops.convert_to_numpy(between), features)


def check_engine(
    extractor: keras.Model, backbone: keras.Model, share: float, photos: np.ndarray, folder: Path, in_onnx: bool
) -> None:
    """The engine for frozen layers gives what Keras gives."""
    if share < 1:
        last = backbone.layers[round(share * len(backbone.layers))]
        extractor = keras.Model(extractor.input, last.output)
    expected = run(extractor, photos)
    tolerance = rounding(extractor, photos, expected)
    engine = Engine(extractor, folder / "engines")
    with mock.patch.object(engine_module, "TOLERANCE", tolerance):
        engine.prepare(photos)
    assert engine.choice is not None
    assert engine.is_exported == in_onnx, engine.choice.why
    assert bool(engine.choice.why) != in_onnx
    assert_close(engine.run(photos), expected, tolerance)


def rounding(model: keras.Model, photos: np.ndarray, expected: np.ndarray) -> float:
    """Say how far rounding may move a model's output, relative to its largest number.

    Deep networks with random weights blow up every difference, some ten thousandfold. How much is seen by changing all
    weights by as much as rounding does; an engine may be five times as far off. An export that is wrong moves the
    output by more than a tenth.
    """
    weights, draw = model.get_weights(), np.random.default_rng(1)
    model.set_weights([(each * (1 + 1e-7 * draw.normal(size=each.shape))).astype(each.dtype) for each in weights])
    moved = np.abs(run(model, photos) - expected).max() / np.abs(expected).max()
    model.set_weights(weights)
    assert moved < 0.01
    return max(1e-4, 5 * moved)


def check_files(classifier: keras.Model, photos: np.ndarray, folder: Path) -> None:
    """A saved model predicts the same to the last bit, and so does a new one with its weights."""
    expected = run(classifier, photos)
    classifier.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(run(loaded, photos), expected)
    names = [layer.name for layer in backbone_of(classifier).layers]
    assert [layer.name for layer in backbone_of(loaded).layers] == names
    assert len(set(names)) == len(names)

    classifier.save_weights(folder / "model.weights.h5")
    for variable in loaded.weights:
        variable.assign(keras.ops.zeros_like(variable))
    loaded.load_weights(folder / "model.weights.h5")
    np.testing.assert_array_equal(run(loaded, photos), expected)
    assert weights_sha256(loaded) == weights_sha256(classifier)
