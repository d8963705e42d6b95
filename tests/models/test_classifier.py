"""The whole model: its structure, what it does outside training, and that anybody's Keras can load it."""

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny import SIZE, tiny_backbone, tiny_photos

from unfreeze.config import Augmentation
from unfreeze.models.classifier import (
    backbone_of,
    build_classifier,
    feature_extractor,
    reused_classifier,
    without_augmentation,
)

FOOD_VISION = Augmentation(flip="horizontal", rotation=0.2, zoom=0.2, height=0.2, width=0.2)


@pytest.fixture
def augmented() -> keras.Model:
    return build_classifier(tiny_backbone(), 3, FOOD_VISION, seed=5)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return tiny_photos(8)[0]


def outputs(model: keras.Model, photos: np.ndarray, training: bool = False) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(photos, training=training))


def test_the_parts_and_their_names(augmented):
    assert [layer.name for layer in augmented.layers] == ["photo", "augmentation", "tiny", "pooling", "head"]
    assert augmented.input_shape == (None, SIZE, SIZE, 3)
    assert augmented.output_shape == (None, 3)
    plain = build_classifier(tiny_backbone(), 3)
    assert [layer.name for layer in plain.layers] == ["photo", "tiny", "pooling", "head"]
    assert backbone_of(augmented).name == backbone_of(plain).name == "tiny"


def test_it_is_softmax_of_pooled_features(augmented, photos):
    features = keras.ops.convert_to_numpy(backbone_of(augmented)(photos, training=False)).mean(axis=(1, 2))
    kernel, bias = (keras.ops.convert_to_numpy(weight) for weight in augmented.get_layer("head").weights)
    logits = features @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs(augmented, photos), expected, atol=1e-6)
    np.testing.assert_allclose(outputs(feature_extractor(augmented), photos), features, atol=1e-6)


def test_a_reused_head_begins_anew():
    backbone = tiny_backbone()
    head = reused_classifier(backbone, 3, seed=1).get_layer("head")
    head.bias.assign([1, 2, 3])
    again = reused_classifier(backbone, 3, FOOD_VISION, seed=2)
    fresh = build_classifier(tiny_backbone(), 3, FOOD_VISION, seed=2)
    assert again.get_layer("head") is head
    assert head.get_config() == fresh.get_layer("head").get_config()
    assert [layer.name for layer in again.layers] == [layer.name for layer in fresh.layers]
    for mine, theirs in zip(again.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert reused_classifier(backbone, 4).output_shape == (None, 4)
    assert reused_classifier(tiny_backbone(), 3).get_layer("head") is not head


def test_the_seed_draws_the_head():
    kernels = [
        keras.ops.convert_to_numpy(build_classifier(tiny_backbone(), 3, seed=seed).get_layer("head").kernel)
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert np.abs(kernels[0] - kernels[2]).min() > 0
    limit = np.sqrt(6 / (6 + 3))  # Glorot and Bengio (2010), uniform
    assert 0.5 * limit < np.abs(kernels[0]).max() <= limit


def test_augmentation_is_active_in_training_only(augmented, photos):
    plain = build_classifier(tiny_backbone(), 3)
    plain.set_weights([weight.numpy() for weight in augmented.weights if "seed_generator" not in weight.path])
    np.testing.assert_array_equal(outputs(augmented, photos), outputs(plain, photos))
    first, second = outputs(augmented, photos, training=True), outputs(augmented, photos, training=True)
    assert np.abs(first - outputs(plain, photos)).max() > 1e-4
    assert np.abs(first - second).max() > 1e-4


def test_batch_normalization_keeps_its_statistics_in_training(photos):
    classifier = build_classifier(tiny_backbone(), 3)
    bare = without_augmentation(classifier)
    before = [weight.numpy() for weight in classifier.weights]
    np.testing.assert_array_equal(outputs(bare, photos, training=True), outputs(classifier, photos))
    for weight, value in zip(classifier.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_without_augmentation_shares_every_weight(augmented, photos):
    bare = without_augmentation(augmented)
    np.testing.assert_array_equal(outputs(bare, photos, training=True), outputs(augmented, photos))
    before = outputs(augmented, photos)
    backbone_of(augmented).get_layer("conv2").kernel.assign_add(np.full((3, 3, 6, 6), 0.01))
    bare.get_layer("head").bias.assign([0.5, 0, 0])
    assert np.abs(outputs(augmented, photos) - before).max() > 0.01
    np.testing.assert_array_equal(outputs(bare, photos), outputs(augmented, photos))


def test_a_saved_model_is_an_ordinary_keras_model(augmented, photos, tmp_path):
    file = tmp_path / "model.keras"
    augmented.save(file)
    loaded: Any = keras.saving.load_model(file, safe_mode=True)
    np.testing.assert_array_equal(outputs(loaded, photos), outputs(augmented, photos))
    assert [layer.name for layer in loaded.get_layer("augmentation").layers] == [
        "flip_horizontal",
        "rotation",
        "zoom",
        "height_and_width",
    ]
    assert np.abs(outputs(loaded, photos, training=True) - outputs(loaded, photos)).max() > 1e-4

    with zipfile.ZipFile(file) as archive:
        config = json.loads(archive.read("config.json"))
    modules = set(values(config, "module"))
    assert modules
    assert all(module is None or module.split(".")[0] == "keras" for module in modules)
    assert set(values(config, "registered_name")) <= {None, "Functional", "Sequential"}
    assert "Lambda" not in values(config, "class_name")


def values(config: Any, key: str) -> Iterator[Any]:
    """Give every value that stands under a key, however deep."""
    if isinstance(config, dict):
        if key in config:
            yield config[key]
        config = list(config.values())
    if isinstance(config, list):
        for inner in config:
            yield from values(inner, key)
