"""The whole model, with Keras's Functional API: photo -> augmentation -> backbone -> pooling -> head."""

from collections.abc import Callable, Iterable
from functools import lru_cache
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
    dropout: float = 0,
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
        dropout: share of the features that are hidden from the head in training.

    Returns:
        A model from pixels to class probabilities, [batch, class_count]. Its backbone is called in inference mode, as
        https://keras.io/guides/transfer_learning says, but see `InferenceMode` for what holds in training.

    Raises:
        RecipeError: `head` gives something else than a probability a class.
    """
    last = _own_head(head, backbone.output_shape[-1], class_count) if head else _dense_head(class_count, seed)
    return _connected(backbone, last, augment, seed, dropout)


def reused_classifier(
    backbone: keras.Model,
    class_count: int,
    augment: Augmentation | None = None,
    seed: int = 0,
    dropout: float = 0,
) -> keras.Model:
    """Build the same as `build_classifier`, with the head that the last one on this backbone had, begun anew.

    Experiments in turn so train the same variables, and what the backend has traced for one serves the next. Whoever
    holds an earlier classifier sees its head change.

    Args:
        backbone: as in `build_classifier`.
        class_count: number of classes.
        augment: changes to training photos, or None.
        seed: draws the head's first weights.
        dropout: as in `build_classifier`.
    """
    head: Any = _head_of(backbone, class_count)
    head.kernel_initializer = keras.initializers.GlorotUniform(seed=seed)
    if head.built:
        head.kernel.assign(head.kernel_initializer(head.kernel.shape))
        head.bias.assign(keras.ops.zeros(head.bias.shape))
    return _connected(backbone, head, augment, seed, dropout)


@lru_cache(maxsize=2)
def _head_of(backbone: keras.Model, class_count: int) -> keras.Layer:
    return _dense_head(class_count, seed=0)


def _connected(
    backbone: keras.Model, head: keras.Layer, augment: Augmentation | None, seed: int, dropout: float
) -> keras.Model:
    """Write down the whole model with the Functional API."""
    photo = keras.Input(backbone.input_shape[1:], name="photo")
    x = augmentation_layers(augment, seed)(photo) if augment else photo
    x = backbone(x, training=False)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    return keras.Model(photo, head(x), name="classifier")


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


def head_layers(classifier: keras.Model) -> tuple[keras.Layer, ...]:
    """Give what follows the features in a classifier of `build_classifier`: dropout, if there is any, and the head."""
    return tuple(layer for layer in classifier.layers if layer.name in ("dropout", "head"))


def on_features(layers: Iterable[keras.Layer], features: Any) -> Any:
    """Call what follows the features, one layer after the other."""
    for layer in layers:
        features = layer(features)
    return features


def begin_dropout(classifier: keras.Model, seed: int) -> None:
    """Let dropout draw what it draws first with this seed; weights that were loaded may have brought another state."""
    for layer in head_layers(classifier):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign([seed, 0])


def without_augmentation(classifier: keras.Model) -> keras.Model:
    """Give the same model, sharing every weight, from where the augmentation layers end.

    This is for training on views that were drawn beforehand and must not be augmented a second time. The backbone's
    BatchNormalization keeps its statistics even where it is unfrozen.
    """
    photo = keras.Input(classifier.input_shape[1:], name="photo")
    features = InferenceMode(backbone_of(classifier))(photo)
    probabilities = on_features(head_layers(classifier), classifier.get_layer("pooling")(features))
    return keras.Model(photo, probabilities, name="classifier_without_augmentation")


def feature_extractor(classifier: keras.Model) -> keras.Model:
    """Give backbone and pooling of a classifier as one flat model from pixels to features, sharing every weight."""
    return with_pooling(backbone_of(classifier))


@lru_cache(maxsize=2)
def with_pooling(backbone: keras.Model) -> keras.Model:
    """Give a backbone and pooling as one flat model from pixels to features, sharing every weight."""
    pooling = keras.layers.GlobalAveragePooling2D(name="pooling")
    return keras.Model(backbone.input, pooling(backbone.output), name="feature_extractor")
