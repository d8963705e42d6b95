"""A model without models inside it, so that it can be cut wherever its trained layers begin.

    photo -> preprocessing -> base(x, training=False) -> pooling -> dense

The backbone in here is one layer of the model, and its own layers are in another graph. `flatten` gives one graph of
all of them. What was called with `training=False` stays in inference mode there, as whoever wrote that means it:
Keras 3.15's `fit` runs it in training mode all the same.
"""

import inspect
from typing import Any

import keras
import numpy as np

from unfreeze.features.graph import Call, calls

KERAS_LAYERS = ("keras.src.layers.", "keras.src.models.")
"""Modules of layers that are known: what else they do in training shows in their state."""


class Stand(keras.layers.Layer):
    """Stands for a layer in a flat graph: under a name of its own, or in inference mode for good.

    Args:
        layer: shared, not copied; its call's arguments are this one's.
        name: no other layer of the graph has it.
        inference: run it with `training=False` whatever is asked for.
    """

    def __init__(self, layer: keras.Operation, name: str, inference: bool):
        super().__init__(name=name)
        self.layer, self.inference = layer, inference
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer."""
        return self.layer(*args, **(kwargs | {"training": False} if self.inference else kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Give the layer's outputs without their numbers."""
        return self.layer.compute_output_spec(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Describe the layer that this one stands for."""
        return {"name": self.name, "layer": type(self.layer).__name__, "config": self.layer.get_config()}


def flatten(model: keras.Model) -> keras.Model:
    """Build the same model of single layers: the models inside it are opened, all layers and weights are shared.

    Its outputs are the given model's, with one difference: layers that were called with `training=False`, or belong
    to a model that was, run in inference mode in training, too. Where an inner model can't be opened (subclassed, or
    of several inputs), it stays a single layer.

    Constants become such that exporters take them: arrays in place of the backend's tensors, and Rescaling in place
    of Normalization, the same to rounding.

    Args:
        model: Functional or Sequential, with one input.
    """
    graph = as_functional(model)
    assert graph is not None
    [photo] = graph.inputs
    start = keras.Input(photo.shape[1:], dtype=photo.dtype, name=photo.name)
    outputs = _FlatGraph().open(graph, start, inference=False)
    return keras.Model(start, keras.tree.pack_sequence_as(graph.output, outputs), name=model.name)


def as_functional(layer: Any) -> Any:
    """Give a layer as a Functional model if it is one and Keras's own code runs it, else None."""
    if type(layer) is keras.Sequential and layer.built and all(part.built for part in layer.layers):
        return keras.Model(layer.inputs, layer.outputs, name=layer.name)
    runs_its_graph = getattr(type(layer).call, "__qualname__", "") == "Functional.call"
    return layer if isinstance(layer, keras.Model) and runs_its_graph else None


def acts_in_training(layer: Any) -> bool:
    """Whether a layer may do something else in training than in inference: drop, augment, update statistics.

    A layer of somebody's own counts if its `call` takes `training`.
    """
    if not isinstance(layer, keras.Layer) or (isinstance(layer, Stand) and layer.inference):
        return False
    return any(_acts(part) for part in layer._flatten_layers())  # Keras has no public way to all layers inside one


def _acts(layer: keras.Layer) -> bool:
    if isinstance(layer, keras.layers.BatchNormalization):
        return layer.trainable
    if isinstance(layer, keras.layers.SpectralNormalization):
        return True
    has_other_state = len(layer.variables + layer.metrics_variables) > len(layer.weights)  # a random generator's
    is_of_somebody = not type(layer).__module__.startswith((*KERAS_LAYERS, __name__))
    takes_training = "training" in inspect.signature(layer.call).parameters
    return has_other_state or layer.activity_regularizer is not None or (is_of_somebody and takes_training)


class _FlatGraph:
    """A graph that grows by one call after the other."""

    def __init__(self) -> None:
        self._layers: dict[tuple[int, bool], Any] = {}
        self._names: set[str] = set()

    def open(self, model: keras.Model, start: Any, inference: bool) -> list[Any]:
        """Call a model's layers as the model does, from another input tensor on; gives the model's outputs."""
        made = {id(model.inputs[0]): start}
        for call in calls(model):
            inner = as_functional(call.layer) if len(call.inputs) == 1 else None
            is_inference = inference or _asks_for_inference(call)
            if inner is not None and len(inner.inputs[0].shape) == len(call.inputs[0].shape):
                outputs = self.open(inner, _cast(made[id(call.inputs[0])], inner.inputs[0].dtype), is_inference)
            else:
                outputs = self._call(call, made, is_inference)
            made |= zip(map(id, call.outputs), outputs, strict=True)
        return [made[id(tensor)] for tensor in model.outputs]

    def _call(self, call: Call, made: dict[int, Any], inference: bool) -> list[Any]:
        def filled_in(value: Any) -> Any:
            if isinstance(value, keras.KerasTensor):
                return made[id(value)]
            return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value

        arguments: Any = keras.tree.map_structure(filled_in, (call.args, call.kwargs))
        args, kwargs = arguments
        kwargs.pop("training", None)
        key = id(call.layer), inference and acts_in_training(call.layer)
        if key not in self._layers:
            self._layers[key] = self._stand(call.layer, inference=key[1])
        return keras.tree.flatten(self._layers[key](*args, **kwargs))

    def _stand(self, layer: keras.Operation, inference: bool) -> keras.Operation:
        """Give what stands for a layer in this graph; most layers stand for themselves."""
        name, number = layer.name, 0
        while name in self._names:
            number += 1
            name = f"{layer.name}_{number}"
        self._names.add(name)
        if isinstance(layer, keras.layers.Normalization) and (rescaling := _as_rescaling(layer, name)):
            return rescaling
        return Stand(layer, name, inference) if inference or number else layer


def _asks_for_inference(call: Call) -> bool:
    """Whether somebody wrote `training=False`: Keras also notes a call's default, which is False for Dropout."""
    parameter = inspect.signature(call.layer.call).parameters.get("training")
    return call.kwargs.get("training") is False and (parameter is None or parameter.default is not False)


def _as_rescaling(layer: keras.layers.Normalization, name: str) -> keras.Layer | None:
    """Give the Rescaling that computes the same as a Normalization of the last axis."""
    mean, variance = (np.asarray(keras.ops.convert_to_numpy(value)) for value in (layer.mean, layer.variance))
    if layer.invert or mean.size not in (1, mean.shape[-1]):
        return None
    deviation = np.maximum(np.sqrt(variance), keras.backend.epsilon()).ravel()
    return keras.layers.Rescaling(
        (1 / deviation).tolist(), (-mean.ravel() / deviation).tolist(), dtype=layer.dtype_policy, name=name
    )


def _cast(tensor: Any, dtype: str) -> Any:
    return tensor if tensor.dtype == dtype else keras.ops.cast(tensor, dtype)
