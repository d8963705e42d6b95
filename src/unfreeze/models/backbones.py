"""Pretrained backbones by name: EfficientNet-Lite, every network of `keras.applications`, KerasHub's, and one's own.

All of them take pixels from 0 to 255 and do their own preprocessing, so nobody else has to know it. A network of
`keras.applications` is rebuilt layer by layer on one weightless preprocessing step of ours, and so are KerasHub's that
are made of Keras's layers:

- Some come without preprocessing, some with it, and EfficientNetB0 to B7 have one layer more with ImageNet's weights
  than without, so that weights saved from one graph mean something else in the other. Rebuilt, they are all alike.
- Keras numbers unnamed layers through a whole process: the second InceptionV3 begins with `conv2d_94`. Rebuilt, names
  are always those of a fresh process, so that a recipe can name them.
"""

import difflib
import re
import sys
import warnings
from contextlib import redirect_stdout
from functools import lru_cache
from typing import Any, Literal

import keras

from unfreeze.errors import BackboneError
from unfreeze.models.applications import APPLICATIONS, Application, Pixels
from unfreeze.models.at_hand import weights_at_hand
from unfreeze.models.backbone_files import backbone_sha256, is_own, preset_of
from unfreeze.models.downloads import remove_damaged_weights
from unfreeze.models.efficientnet_lite import VARIANTS, efficientnet_lite
from unfreeze.models.feature_map import as_feature_map
from unfreeze.models.hub import load_preset, model_name, preset_image_size
from unfreeze.models.own_backbone import load_own_backbone

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
RESCALING: dict[Pixels, tuple[Any, Any]] = {
    "tf": (1 / 127.5, -1.0),
    "torch": (
        [1 / (255 * std) for std in IMAGENET_STD],
        [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
    ),
    "caffe": (1.0, [-103.939, -116.779, -123.68]),  # of blue, green and red
    "efficientnet_v2": (1 / 128, -1.0),
}
"""Scale and offset that stand for `keras.applications.*.preprocess_input`."""

EFFICIENTNET_LITE = {f"efficientnet_lite{number}": variant for number, variant in enumerate(VARIANTS)}


def backbone_names() -> tuple[str, ...]:
    """List every backbone that has a name of its own; presets of KerasHub and files come on top."""
    return (*EFFICIENTNET_LITE, *APPLICATIONS)


def default_image_size(name: str) -> int:
    """Give the side of the photos that a backbone was trained on, in pixels.

    Raises:
        BackboneError: there is no backbone of this name, or its file is not what it should be.
    """
    if name in EFFICIENTNET_LITE:
        return EFFICIENTNET_LITE[name].image_size
    if preset_of(name) or is_own(name):
        return _stated_image_size(name, backbone_sha256(name))
    return _application(name).image_size


@lru_cache(maxsize=16)
def _stated_image_size(name: str, sha256: str | None) -> int:
    preset = preset_of(name)
    return preset_image_size(preset) if preset else load_own_backbone(name).input_shape[1]


def build_backbone(
    name: str,
    image_size: int | None = None,
    weights: Literal["imagenet"] | None = "imagenet",
) -> keras.Model:
    """Build a backbone: a Functional model without top and pooling.

    Args:
        name: one of `backbone_names()` (the model has the same name), `keras_hub:` and a preset or the folder of
            one, or the path of a `.keras` file with a network of one's own.
        image_size: side of the photos in pixels (default: what it was trained on).
        weights: `imagenet` stands for pretrained ones, fetched where they are not at hand, or None for random ones.
            A network of one's own has those of its file.

    Returns:
        A model from pixels (RGB, 0 to 255, [batch, size, size, 3]) to its last feature map. It has the same layers,
        in the same order, whether `weights` are given or not.

    Raises:
        BackboneError: unknown name, weights that can't be had, a file that is not what it should be, or an image
            size that the network can't take.
    """
    if name in EFFICIENTNET_LITE:
        return efficientnet_lite(int(name[-1]), image_size, weights=weights)
    if preset := preset_of(name):
        size = image_size or default_image_size(name)
        loaded = load_preset(preset, size, pretrained=weights is not None)
        copy = _rebuild if loaded.is_plain else _as_one_layer
        backbone = copy(loaded.network, (loaded.scale, loaded.offset), size, model_name(preset))
        return keras.Model(backbone.inputs[0], as_feature_map(backbone.outputs[0], name), name=backbone.name)
    if is_own(name):
        return load_own_backbone(name, image_size)

    application = _application(name)
    size = image_size or application.image_size
    return _rebuild(_construct(application, size, weights), application.pixels, size, name)


def build_imagenet_classifier(name: str, weights: Literal["imagenet"] | None = "imagenet") -> keras.Model:
    """Build a backbone with pooling and the top that it was trained with.

    Args:
        name: one of `backbone_names()`; the model has the same name.
        weights: `imagenet`, fetched where they are not at hand, or None for random ones.

    Returns:
        A model from pixels (RGB, 0 to 255, [batch, size, size, 3], the size that it was trained on) to the logits of
        ImageNet's classes, [batch, 1000], in the order of `imagenet_classes()`.

    Raises:
        BackboneError: unknown name, or weights that can't be had.
    """
    if name in EFFICIENTNET_LITE:
        return efficientnet_lite(int(name[-1]), include_top=True, weights=weights, classifier_activation=None)

    application = _application(name)
    size = application.image_size
    network = _construct(application, size, weights, include_top=True, classifier_activation=None)
    return _rebuild(network, application.pixels, size, name)


def pretrained_backbone(name: str, image_size: int) -> keras.Model:
    """Give a backbone as `build_backbone` does, but build it once: experiments in turn take a second less each.

    Whoever was given the same backbone before sees all of its weights set back to ImageNet's.

    Args:
        name: as in `build_backbone`.
        image_size: side of the photos in pixels.
    """
    backbone, weights = _built_once(name, image_size, backbone_sha256(name))
    for part in (backbone, *backbone.layers):  # TensorFlow takes no notice of the whole's, if it is True already
        part.trainable = True
    backbone.set_weights(weights)
    return backbone


@lru_cache(maxsize=2)
def _built_once(name: str, image_size: int, sha256: str | None) -> tuple[keras.Model, list[Any]]:
    backbone = build_backbone(name, image_size)
    return backbone, backbone.get_weights()


def _application(name: str) -> Application:
    if name in APPLICATIONS:
        return APPLICATIONS[name]
    close = difflib.get_close_matches(name.lower(), backbone_names(), n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise BackboneError(
        f"There is no backbone {name!r}.{hint} There are: {', '.join(backbone_names())}; keras_hub:PRESET with any "
        "preset for images; and networks of your own, as the path of a .keras file."
    )


def _construct(
    application: Application, size: int, weights: Literal["imagenet"] | None, include_top: bool = False, **top: Any
) -> keras.Model:
    """Build the network as Keras does, without preprocessing."""
    constructor = getattr(keras.applications, application.constructor)
    arguments: dict[str, Any] = {"weights": weights, "input_shape": (size, size, 3), "include_top": include_top, **top}
    if application.constructor.startswith(("ConvNeXt", "EfficientNetV2", "MobileNetV3")):
        arguments["include_preprocessing"] = False
    try:
        # Keras reports a download on stdout, which is ours for results. Its warning that the weights were made for
        # other image sizes is of no concern: they fit every size.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                network = constructor(**arguments)
            except OSError:
                if not (weights and remove_damaged_weights()):
                    raise
                network = constructor(**arguments)
    except ValueError as error:
        raise BackboneError(
            f"{application.constructor.lower()} can't be built (photos of {size} x {size} pixels): {error}"
        ) from error
    except Exception as error:  # a download that fails raises a plain Exception
        raise BackboneError(
            f"The ImageNet weights of {application.constructor.lower()} can't be fetched: {error}. "
            f"Try again when the net is there, or take a backbone whose weights are: {weights_at_hand()}."
        ) from error
    if re.fullmatch(r"EfficientNetB\d", application.constructor):
        network = keras.Model(network.get_layer("stem_conv_pad").input, network.output)
    return network


def _rebuild(network: keras.Model, mode: Pixels | tuple[Any, Any], size: int, name: str) -> keras.Model:
    """Copy a network onto an input for pixels, with its preprocessing in between."""
    names = _names_of_a_fresh_process(network)
    pixels: Any = keras.Input((size, size, 3), name="pixels")
    preprocessed = _preprocess(pixels, mode)

    def copy(operation: keras.Operation) -> keras.Operation:
        config = operation.get_config()
        return type(operation).from_config({**config, "name": names[operation.name]})

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        return operation(*(preprocessed if arg is pixels else arg for arg in args), **kwargs)

    inputs = keras.tree.pack_sequence_as(network.input, [pixels])
    clone = keras.models.clone_model(network, input_tensors=inputs, clone_function=copy, call_function=call)
    backbone = keras.Model(clone.inputs[0], clone.outputs[0], name=name)
    backbone.set_weights(network.get_weights())
    return backbone


def _as_one_layer(network: keras.Model, mode: Pixels | tuple[Any, Any], size: int, name: str) -> keras.Model:
    """Put a network behind its preprocessing as it is: one layer of a model that has two."""
    pixels: Any = keras.Input((size, size, 3), name="pixels")
    preprocessed = keras.tree.pack_sequence_as(network.input, [_preprocess(pixels, mode)])
    return keras.Model(pixels, network(preprocessed), name=name)


def _preprocess(pixels: Any, mode: Pixels | tuple[Any, Any]) -> Any:
    scale, offset = RESCALING[mode] if isinstance(mode, str) else mode
    if mode == "caffe":
        pixels = keras.ops.flip(pixels, axis=-1)  # RGB to BGR
    return keras.layers.Rescaling(scale, offset=offset, name="rescaling")(pixels)


def _names_of_a_fresh_process(network: keras.Model) -> dict[str, str]:
    """Map the names of a network's layers to those that they have in the first such network of a process."""
    names = {operation.name: operation.name for operation in network.operations}
    numbered: dict[str, list[tuple[int, str]]] = {}
    for operation in network.operations:
        kind = _snake_case(type(operation).__name__)
        if match := re.fullmatch(rf"{kind}(?:_(\d+))?", operation.name):
            numbered.setdefault(kind, []).append((int(match[1] or 0), operation.name))
    for kind, found in numbered.items():
        for i, (_, name) in enumerate(sorted(found)):
            names[name] = f"{kind}_{i}" if i else kind
    return names


def _snake_case(class_name: str) -> str:
    """Spell a class as Keras does in the names of unnamed layers: `Conv2D` as `conv2d`, `ReLU` as `re_lu`."""
    separated = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", separated).lower()
