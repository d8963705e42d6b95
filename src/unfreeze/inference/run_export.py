"""An exported file run as anybody would run it, by its own runtime and nothing of ours."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime

from unfreeze.backend import native_stderr_kept_back
from unfreeze.errors import RunError

BATCH = 4
"""Photos a call: more than one, so that a file that takes only one is found out."""


def ensure_litert() -> None:
    """Refuse where no LiteRT file can be made or run.

    Raises:
        RunError: Keras runs on another backend than TensorFlow, or there is no LiteRT.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise RunError(
            f"Only TensorFlow makes files for LiteRT, and Keras runs on {backend} here. Install TensorFlow (pip "
            "install 'unfreeze[tensorflow-cpu]') and call again with KERAS_BACKEND=tensorflow; the run stays as it is."
        )
    if not importlib.util.find_spec("ai_edge_litert"):
        raise RunError("An export is checked in LiteRT, which is not installed: pip install 'unfreeze[litert]'.")


def run_keras(file: Path, pixels: np.ndarray) -> np.ndarray:
    """Run a `.keras` file; code in it would be refused.

    Args:
        file: the export.
        pixels: uint8 [n, size, size, 3].

    Returns:
        Probabilities, [n, classes].
    """
    model: Any = keras.saving.load_model(file, compile=False, safe_mode=True)
    return model.predict(pixels, batch_size=BATCH, verbose=0)


def run_onnx(file: Path, pixels: np.ndarray) -> np.ndarray:
    """Run an ONNX file, as `run_keras` runs a `.keras` file."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([np.asarray(session.run(None, {name: rows})[0]) for rows in _batches(pixels)])


def run_litert(file: Path, pixels: np.ndarray) -> np.ndarray:
    """Run a LiteRT file, as `run_keras` runs a `.keras` file."""
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    found = []
    with native_stderr_kept_back():  # it tells which kernels it takes
        network = Interpreter(model_path=str(file))
        [photos], [probabilities] = network.get_input_details(), network.get_output_details()
        for rows in _batches(pixels):
            network.resize_tensor_input(photos["index"], rows.shape)
            network.allocate_tensors()
            network.set_tensor(photos["index"], rows)
            network.invoke()
            found.append(network.get_tensor(probabilities["index"]))
    return np.concatenate(found)


RUNTIMES: dict[str, Callable[[Path, np.ndarray], np.ndarray]] = {
    "keras": run_keras,
    "onnx": run_onnx,
    "litert": run_litert,
}
"""Format -> what runs it."""


def _batches(pixels: np.ndarray) -> list[np.ndarray]:
    return [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
