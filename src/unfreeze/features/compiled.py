"""A network's compiled copy, for a GPU; in bfloat16 where that is wanted."""

from collections.abc import Callable
from typing import Any

import keras

from unfreeze.features.graph import calls


def compiled_copy(model: keras.Model, in_bfloat16: bool) -> Callable[[Any], Any]:
    """Copy a network and compile the copy's inference.

    Args:
        model: any Functional model; its layers can be trained on, the copy keeps today's weights.
        in_bfloat16: whether its layers compute in bfloat16. Weights stay float32, and so do the layers that give the
            outputs.

    Returns:
        A function from inputs to outputs as the backend has them; several threads may call it at a time.
    """
    ends = {id(tensor) for tensor in model.outputs}
    last = {id(call.layer) for call in calls(model) if any(id(tensor) in ends for tensor in call.outputs)}

    def copied(layer: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer  # an operation such as `+`, which holds nothing
        config = layer.get_config()
        if in_bfloat16 and layer.dtype_policy.name == "float32" and id(layer) not in last:
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return _compiled(copy)


def _compiled(model: keras.Model) -> Callable[[Any], Any]:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax  # pyright: ignore[reportMissingImports]

        weights = [[each.value for each in some] for some in (model.trainable_variables, model.non_trainable_variables)]
        run = jax.jit(lambda weights, inputs: model.stateless_call(*weights, inputs, training=False)[0])
        return lambda inputs: run(weights, inputs)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)

    import torch  # pyright: ignore[reportMissingImports]

    def run_in_torch(inputs: Any) -> Any:
        with torch.no_grad():
            return model(inputs, training=False)

    return run_in_torch
