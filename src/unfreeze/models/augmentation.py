"""Augmentation as Keras layers: what a saved model carries, active in training only.

unfreeze's own training draws its views before the model (`data/views.py`), with the same meaning. These layers
make the saved model an ordinary Keras model on which anybody can train further.
"""

from collections.abc import Callable

import keras

from unfreeze.config import Augmentation


def augmentation_layers(augment: Augmentation, seed: int) -> keras.Sequential:
    """Build the random layers that `augment` describes, as one layer named `augmentation`.

    Args:
        augment: what may change and how far; what it leaves at 0 has no layer.
        seed: of the layers' random numbers, which are independent of each other.
    """
    layers: list[keras.Layer] = []

    def add(kind: Callable[..., keras.Layer], *factors: str | float, name: str, **options: str) -> None:
        # A seed of its own for each: with equal seeds all would draw the same number, and zoom go with rotation.
        layers.append(kind(*factors, seed=seed + len(layers), name=name, **options))

    # Keras draws once for both axes of `horizontal_and_vertical`; each has its own chance here.
    for axis in augment.flip.split("_and_") if augment.flip else []:
        add(keras.layers.RandomFlip, axis, name=f"flip_{axis}")
    if augment.rotation:
        add(keras.layers.RandomRotation, augment.rotation, fill_mode="reflect", name="rotation")
    if augment.zoom:
        add(keras.layers.RandomZoom, augment.zoom, fill_mode="reflect", name="zoom")
    if augment.height or augment.width:
        factors = augment.height, augment.width
        add(keras.layers.RandomZoom, *factors, fill_mode="reflect", name="height_and_width")
    return keras.Sequential(layers, name="augmentation")
