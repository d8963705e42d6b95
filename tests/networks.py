"""Small backbones with random weights, built once for all tests."""

import functools

import keras
import numpy as np

from unfreeze.models.backbones import build_backbone

SIZE = 76  # the smallest that Inception takes, rounded up to a multiple of 4


@functools.lru_cache(maxsize=16)
def network(name: str) -> keras.Model:
    """Build a backbone for photos of SIZE; its BatchNormalization has statistics that make a difference.

    Every test gets the same one: leave its weights alone, and set `trainable` on all layers that matter.
    """
    keras.utils.set_random_seed(0)
    return with_statistics(build_backbone(name, SIZE, weights=None))


def with_statistics(model: keras.Model) -> keras.Model:
    """Give a model's BatchNormalization statistics that make a difference."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable, low, high in (
                (layer.gamma, 0.8, 1.2),
                (layer.beta, -0.2, 0.2),
                (layer.moving_mean, -0.2, 0.2),
                (layer.moving_variance, 0.8, 1.2),
            ):
                if variable is not None:
                    variable.assign(rng.uniform(low, high, variable.shape))
    return model


def fit_statistics(model: keras.Model) -> keras.Model:
    """Give BatchNormalization the statistics of eight photos of noise, so that features tell photos apart.

    Untrained layers make less of the differences from one to the next. All of its layers must be trainable.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentum = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    noise = np.random.default_rng(0).integers(0, 256, (8, *model.input_shape[1:])).astype("float32")
    model(noise, training=True)
    for layer, kept in zip(norms, momentum, strict=True):
        layer.momentum = kept
    return model


def photos() -> np.ndarray:
    """Two photos of noise, [2, SIZE, SIZE, 3], 0 to 255."""
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")


def run(model: keras.Model, inputs: object) -> np.ndarray:
    """Run a model as it runs outside training."""
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def assert_close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    """Compare arrays to a tolerance relative to their largest value, which must be an ordinary number."""
    scale = np.abs(expected).max()
    assert 1e-12 < scale < 1e12
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=tolerance)
