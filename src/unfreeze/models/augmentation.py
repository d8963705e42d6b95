"""Augmentation as Keras layers: what a saved model carries, active in training only.

unfreeze's own training draws its views before the model (`data/views.py`), with the same meaning. These layers
make the saved model an ordinary Keras model on which anybody can train further.
"""

import keras

from unfreeze.config import Augmentation


def augmentation_layers(augment: Augmentation, seed: int) -> keras.Sequential:
    """Build the random layers that `augment` describes, as one layer named `augmentation`.

    Args:
        augment: what may change and how far; what it leaves at 0 has no layer.
        seed: of the layers' random numbers.
    """
    layers: list[keras.Layer] = []
    # Keras draws once for both axes of `horizontal_and_vertical`; each has its own chance here.
    axes = augment.flip.split("_and_") if augment.flip else []
    layers += [keras.layers.RandomFlip(axis, seed=seed + number, name=f"flip_{axis}") for number, axis in enumerate(axes)]
    if augment.rotation:
        layers.append(
            keras.layers.RandomRotation(augment.rotation, fill_mode="reflect", seed=seed, name="rotation")
        )
    if augment.zoom:
        layers.append(keras.layers.RandomZoom(augment.zoom, fill_mode="reflect", seed=seed, name="zoom"))
    if augment.height or augment.width:
        stretch = keras.layers.RandomZoom(
            augment.height, augment.width, fill_mode="reflect", seed=seed, name="height_and_width"
        )
        layers.append(stretch)
    return keras.Sequential(layers, name="augmentation")
