"""A Keras model as a graph: which layer is called on which tensors, and how much arithmetic that is."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer (or of an operation without weights, such as `+`) when the model was built.

    Attributes:
        layer: what is called; shared layers are called several times.
        inputs: tensors it needs.
        outputs: tensors it makes.
        args: positional arguments of the call, tensors among them.
        kwargs: keyword arguments of the call.
    """

    layer: keras.Operation
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def weights(self) -> list[Any]:
        """Weights of the layer; an operation has none."""
        return getattr(self.layer, "weights", [])

    @property
    def macs(self) -> int:
        """Multiply-adds for one photo: each number of a kernel once for every position of the output.

        Normalization, activations, pooling and additions are not counted, as is usual.
        """
        return _macs(self.layer, self.outputs[0].shape)


def calls(model: keras.Model) -> list[Call]:
    """List the calls that make up a Functional model, each after all those that it needs.

    This is Keras's own order: by the longest way to the output, so that a layer stands as late as it can. A nested
    model is one call. The model's inputs are no calls.
    """
    return [
        Call(
            node.operation,
            tuple(node.input_tensors),
            tuple(node.output_tensors),
            node.arguments.args,
            node.arguments.kwargs,
        )
        for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True)  # Keras has no public way to the calls
        for node in nodes
        if not node.is_input
    ]


def tensor_names(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Give every tensor of a model a name that is the same in every process: that of the layer that makes it.

    The second and later ones of a layer (by shared layers, or with several outputs) are numbered: `name:1`.
    """
    made = [(tensor._keras_history.operation.name, tensor) for tensor in model.inputs]
    made += [(call.layer.name, tensor) for call in calls(model) for tensor in call.outputs]
    names: dict[str, keras.KerasTensor] = {}
    seen: Counter[str] = Counter()
    for name, tensor in made:
        names[f"{name}:{seen[name]}" if seen[name] else name] = tensor
        seen[name] += 1
    return names


def _macs(layer: Any, output_shape: tuple[int, ...]) -> int:
    if getattr(layer, "_nodes_by_depth", None):
        return sum(call.macs for call in calls(layer))
    positions = math.prod(size or 1 for size in output_shape[1:-1])
    return positions * sum(math.prod(weight.shape) for weight in getattr(layer, "weights", []) if len(weight.shape) > 1)
