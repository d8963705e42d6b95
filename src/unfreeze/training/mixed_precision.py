"""Training in bfloat16 on a GPU, with weights, optimizer and head in float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def in_bfloat16(backbone: keras.Model) -> Iterator[None]:
    """Let a network's layers compute in bfloat16 inside the block.

    Only what is traced or run there does; afterwards the layers are as before, so that what is saved, exported or
    predicted with is in float32. (Keras's guide: https://keras.io/api/mixed_precision.)

    Args:
        backbone: its layers are changed, not those around it.
    """
    layers = [
        layer
        for layer in backbone._flatten_layers(include_self=False)
        if layer.dtype_policy.name == "float32" and not isinstance(layer, keras.Model)
    ]
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    try:
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
