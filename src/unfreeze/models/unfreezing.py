"""Which of a backbone's layers are trained: what `unfreeze` means.

`last N` counts the layers of `backbone.layers` in Keras's order, those without weights included, as Keras's own
transfer-learning examples do. Such a cut can go through a block; that is allowed, and `cut_block` tells.
"""

import difflib
import re
from collections.abc import Collection

import keras

from unfreeze.config import Blocks, Unfreeze
from unfreeze.errors import LayerError
from unfreeze.models.blocks import find_blocks


def unfrozen_layers(backbone: keras.Model, unfreeze: Unfreeze) -> list[str]:
    """Name the layers that are trained, in the model's order.

    Args:
        backbone: network without top and pooling.
        unfreeze: the last N layers; `all`; a block or layer, and all that follow it; or the last blocks and all
            that follow them. A name also stands for the first block or layer that continues it: `block6` for
            `block6a`, `head` for `head_conv`; but `block1` never for `block15`.

    Raises:
        LayerError: the backbone has no such layer or block, or not so many.
    """
    names = [layer.name for layer in backbone.layers]
    if isinstance(unfreeze, Blocks):
        return names[_first_of_last_blocks(backbone, unfreeze.blocks) :]
    if isinstance(unfreeze, int):
        if not 0 <= unfreeze <= len(names):
            raise LayerError(
                f"unfreeze: {unfreeze} asks for more layers than {backbone.name} has: there are {len(names)}. "
                "Take 0 to freeze it whole, `all` to train all of it, or a number in between."
            )
        return names[len(names) - unfreeze :]
    return names if unfreeze == "all" else names[_position(backbone, unfreeze) :]


def cut_block(backbone: keras.Model, unfrozen: Collection[str]) -> str | None:
    """Name the block of which some weights are trained and others are not, if there is one.

    Args:
        backbone: network without top and pooling.
        unfrozen: names of the layers that are trained.
    """
    for block in find_blocks(backbone):
        layers = backbone.layers[block.first : block.last + 1]
        if len({layer.name in unfrozen for layer in layers if layer.weights}) == 2:
            return block.name
    return None


def freeze(backbone: keras.Model, unfrozen: Collection[str]) -> None:
    """Make exactly the named layers trainable. Compile afterwards: before, it has no effect on `fit`.

    Args:
        backbone: network without top and pooling; changed in place.
        unfrozen: names of the layers to train; a nested model counts as one layer.

    Raises:
        LayerError: the backbone has no layer of a name.
    """
    names = {layer.name for layer in backbone.layers}
    if unknown := sorted(set(unfrozen) - names):
        raise LayerError(f"{backbone.name} has no layer named {', '.join(map(repr, unknown))}.")
    # A frozen model hides all of its layers' weights, whatever they say themselves.
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = layer.name in unfrozen


def _first_of_last_blocks(backbone: keras.Model, count: int) -> int:
    blocks = find_blocks(backbone)
    if not blocks:
        raise LayerError(
            f"The names of {backbone.name}'s layers don't tell its blocks. Give the number of layers to unfreeze, "
            f"at most {len(backbone.layers)}, for example unfreeze: 10."
        )
    if count > len(blocks):
        raise LayerError(
            f"unfreeze: {{blocks: {count}}} asks for more blocks than {backbone.name} has: there are {len(blocks)}, "
            f"{blocks[0].name} to {blocks[-1].name}. `all` trains the whole backbone."
        )
    return blocks[-count].first


def _position(backbone: keras.Model, name: str) -> int:
    """Find where the block or layer of a name begins. Blocks go first: some end with the layer of their name."""
    starts = [(block.name, block.first) for block in find_blocks(backbone)]
    starts += [(layer.name, position) for position, layer in enumerate(backbone.layers)]
    for candidate, position in starts:
        if candidate == name:
            return position
    continued = re.compile(re.escape(name) + (r"(?:_|[a-z])" if name[-1:].isdigit() else "_"))
    for candidate, position in starts:
        if continued.match(candidate):
            return position
    known = [candidate for candidate, _ in starts]
    close = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
    raise LayerError(
        f"{backbone.name} has no layer or block named {name!r}.{hint} `unfreeze` takes a number of layers (at most "
        f"{len(backbone.layers)}), `all`, or a name such as {known[0]} or {backbone.layers[-1].name}."
    )
