"""The blocks that a backbone is built of, recognised by the names of its layers."""

import re
from dataclasses import dataclass

import keras

from unfreeze.errors import LayerError

# Families whose layers carry their block's name: it ends where the layer's own part begins.
_NAMED = re.compile(
    r"block\d+[a-z]?(?=_)"  # EfficientNet, EfficientNet-Lite, VGG, Xception: block6d_add, block15_dwconv
    r"|conv\d_block\d+(?=_)"  # ResNet, DenseNet: conv5_block3_out
    r"|block_\d+(?=_)|expanded_conv(?:_\d+)?(?=_)"  # MobileNetV2 and V3: block_16_project
    r"|conv_(?:dw|pw)_\d+"  # MobileNet: conv_dw_13, conv_pw_13
    r"|convnext_\w+?_stage_\d_block_\d+(?=_)"
)
# NASNet's layers end with their cell's name: normal_add_5_12, adjust_bn_reduce_8. (The relu that begins an adjustment
# has no weights and stands among the layers of the cell before.)
_NASNET = re.compile(r"(?:normal|reduction|separable|adjust_(?!relu))\w+?_((?:stem_|reduce_)?\d+)")
# Inception's blocks begin with unnamed layers; only those that close a block carry its name.
_INCEPTION = re.compile(r"mixed\d+$|mixed_\d[a-z]$|block(?:35|17|8)_\d+(?=_)")


@dataclass(frozen=True)
class Block:
    """A run of layers that belong together.

    Attributes:
        name: what recipes call it.
        first: position of its first layer in `backbone.layers`.
        last: position of its last layer.
    """

    name: str
    first: int
    last: int


def find_blocks(backbone: keras.Model) -> list[Block]:
    """List a backbone's blocks in the order of its layers.

    Returns:
        The blocks, which don't overlap; layers between them (stem, head, transitions) belong to none. Empty where
        the layers' names don't tell.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    closed_by_name = False
    for position, layer in enumerate(backbone.layers):
        if match := _INCEPTION.match(layer.name):
            name, closed_by_name = match[0], True
        elif match := _NAMED.match(layer.name):
            name = match[0].replace("conv_pw_", "conv_dw_")
        elif match := _NASNET.fullmatch(layer.name):
            name = f"cell_{match[1]}"
        elif isinstance(layer, keras.layers.Add) and last:
            name = next(reversed(last))  # Xception: a block ends with its unnamed shortcut
        else:
            continue
        first.setdefault(name, position)
        last[name] = position
    if closed_by_name:
        stem = [i for i in range(min(last.values())) if isinstance(backbone.layers[i], keras.layers.MaxPooling2D)]
        ends = [stem[-1], *last.values()]
        first = {name: end + 1 for name, end in zip(last, ends, strict=False)}
    return [Block(name, first[name], last[name]) for name in first]


def depths(backbone: keras.Model) -> list[int]:
    """Tell how far from the head each of a backbone's layers lies, in blocks.

    Returns:
        A number a layer: 1 for the last block and what follows it, 2 for the block before and what stands between the
        two, and so on; the stem has one more than the first block.

    Raises:
        LayerError: the names of the layers don't tell the blocks.
    """
    firsts = [block.first for block in find_blocks(backbone)]
    if not firsts:
        raise LayerError(
            f"The names of {backbone.name}'s layers don't tell its blocks, so `layer_decay` has no depth to go by. "
            "Leave it out."
        )
    return [1 + sum(first > position for first in firsts) for position in range(len(backbone.layers))]
