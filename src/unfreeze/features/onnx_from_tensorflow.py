"""TensorFlow's models as ONNX.

tf2onnx copies a network's constants again and again: with ConvNeXtLarge's 0.8 GB in the graph it takes 19 GB.
So large weights are inputs of the graph that it converts, and are put in afterwards: ConvNeXtXLarge's 1.4 GB take 5 GB
then, and EfficientNetB0 a third of the time (3.5 s instead of 9.8).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from unfreeze.models.weights import count_parameters

LARGE_BYTES = 100_000
"""Weights from this size on are put in afterwards. tf2onnx sees the smaller ones, which it computes with."""


def onnx_from_tensorflow(model: keras.Model) -> onnx.ModelProto:
    """Convert a model's inference, GELU and grouped convolutions included.

    Args:
        model: any Functional model of TensorFlow's.

    Raises:
        Exception: there is no common class for what can't be converted, such as an operation that ONNX doesn't have.
    """
    import tensorflow as tf
    import tf2onnx  # pyright: ignore[reportMissingImports]

    _teach_erfc()
    large = [weight for weight in model.variables if 4 * count_parameters([weight]) >= LARGE_BYTES]
    photos = [tf.TensorSpec(each.shape, each.dtype, name=each.name) for each in model.inputs]
    weights = [tf.TensorSpec(each.shape, each.dtype, name=f"weight_{number}") for number, each in enumerate(large)]

    @tf.function
    def inference(*inputs: Any) -> Any:
        photos, weights = inputs[: len(model.inputs)], inputs[len(model.inputs) :]
        with keras.StatelessScope(state_mapping=list(zip(large, weights, strict=True))):
            return model(photos[0] if len(photos) == 1 else list(photos), training=False)

    with opened_functions():
        converted, _ = tf2onnx.convert.from_function(inference, [*photos, *weights])
    arrays: Any = [keras.ops.convert_to_numpy(weight) for weight in large]
    _put_in(converted.graph, {f"weight_{number}": array for number, array in enumerate(arrays)})
    return converted


def _put_in(graph: onnx.GraphProto, weights: dict[str, np.ndarray]) -> None:
    """Put constants in the place of inputs; what is computed from constants alone, as a kernel's turning, is done."""
    known = dict(weights)
    constants = {each.name: each for each in graph.initializer}
    left: list[onnx.NodeProto] = []
    for node in graph.node:
        if any(name in known for name in node.input) and all(name in known or name in constants for name in node.input):
            given = {
                name: known[name] if name in known else onnx.numpy_helper.to_array(constants[name])
                for name in node.input
            }
            results: Any = ReferenceEvaluator(node).run(None, given)
            known.update(zip(node.output, results, strict=True))
        else:
            left.append(node)
    used = {name for node in left for name in node.input} | {each.name for each in graph.output}
    put_in = [onnx.numpy_helper.from_array(known[name], name) for name in known if name in used]
    _replace(graph.node, left)
    _replace(graph.input, [each for each in graph.input if each.name not in weights])
    _replace(graph.initializer, [*(constants[name] for name in constants if name in used), *put_in])


def _replace(field: Any, messages: Sequence[Any]) -> None:
    kept = list(messages)
    del field[:]
    field.extend(kept)


@contextmanager
def opened_functions() -> Iterator[None]:
    """Let functions inside the converted one leave their operations in its graph.

    Keras wraps a grouped convolution in a function for XLA, which tf2onnx can't open. Run eagerly, it is none.
    """
    import tensorflow as tf

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
