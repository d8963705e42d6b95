"""A backbone of six layers for tests of training: an epoch takes milliseconds."""

import keras
import numpy as np

SIZE = 16


def tiny_backbone(seed: int = 0) -> keras.Model:
    """Build a network with two convolutions and random weights, for photos of SIZE.

    Its BatchNormalization has statistics that make a difference, so running it in training mode would show.
    """
    rng = np.random.default_rng(seed)
    photo = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 128, offset=-1, name="rescaling")(photo)
    for number in (1, 2):
        x = keras.layers.Conv2D(6, 3, strides=2, use_bias=False, name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"bn{number}")(x)
        x = keras.layers.ReLU(name=f"relu{number}")(x)
    backbone = keras.Model(photo, x, name="tiny")
    backbone.set_weights([rng.uniform(0.1, 1, weight.shape) - 0.4 * (weight.ndim > 1) for weight in backbone.weights])
    return backbone


def tiny_photos(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make photos whose brightness tells their class: uint8 [count, SIZE, SIZE, 3], and class numbers."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % classes
    noise = rng.integers(0, 150, (count, SIZE, SIZE, 3))
    return (noise + (labels * 50)[:, None, None, None]).astype(np.uint8), labels
