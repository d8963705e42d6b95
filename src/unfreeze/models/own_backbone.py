"""A user's own network as a backbone: a Functional or Sequential model in a file that Keras saved."""

from typing import Any

import keras

from unfreeze.errors import BackboneError
from unfreeze.models.backbone_files import own_file
from unfreeze.models.feature_map import as_feature_map

TAKEN = ("pooling", "class_token", "feature_map")
"""Names of layers that are put behind a backbone."""


def load_own_backbone(file: str, image_size: int | None = None) -> keras.Model:
    """Load a network as a backbone, with the weights that are in the file.

    Args:
        file: path of a `.keras` file with a Functional or Sequential model, made of Keras's own layers, from pixels
            (RGB, 0 to 255, [batch, size, size, 3]) to a feature map, a transformer's tokens or a vector.
        image_size: side of the photos in pixels, which must be the model's; None takes it from there.

    Returns:
        A model named `own_backbone` with the file's layers; layers that share a name with those of our classifier
        have `own_` in front.

    Raises:
        BackboneError: the file can't be loaded safely, or its model is of another kind.
    """
    model = _functional(_load(file), file)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise BackboneError(
            f"{file} can't be a backbone: its model has {len(model.inputs)} inputs and {len(model.outputs)} outputs. "
            "It must have one of each, a photo and its features."
        )
    shape = tuple(model.inputs[0].shape)
    if len(shape) != 4 or shape[1] is None or shape != (None, shape[1], shape[1], 3):
        raise BackboneError(
            f"{file} can't be a backbone: its input is {shape}. It must be square RGB photos of a fixed size, pixels "
            "from 0 to 255: build it on keras.Input((size, size, 3)) and save it again."
        )
    if image_size not in (None, shape[1]):
        raise BackboneError(
            f"{file} takes photos of {shape[1]} x {shape[1]} pixels, and image_size is {image_size}. "
            f"Leave image_size out, or set it to {shape[1]}."
        )
    for layer in model.layers:
        if layer.name in TAKEN:
            layer.name = f"own_{layer.name}"
    return keras.Model(model.inputs[0], as_feature_map(model.outputs[0], file), name="own_backbone")


def _load(file: str) -> Any:
    path = own_file(file)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises nearly anything on a damaged or unsafe file
        reason = str(error).rpartition("Exception encountered: ")[2]  # before that Keras prints the whole configuration
        raise BackboneError(
            f"{file} can't be loaded safely as a Keras model: {' '.join(reason.split())[:300].rstrip('.')}. "
            "It must be a file of model.save('NAME.keras'), made of Keras's own layers: no Lambda, no classes of your "
            "own."
        ) from error


def _functional(model: Any, file: str) -> keras.Model:
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs)
    if getattr(type(model).call, "__qualname__", "") != "Functional.call":
        raise BackboneError(
            f"{file} can't be a backbone: it holds a {type(model).__name__}. It must be a Functional model, "
            "keras.Model(photo, features), or a Sequential one that begins with keras.Input((size, size, 3))."
        )
    return model
