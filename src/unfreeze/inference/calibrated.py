"""A run's network with its calibration inside, of Keras's own layers alone."""

from typing import Any

import keras

from unfreeze.data.turned import VIEWS, turned
from unfreeze.evaluation.calibration import LEAST


def calibrated_model(
    model: keras.Model, temperature: float, test_views: str | None, dtype: str = "float32"
) -> keras.Model:
    """Build the model that gives calibrated probabilities, sharing every weight; augmentation is left out.

    Args:
        model: from pixels to probabilities.
        temperature: as `calibrate` in `evaluation/calibration.py` takes it; 1 changes nothing.
        test_views: views of a photo over which its own probabilities are averaged, as a recipe names them.
        dtype: of the pixels.

    Returns:
        A model from pixels, 0 to 255, [batch, size, size, 3], to probabilities, [batch, classes].
    """
    photo: Any = keras.Input(model.input_shape[1:], dtype=dtype, name="photo")
    x: Any = photo if dtype == "float32" else keras.ops.cast(photo, "float32")
    views = range(VIEWS[test_views])
    if test_views:  # all views of all photos are one larger batch
        x = keras.ops.concatenate([turned(x, view, keras.ops) for view in views])
    for part in _parts(model):
        x = part(x, training=False) if isinstance(part, keras.Model) else part(x)
    if test_views:
        x = keras.ops.mean(keras.ops.reshape(x, (len(views), -1, x.shape[-1])), axis=0)
    if temperature != 1:
        logarithms: Any = keras.ops.log(keras.ops.maximum(x, LEAST))
        x = keras.layers.Softmax(dtype="float32", name="calibrated")(logarithms / temperature)
    return keras.Model(photo, x, name="classifier")


def _parts(model: keras.Model) -> list[Any]:
    """Give what is called one after the other: the parts of a run's model, or all of another model at once."""
    _, first, *_ = model.layers
    if not isinstance(first, keras.Model):
        return [model]
    return [layer for layer in model.layers[1:] if layer.name not in ("augmentation", "dropout")]
