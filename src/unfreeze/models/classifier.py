"""The whole model, with Keras's Functional API: photo -> augmentation -> backbone -> pooling -> head."""

from collections.abc import Callable
from typing import Any

import keras

from unfreeze.config import Augmentation
from unfreeze.errors import RecipeError
from unfreeze.models.augmentation import augmentation_layers


def build_classifier(
    backbone: keras.Model,
    class_count: int,
    augment: Augmentation | None = None,
    seed: int = 0,
    head: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """Put a new head on a backbone.

    Args:
        backbone: network without top and pooling; takes pixels from 0 to 255, [batch, height, width, 3], and does
            its own preprocessing.
        class_count: number of classes.
        augment: changes to training photos, or None.
        seed: draws the head's first weights.
        head: a function from features [batch, channels] to probabilities [batch, class_count] in place of one dense
            layer with softmax.

    Returns:
        A model from pixels to class probabilities, [batch, class_count]. Its backbone is called in inference mode, as
        https://keras.io/guides/transfer_learning says, but see `InferenceMode` for what holds in training.

    Raises:
        RecipeError: `head` gives something else than a probability a class.
    """
    # Layers
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    last = _own_head(head, backbone.output_shape[-1], class_count) if head else _dense_head(class_count, seed)

    # Functional model
    photo = keras.Input(backbone.input_shape[1:], name="photo")
    x = augmentation_layers(augment, seed)(photo) if augment else photo
    x = backbone(x, training=False)
    x = pooling(x)
    return keras.Model(photo, last(x), name="classifier")


def _dense_head(class_count: int, seed: int) -> keras.Layer:
    return keras.layers.Dense(
        class_count,
        activation="softmax",
        dtype="float32",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed),  # pyright: ignore[reportArgumentType]
        name="head",
    )


def _own_head(head: Callable[[Any], Any], channels: int, class_count: int) -> keras.Model:
    """Make one layer of what a caller's function builds."""
    features = keras.Input((channels,), name="features")
    outputs = head(features)
    shape = getattr(outputs, "shape", type(outputs).__name__)
    if shape != (None, class_count):
        raise RecipeError(
            f"head gives {shape}, but the photos have {class_count} classes. End it with "
            f"keras.layers.Dense({class_count}, activation='softmax')."
        )
    return keras.Model(features, outputs, name="head")


class InferenceMode(keras.layers.Layer):
    """A network that always runs in inference mode, also where the model around it is trained.

    Keras's `fit` passes `training=True` on to every layer, even to those that were called with `training=False` when
    the model was built; unfrozen BatchNormalization would then use the batch's statistics and change its own. Models
    that are trained on have this layer; those that are saved are made of Keras's own layers alone.

    Args:
        network: shared, not copied.
    """

    def __init__(self, network: keras.Model):
        super().__init__(name=network.name)
        self.network = network

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Run the network."""
        return self.network(inputs, training=False)


def backbone_of(classifier: keras.Model) -> keras.Model:
    """Give the backbone inside a classifier of `build_classifier`."""
    return next(
        layer
        for layer in classifier.layers
        if isinstance(layer, keras.Model) and layer.name not in ("augmentation", "head")
    )


def without_augmentation(classifier: keras.Model) -> keras.Model:
    """Give the same model, sharing every weight, from where the augmentation layers end.

    This is for training on views that were drawn beforehand and must not be augmented a second time. The backbone's
    BatchNormalization keeps its statistics even where it is unfrozen.
    """
    photo = keras.Input(classifier.input_shape[1:], name="photo")
    features = InferenceMode(backbone_of(classifier))(photo)
    probabilities = classifier.get_layer("head")(classifier.get_layer("pooling")(features))
    return keras.Model(photo, probabilities, name="classifier_without_augmentation")


def feature_extractor(classifier: keras.Model) -> keras.Model:
    """Give backbone and pooling of a classifier as one flat model from pixels to features, sharing every layer."""
    backbone = backbone_of(classifier)
    return keras.Model(backbone.input, classifier.get_layer("pooling")(backbone.output), name="feature_extractor")
