"""A network as one file of another kind, with what it says of itself inside."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import onnx

from unfreeze.backend import native_stderr_kept_back
from unfreeze.features.flatten import flatten
from unfreeze.features.onnx_export import export_onnx
from unfreeze.inference.calibrated import calibrated_model
from unfreeze.inference.description import NAME, ONNX_KEY, Description

PHOTOS, PROBABILITIES, COUNT = "photo", "probabilities", "n"
"""Names of an ONNX file's input, output, and first dimension."""


def write_keras(model: keras.Model, description: Description, file: Path) -> None:
    """Write a `.keras` file of Keras's own layers, from pixels of any type to calibrated probabilities.

    Args:
        model: of a run; it gives uncalibrated probabilities.
        description: goes into the file, as `unfreeze.json`; Keras passes over it.
        file: to make or replace.
    """
    calibrated_model(model, description.temperature, description.test_views).save(file)
    _add_description(file, description)


def write_onnx(model: keras.Model, description: Description, file: Path) -> None:
    """Write an ONNX file: uint8 [n, size, size, 3] to float32 [n, classes].

    Args:
        model: of a run; it gives uncalibrated probabilities.
        description: goes into the file's metadata, under `unfreeze`.
        file: to make or replace.

    Raises:
        Exception: exporters fail in too many ways to name.
    """
    export_onnx(_exportable(model, description), file)
    content = onnx.load(file)
    _name_ends(content.graph)
    onnx.helper.set_model_props(content, {ONNX_KEY: description.to_json()})
    onnx.checker.check_model(content)
    onnx.save(content, file)


def write_litert(model: keras.Model, description: Description, file: Path) -> None:
    """Write a TensorFlow Lite file: uint8 [n, size, size, 3] to float32 [n, classes].

    Args:
        model: of a run; it gives uncalibrated probabilities.
        description: goes into the file, as `unfreeze.json` in a zip at its end, where readers of associated files look.
        file: to make or replace; its name ends with `.tflite`.

    Raises:
        Exception: exporters fail in too many ways to name.
    """
    with native_stderr_kept_back():  # the converter tells its steps
        _exportable(model, description).export(file, format="litert", verbose=False)
    _add_description(file, description)


WRITERS: dict[str, Callable[[keras.Model, Description, Path], None]] = {
    "keras": write_keras,
    "onnx": write_onnx,
    "litert": write_litert,
}
"""Format -> what writes it."""


def _exportable(model: keras.Model, description: Description) -> keras.Model:
    """Build a flat model that takes bytes, and call it: Keras exports only what was called once."""
    flat = flatten(calibrated_model(model, description.temperature, description.test_views, "uint8"))
    flat(keras.ops.zeros((1, *flat.input_shape[1:]), "uint8"))
    return flat


def _add_description(file: Path, description: Description) -> None:
    with zipfile.ZipFile(file, "a") as content:
        content.writestr(NAME, description.to_json())


def _name_ends(graph: onnx.GraphProto) -> None:
    """Name input, output and their first dimension, which exporters number."""
    [photos], [probabilities] = graph.input, graph.output
    names = {photos.name: PHOTOS, probabilities.name: PROBABILITIES}
    for node in graph.node:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]
    photos.name, probabilities.name = PHOTOS, PROBABILITIES
    for value in (photos, probabilities):
        dimension = value.type.tensor_type.shape.dim[0]
        if not dimension.dim_value:
            dimension.dim_param = COUNT
    del graph.value_info[:]  # notes of inner shapes, with the numbers
