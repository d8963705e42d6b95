"""An ONNX file opened so that several threads can call it, each on a core of its own."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """Open an ONNX model in ONNX Runtime, on the CPU, with one thread a call.

    Spreading calls over threads is faster than spreading each of them.

    Args:
        model: the file, or its content.

    Raises:
        Exception: it is no such model; ONNX Runtime has no common class for its errors.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class OnnxLayers:
    """Frozen layers in an ONNX file; pickled, they are opened again from it.

    Args:
        file: an exported network. Several inputs lie end to end in one row, and several outputs are laid so.
        batch: rows a call.
    """

    def __init__(self, file: Path, batch: int):
        self.file, self.batch = file, batch
        self._session = open_session(file)
        inputs = self._session.get_inputs()
        self._names = [value.name for value in inputs]
        self._shapes = [tuple(value.shape[1:]) for value in inputs]

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened_once, (self.file, self.batch)

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows, [n, ...] to float32 [n, ...]; several threads may call it at a time."""
        return in_batches(self._run, rows, self.batch)

    def _run(self, rows: np.ndarray) -> np.ndarray:
        pieces = [rows] if len(self._names) == 1 else taken_apart(rows, self._shapes)
        feed = {name: np.asarray(piece, np.float32) for name, piece in zip(self._names, pieces, strict=True)}
        return end_to_end([np.asarray(output) for output in self._session.run(None, feed)])


def in_batches(run: Any, rows: np.ndarray, size: int) -> np.ndarray:
    """Run rows, so many a call."""
    return np.concatenate([run(rows[start : start + size]) for start in range(0, len(rows), size)])


def taken_apart(rows: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Undo `end_to_end`, for arrays of these shapes, [n, *shape] each."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [piece.reshape(-1, *shape) for piece, shape in zip(np.split(rows, ends, axis=1), shapes, strict=True)]


def end_to_end(arrays: list[np.ndarray]) -> np.ndarray:
    """Lay several arrays, [n, ...] each, end to end: [n, all of it]; a single one stays as it is."""
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


@lru_cache(maxsize=8)
def _opened_once(file: Path, batch: int) -> OnnxLayers:
    return OnnxLayers(file, batch)
