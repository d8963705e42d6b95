"""Keras models as ONNX files."""

import logging
import tempfile
import warnings
from pathlib import Path

import keras

from unfreeze.features.onnx_gaps import exportable
from unfreeze.files import publish


def export_onnx(model: keras.Model, file: Path) -> None:
    """Write a model as ONNX, the whole file or nothing.

    Args:
        model: of single layers, as `flatten` gives it; Keras exports only what was called once.
        file: to make or replace; folders that are missing are made.

    Raises:
        Exception: exporters fail in too many ways to name.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        temporary = Path(folder) / "model.onnx"
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it shows optimizations that fail, with traceback
        with warnings.catch_warnings(), exportable():
            warnings.simplefilter("ignore")  # exporters look for names that newer NumPy and ONNX no longer have
            model.export(temporary, format="onnx", verbose=False)
        publish(temporary, file)
