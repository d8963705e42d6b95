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
its stored statistics. A prefix is therefore always run with `training=False`. Layers of other people's models that
have to run in training mode are named as `held`.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from unfreeze.errors import LayerError
from unfreeze.features.graph import Call, calls, tensor_names

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


def find_cut(model: keras.Model, unfrozen: Collection[str], held: Collection[str] = ()) -> Cut:
    """Find where to cut a network so that training the unfrozen layers costs least.

    Args:
        model: Functional model with inputs of a fixed size, such as a backbone. A nested model counts as one layer.
        unfrozen: names of the layers that are trained.
        held: names of layers that must be behind the cut, too, with or without weights, because they do something else
            in training than in inference.

    Returns:
        The model's output where no unfrozen layer has weights and none is held. Otherwise, of all places before those
        layers, the one where arithmetic left over and bytes stored are least, `MACS_PER_BYTE` being their rate of
        exchange.

    Raises:
        LayerError: the model has no layer of a name, or it takes photos of any size.
    """
    _check(model, unfrozen)
    graph = calls(model)
    trained = _trained(model, graph, unfrozen, held)
    # Keras lists each call after those that it needs. So does this order, and its first k frozen calls are a valid
    # prefix for every k.
    frozen = [call for call in graph if call not in trained]
    order = [*frozen, *(call for call in graph if call in trained)]
    tensors = _lifetimes(model, order)

    k = len(order)
    if trained:
        macs_left = sum(call.macs for call in order) - np.cumsum([0, *(call.macs for call in frozen)])
        stored = np.zeros(len(frozen) + 1)
        for tensor in tensors:
            stored[tensor.made : tensor.needed + 1] += tensor.bytes
        cost = macs_left + MACS_PER_BYTE * stored
        k = int(np.flatnonzero(cost == cost.min())[-1])

    crossing = [tensor for tensor in tensors if tensor.made <= k <= tensor.needed]
    return Cut(
        tensors=tuple(tensor.name for tensor in crossing),
        shapes=tuple(tensor.shape for tensor in crossing),
        bytes_per_photo=sum(tensor.bytes for tensor in crossing),
        prefix=tuple(call.layer.name for call in order[:k]),
        suffix=tuple(call.layer.name for call in order[k:]),
        prefix_macs=sum(call.macs for call in order[:k]),
        suffix_macs=sum(call.macs for call in order[k:]),
    )


def split(model: keras.Model, cut: Cut) -> tuple[keras.Model | None, keras.Model | None]:
    """Cut a network in two models that share its layers and weights.

    Args:
        model: the one that `find_cut` was given, or one with the same layers.
        cut: where.

    Returns:
        Prefix and suffix, so that `suffix(prefix(photos))` is `model(photos)`; call both with `training=False`, as
        the model itself. What passes between them is one tensor, or a list of them in the order of `cut.tensors`.
        The prefix is None where the cut is at the pixels, the suffix is None where it is at the output.
    """
    if cut.at_pixels:
        return None, model
    if cut.at_output:
        return model, None
    names = tensor_names(model)
    crossing = [names[name] for name in cut.tensors]
    between = crossing[0] if len(crossing) == 1 else crossing
    prefix = keras.Model(model.input, between, name=f"{model.name}_prefix")
    return prefix, keras.Model(between, model.output, name=f"{model.name}_suffix")


@dataclass(frozen=True)
class _Tensor:
    """A tensor and the cuts that it crosses: those after `made` to `needed` calls."""

    name: str
    shape: tuple[int, ...]
    bytes: int
    made: int
    needed: int


def _lifetimes(model: keras.Model, order: Sequence[Call]) -> list[_Tensor]:
    """Follow every tensor from the call that makes it to the last one that needs it."""
    made = {id(tensor): 0 for tensor in model.inputs}
    made |= {id(tensor): i + 1 for i, call in enumerate(order) for tensor in call.outputs}
    needed = {id(tensor): i for i, call in enumerate(order) for tensor in call.inputs}
    needed |= {id(tensor): len(order) for tensor in model.outputs}
    return [
        _Tensor(
            name,
            shape := tuple(tensor.shape[1:]),
            math.prod(shape) * (ACTIVATION_BYTES if made[id(tensor)] else PIXEL_BYTES),
            made[id(tensor)],
            needed[id(tensor)],
        )
        for name, tensor in tensor_names(model).items()
        if id(tensor) in needed
    ]


def _trained(model: keras.Model, graph: Sequence[Call], unfrozen: Collection[str], held: Collection[str]) -> set[Call]:
    """Give the calls that have to be in the suffix: unfrozen layers with weights, held ones, all that they lead to.

    If there are any, so are the calls that make an output of the model, with all that they lead to: Keras can't build
    a suffix that passes a tensor on from its input to its output.
    """
    seeds = {call for call in graph if (call.layer.name in unfrozen and call.weights) or call.layer.name in held}
    if not seeds:
        return set()
    trained: set[Call] = set()
    changing = {id(tensor) for tensor in model.outputs}
    for call in graph:
        if call in seeds or any(id(tensor) in changing for tensor in (*call.inputs, *call.outputs)):
            trained.add(call)
            changing.update(id(tensor) for tensor in call.outputs)
    return trained


def _check(model: keras.Model, unfrozen: Collection[str]) -> None:
    if unknown := sorted(set(unfrozen) - {layer.name for layer in model.layers}):
        raise LayerError(f"{model.name} has no layer named {', '.join(map(repr, unknown))}.")
    for tensor in model.inputs:
        if None in tensor.shape[1:]:
            raise LayerError(
                f"{model.name} takes inputs of any size, {tensor.shape[1:]}, so what a cut would store is unknown. "
                "Build it with a fixed image size."
            )
