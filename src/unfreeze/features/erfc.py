"""GELU for ONNX: TensorFlow computes it with the complementary error function, which ONNX doesn't have."""

from functools import cache
from typing import Any

import keras
import numpy as np


@cache
def teach_erfc() -> None:
    """Tell tf2onnx that erfc(x) is 1 - erf(x); without it no transformer or ConvNeXt can be exported.

    Other backends than TensorFlow export without tf2onnx.
    """
    if keras.backend.backend() != "tensorflow":
        return
    from tf2onnx.handler import tf_op

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
