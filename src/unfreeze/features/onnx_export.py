"""Keras models as ONNX files."""

import logging
import tempfile
import warnings
from pathlib import Path

import keras

from unfreeze.features.onnx_gaps import exportable
from unfreeze.files import publish
from unfreeze.free_memory import available_bytes

EXPORT_BYTES = 30
"""Times its weights' bytes that must be free to export a network. ConvNeXtLarge's 0.8 GB took 19 (tf2onnx 1.17), so a
fifth of it is for whatever else runs."""


def export_onnx(model: keras.Model, file: Path) -> None:
    """Write a model as ONNX, the whole file or nothing.

    Args:
        model: of single layers, as `flatten` gives it; Keras exports only what was called once.
        file: to make or replace; folders that are missing are made.

    Raises:
        MemoryError: there is too little for it; a process that takes too much is killed unheard.
        Exception: exporters fail in too many ways to name.
    """
    needed, available = EXPORT_BYTES * 4 * model.count_params(), available_bytes()
    if needed > available:
        raise MemoryError(
            f"exporting them takes about {needed / 1e9:,.0f} GB of memory, and {available / 1e9:,.0f} GB are available"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        temporary = Path(folder) / "model.onnx"
        logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # it shows optimizations that fail, with traceback
        with warnings.catch_warnings(), exportable():
            warnings.simplefilter("ignore")  # exporters look for names that newer NumPy and ONNX no longer have
            model.export(temporary, format="onnx", verbose=False)
        publish(temporary, file)
