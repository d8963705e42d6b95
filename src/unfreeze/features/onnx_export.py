"""Keras models as ONNX files."""

import logging
import tempfile
import warnings
from pathlib import Path

import keras
import onnx

from unfreeze.features.onnx_from_tensorflow import onnx_from_tensorflow
from unfreeze.files import publish
from unfreeze.free_memory import available_bytes

EXPORT_BYTES = {"tensorflow": 6, "jax": 30, "torch": 30}
"""Backend -> times its weights' bytes that must be free to export a network. With TensorFlow ConvNeXtXLarge's 1.4 GB
take 5; how much the other exporters take was not measured."""


def export_onnx(model: keras.Model, file: Path) -> None:
    """Write a model as ONNX, the whole file or nothing.

    Args:
        model: of single layers, as `flatten` gives it; Keras exports only what was called once.
        file: to make or replace; folders that are missing are made.

    Raises:
        MemoryError: there is too little for it; a process that takes too much is killed unheard.
        Exception: exporters fail in too many ways to name.
    """
    needed, available = export_bytes(model), available_bytes()
    if needed > available:
        raise MemoryError(
            f"exporting them takes about {needed / 1e9:,.0f} GB of memory, and {available / 1e9:,.0f} GB are available"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        temporary = Path(folder) / "model.onnx"
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it shows optimizations that fail, with traceback
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters look for names that newer NumPy and ONNX no longer have
            if keras.backend.backend() == "tensorflow":
                onnx.save(onnx_from_tensorflow(model), temporary)
            else:
                model.export(temporary, format="onnx", verbose=False)
        publish(temporary, file)


def export_bytes(model: keras.Model) -> int:
    """Give the memory that must be free to export a model."""
    return EXPORT_BYTES[keras.backend.backend()] * 4 * model.count_params()
