"""What keeps TensorFlow's models from ONNX though ONNX could run them: GELU and grouped convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np


@contextmanager
def exportable() -> Iterator[None]:
    """Let models with GELU or grouped convolutions be exported inside the block: ConvNeXt and transformers.

    Other backends than TensorFlow have ways of their own.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf  # pyright: ignore[reportMissingImports]

    _teach_erfc()
    # Keras wraps a grouped convolution in a function for XLA, which tf2onnx can't open: run eagerly, functions inside
    # the exported one leave their operations in its graph.
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(eagerly)


@cache
def _teach_erfc() -> None:
    """Tell tf2onnx that erfc(x), with which TensorFlow computes GELU, is 1 - erf(x)."""
    from tf2onnx.handler import tf_op  # pyright: ignore[reportMissingImports]

    class _Erfc:
        @classmethod
        def version_9(cls, ctx: Any, node: Any, **kwargs: Any) -> None:
            """Put two nodes in the place of one."""
            result, dtype = node.output[0], ctx.get_dtype(node.output[0])
            shape = ctx.get_shape(result)
            ctx.remove_node(node.name)
            erf = ctx.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype])
            one = ctx.make_const(f"{node.name}/one", np.ones((), np.float32))
            inputs = [one.output[0], erf.output[0]]
            ctx.make_node("Sub", inputs, outputs=[result], shapes=[shape], dtypes=[dtype], name=node.name)

    tf_op("Erfc")(_Erfc)
