"""A run's network that also gives its last feature map, from which one sees where it looked."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from unfreeze.evaluation.calibration import calibrate
from unfreeze.inference.predictor import Predictor
from unfreeze.onnx_session import open_session

Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""From pixels, uint8 [1, size, size, 3], to calibrated probabilities [1, classes] and features [1, rows, columns,
channels]."""

_AFTER_DENSE = {"Add", "Softmax", "Max", "Log", "Mul", "Div", "Cast", "Identity", "Reshape", "ReduceMean"}
"""What may follow the dense layer of a head: its bias, softmax, averaging over views, and calibration."""

_RESHAPING = {"Squeeze", "Reshape", "Flatten", "Identity", "Cast"}


class FeatureMapNetwork:
    """A network for single photos. It may be called from several threads.

    Args:
        run: predicts one photo.
        weights: of the dense layer behind the pooling, [channels, classes]; empty where there is no such layer.

    Attributes:
        weights: likewise.
    """

    def __init__(self, run: Run, weights: np.ndarray):
        self._run, self.weights = run, weights

    def predict(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Predict a photo.

        Args:
            pixels: uint8 [size, size, 3].

        Returns:
            Calibrated probabilities [classes], and the feature map [rows, columns, channels]; None where the network
            does not pool a map of several places into one dense layer, so that nothing shows where it looked.
        """
        probabilities, features = self._run(pixels[None])
        has_places = features is not None and self.weights.size and features.shape[1] * features.shape[2] > 1
        return probabilities[0], features[0] if has_places and features is not None else None


def feature_map_network(predictor: Predictor) -> FeatureMapNetwork:
    """Build a run's network by the quickest way that there is: ONNX Runtime, else Keras.

    Args:
        predictor: of the run, with a quick copy where there can be one.
    """
    file = predictor.quick_file
    return (file and _in_onnx_runtime(file, len(predictor.classes))) or _in_keras(predictor)


def _in_onnx_runtime(file: Path, classes: int) -> FeatureMapNetwork | None:
    """Take the map out of an exported network, or give None where its head is not one dense layer."""
    content = onnx.load(file)
    found = _pooling_and_dense(content.graph, classes)
    if found is None:
        return None
    pooling, weights = found
    content.graph.output.append(onnx.helper.make_empty_tensor_value_info(pooling.input[0]))
    session = open_session(content.SerializeToString())
    photo = session.get_inputs()[0].name

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, features = map(np.asarray, session.run(None, {photo: pixels}))
        return probabilities, features.transpose(0, 2, 3, 1)

    return FeatureMapNetwork(run, weights)


def _pooling_and_dense(graph: onnx.GraphProto, classes: int) -> tuple[onnx.NodeProto, np.ndarray] | None:
    """Walk back from the probabilities over the dense layer to the average pooling, if that is all there is."""
    makers = {name: node for node in graph.node for name in node.output}
    constants = {each.name: each for each in graph.initializer}
    node = makers.get(graph.output[0].name)
    while node is not None and node.op_type in _AFTER_DENSE:
        node = next((makers[name] for name in node.input if name in makers), None)
    if node is None or node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
        return None
    weights = numpy_helper.to_array(constants[node.input[1]])
    if any(each.name == "transB" and each.i for each in node.attribute):
        weights = weights.T
    node = makers.get(node.input[0])
    while node is not None and node.op_type in _RESHAPING:
        node = makers.get(node.input[0])
    if node is None or node.op_type != "GlobalAveragePool" or weights.shape[-1] != classes:
        return None
    return node, weights


def _in_keras(predictor: Predictor) -> FeatureMapNetwork:
    import keras

    lock = threading.Lock()
    model: Any = predictor.model
    layers = {layer.name: layer for layer in model.layers}
    head: Any = layers.get("head")
    has_map = "pooling" in layers and isinstance(head, keras.layers.Dense)
    both: Any = keras.Model(model.input, [model.output, layers["pooling"].input]) if has_map else None

    def run(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with lock:
            if both is None:
                return predictor.probabilities(pixels), None
            rows, features = map(keras.ops.convert_to_numpy, both(pixels.astype(np.float32), training=False))
        if predictor.test_views:  # the map is of the photo as it is
            return predictor.probabilities(pixels), np.asarray(features)
        return calibrate(np.asarray(rows), predictor.temperature), np.asarray(features)

    weights: Any = keras.ops.convert_to_numpy(head.kernel) if has_map else np.empty((0, 0))
    return FeatureMapNetwork(run, weights)
