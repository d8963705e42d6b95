"""A fingerprint of a model: what it computes in inference, and nothing else."""

import hashlib
import json
from typing import Any

import keras
import numpy as np

from unfreeze.features.graph import calls
from unfreeze.models.weights import weights_sha256

ONLY_TRAINING = ("trainable", "_initializer", "_regularizer", "_constraint", "seed")
"""Endings of settings of a layer that change nothing of what it computes in inference."""


def model_sha256(model: keras.Model) -> str:
    """Name a model by what it computes: its layers, how they are connected, and their weights."""
    made = {id(tensor): f"input {number} {tensor.shape}" for number, tensor in enumerate(model.inputs)}
    steps = []
    for call in calls(model):
        config = _inference_settings(call.layer.get_config())
        inputs = [made[id(tensor)] for tensor in call.inputs]
        # Numbers in the graph, such as the 3 in `x + 3`, stand among the arguments alone
        steps.append([type(call.layer).__name__, config, inputs, call.args, call.kwargs])
        made |= {id(tensor): f"{len(steps)}:{number}" for number, tensor in enumerate(call.outputs)}
    steps.append([made[id(tensor)] for tensor in model.outputs])
    graph = json.dumps(steps, sort_keys=True, default=_plain)
    layers = dict.fromkeys(call.layer for call in calls(model))
    weights = weights_sha256(layer for layer in layers if isinstance(layer, keras.Layer))
    return hashlib.sha256(f"{graph} {weights}".encode()).hexdigest()


def _inference_settings(config: Any) -> Any:
    """Leave out what changes nothing of what a layer, or one inside it, computes in inference."""
    if isinstance(config, dict):
        return {
            key: _inference_settings(value) for key, value in config.items() if not str(key).endswith(ONLY_TRAINING)
        }
    return [_inference_settings(value) for value in config] if isinstance(config, list | tuple) else config


def _plain(value: Any) -> Any:
    """Stand in for what JSON can't hold, such as an array in a graph."""
    if isinstance(value, keras.KerasTensor):
        return "tensor"
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
        array = np.asarray(keras.ops.convert_to_numpy(value))
        return [str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
    return str(value)
