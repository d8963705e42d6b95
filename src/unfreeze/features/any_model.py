"""Anybody's compiled model in two halves: frozen layers that can run beforehand, and the part that is trained."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from unfreeze.errors import UnfreezeError
from unfreeze.features.cut import Cut, find_cut, split
from unfreeze.features.flatten import Stand, acts_in_training, as_functional, flatten
from unfreeze.features.graph import Call, calls
from unfreeze.progress import say

OWN_TRAINING = ("fit", "train_step", "test_step", "compute_loss", "compute_metrics")
"""Methods of Keras's Model by which a class of somebody's own trains in its own way."""


class CutError(UnfreezeError):
    """A model can't be trained from a cut on, or not on this data; the message goes on after "because"."""


@dataclass(frozen=True)
class Halves:
    """A model in two models that share its layers and weights.

    Attributes:
        prefix: frozen layers; run it with `training=False`.
        suffix: from there to the model's outputs, all that is trained among it; runs as the model does in training.
    """

    prefix: keras.Model
    suffix: keras.Model


def halve(model: keras.Model) -> Halves:
    """Cut a model where what has to run in every epoch begins; says what a person may not expect there.

    That is trained layers, and layers that do something else in training than in inference: Dropout, augmentation,
    BatchNormalization that isn't frozen. Layers that were called with `training=False`, alone or with the model that
    they belong to, are always in inference mode.

    Args:
        model: any model.

    Raises:
        CutError: it isn't a Functional or Sequential model with one input of a fixed size, or it has no frozen
            layers before those.
    """
    _ensure_known(model)
    trained = {id(variable) for variable in model.trainable_variables}
    if not trained:
        raise CutError("nothing in it is trained")
    flat = flatten(model)
    graph = calls(flat)
    if unknown := [call.layer for call in graph for tensor in call.outputs if None in tensor.shape[1:]]:
        raise CutError(f"what {_name(unknown[0])} gives has no fixed size")
    unfrozen = [call.layer.name for call in graph if any(id(weight) in trained for weight in call.weights)]
    held = [call.layer.name for call in graph if acts_in_training(call.layer)]
    cut = find_cut(flat, unfrozen, held)
    if not any(call.weights for call in graph if call.layer.name in cut.prefix):
        raise CutError(_obstacle(graph, unfrozen, held))
    prefix, suffix = split(flat, cut)
    assert prefix is not None
    assert suffix is not None
    if trained != {id(variable) for variable in suffix.trainable_variables}:
        raise CutError("some of its trained weights don't belong to layers between its input and its output")
    _say_differences(graph)
    _say_held_back(graph, cut, find_cut(flat, unfrozen), held)
    return Halves(prefix, suffix)


def _ensure_known(model: keras.Model) -> None:
    graph = as_functional(model)
    if graph is None:
        kind = "not built" if isinstance(model, keras.Sequential) else "no Functional or Sequential model"
        raise CutError(f"it is {kind}")
    if own := [name for name in OWN_TRAINING if getattr(type(model), name) is not getattr(keras.Model, name)]:
        raise CutError(f"its class has its own {' and '.join(own)}")
    if len(graph.inputs) != 1:
        raise CutError(f"it has {len(graph.inputs)} inputs")
    if None in graph.inputs[0].shape[1:]:
        raise CutError(f"its input has no fixed size: {graph.inputs[0].shape[1:]}")


def _obstacle(graph: Sequence[Call], unfrozen: Collection[str], held: Collection[str]) -> str:
    """Say what keeps frozen layers from running beforehand."""
    frozen = [call for call in graph if call.weights and call.layer.name not in unfrozen]
    if not frozen:
        return "none of its layers is frozen; set `trainable = False` for those to keep, and compile it again"
    first = next(call for call in graph if call.layer.name in unfrozen or call.layer.name in held)
    if graph.index(frozen[0]) < graph.index(first):
        return "its frozen layers before the trained ones take less time than reading what they give"
    does = "is trained" if first.layer.name in unfrozen else "does something else in training than in inference"
    return f"{_name(first.layer)} {does} and comes before its frozen layers"


def _say_differences(graph: Sequence[Call]) -> None:
    pinned = [call.layer for call in graph if isinstance(call.layer, Stand) and call.layer.inference]
    if pinned:
        runs = f" and {len(pinned) - 1} more layers run" if len(pinned) > 1 else " runs"
        say(
            f"{_name(pinned[0])}{runs} in inference mode, having been called with training=False. "
            "Keras's own fit would do it in training mode all the same."
        )


def _say_held_back(graph: Sequence[Call], cut: Cut, free: Cut, held: Collection[str]) -> None:
    if free.suffix_macs < cut.suffix_macs:
        first = next(call for call in graph if call.layer.name in held)
        say(
            f"Frozen layers behind {_name(first.layer)} run in every epoch: it does something else in training than in "
            "inference. If it should not, call the model that it belongs to with training=False."
        )


def _name(layer: Any) -> str:
    inner = layer.layer if isinstance(layer, Stand) else layer
    return f"{inner.name!r} ({type(inner).__name__})"
