"""Where a network is cut in two: a frozen prefix that runs once a photo, and a suffix that is trained.

Frozen layers are a pure function of the pixels as long as no trained layer comes before them. So the prefix can be
any set of layers that holds all which its members need, and none that a trained layer leads to. What crosses from
the prefix to the suffix is stored: one tensor where the network is a chain, several where branches cross.

    prefix:  photo -> stem -> block 0 ... block 14 -> [7, 7, 192]     once a photo (and view), stored
    suffix:  [7, 7, 192] -> block 15 -> head convolution -> features  every epoch, with gradients

The deepest cut leaves the least arithmetic, but often stores much more: in the middle of a block are six times as
many channels as between blocks. `find_cut` weighs both.

Only trained weights hold the cut back. An unfrozen activation, pooling or Dropout can be in the prefix: backbones
run in inference mode in every experiment, frozen or not, so Dropout passes its input on and BatchNormalization uses
its stored statistics. A prefix is therefore always run with `training=False`.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import keras

from unfreeze.errors import LayerError
from unfreeze.features.graph import Call, calls, tensor_names, values

MACS_PER_BYTE = 200
"""Multiply-adds that a stored byte is worth: a plain disk moves 100 to 200 MB/s, two processor cores do 20 to 40
billion multiply-adds a second, and what is small stays in memory."""

ACTIVATION_BYTES = 2
"""Training activations are stored as float16."""

PIXEL_BYTES = 1
"""Photos are stored as uint8."""


@dataclass(frozen=True)
class Cut:
    """A place to cut a network.

    Attributes:
        tensors: names of the tensors that cross it, each the name of the layer that makes it.
        shapes: their shapes for one photo.
        bytes_per_photo: what storing them takes, as float16 (uint8 where they are the photo itself).
        prefix: names of the layers before the cut.
        suffix: names of the layers after it.
        prefix_macs: multiply-adds to get from a photo to the cut.
        suffix_macs: multiply-adds from there to the model's output, without gradients.
    """

    tensors: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    bytes_per_photo: int
    prefix: tuple[str, ...]
    suffix: tuple[str, ...]
    prefix_macs: int
    suffix_macs: int

    @property
    def at_pixels(self) -> bool:
        """Whether nothing can run beforehand: the suffix is the whole model."""
        return not self.prefix

    @property
    def at_output(self) -> bool:
        """Whether nothing is left to train: the prefix is the whole model."""
        return not self.suffix


def find_cut(model: keras.Model, unfrozen: Collection[str]) -> Cut:
    """Find where to cut a network so that training the unfrozen layers costs least.

    Args:
        model: Functional model with inputs of a fixed size, such as a backbone. A nested model counts as one layer.
        unfrozen: names of the layers that are trained.

    Returns:
        The output where no unfrozen layer has weights; else the cut with the least arithmetic left and bytes stored,
        `MACS_PER_BYTE` being the rate of exchange.

    Raises:
        LayerError: the model has no layer of a name, or its inputs are of no fixed size.
    """
    graph = calls(model)
    _check(model, graph, unfrozen)
    trained = _reached(graph, {call for call in graph if call.layer.name in unfrozen and call.weights})
    if not trained:
        return _cut(model, graph, [])
    best: tuple[float, int] | None = None
    frozen = [call for call in graph if call not in trained]
    arithmetic = sum(call.macs for call in graph)
    # Each call stands after those that it needs, so the first k frozen ones are a valid prefix, for every k.
    for k, (call, crossing) in enumerate(zip([None, *frozen], _crossing_tensors(model, graph, frozen), strict=True)):
        arithmetic -= call.macs if call else 0
        cost = arithmetic + MACS_PER_BYTE * _stored_bytes(model, crossing)
        if best is None or cost <= best[0]:
            best = cost, k
    assert best is not None
    prefix = frozen[: best[1]]
    return _cut(model, prefix, [call for call in graph if call not in prefix])
