"""What runs frozen layers: ONNX Runtime on a CPU, the backend's own compiled call otherwise.

An engine takes a batch and gives what the Keras model gives with `training=False`. How rows are spread over batches
and threads changes no bit of what ONNX Runtime gives, so that is chosen by measuring, once a machine.
"""

import hashlib
import json
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime

from unfreeze.backend import thread_count
from unfreeze.features.graph import calls
from unfreeze.files import publish, replace_text
from unfreeze.models.weights import weights_sha256
from unfreeze.progress import say

TOLERANCE = 1e-3
"""Largest difference from Keras, relative to the largest number, that passes for rounding. Summing in another order
costs about 1e-5 in float32 networks of this depth; a wrong padding or constant costs more than a tenth."""

COMPARED = 4
"""Rows on which an engine is compared with Keras before it is used."""

BATCHES = (1, 4, 16)
"""Rows a call that are tried; small batches stay in the processor's cache."""

TRIAL_SECONDS = 0.15

KERAS_BATCH = 64

ONLY_TRAINING = ("trainable", "_initializer", "_regularizer", "_constraint", "seed")
"""Endings of settings of a layer that change nothing of what it computes in inference."""


@dataclass(frozen=True)
class Choice:
    """How frozen layers run on this machine.

    Attributes:
        engine: name and version of what runs them: it can change bits, so it is part of every cache key.
        batch: rows a call.
        workers: calls at a time, with one thread each.
        rows_per_second: measured when this was chosen, 0 where nothing was.
        why: the reason where it isn't ONNX Runtime, else None.
    """

    engine: str
    batch: int
    workers: int
    rows_per_second: float = 0.0
    why: str | None = None


class Engine:
    """Frozen layers, ready to run.

    Args:
        model: a Keras model without randomness; several outputs are laid end to end in one row.
        folder: where exported models and choices are kept for the next time.
    """

    def __init__(self, model: keras.Model, folder: Path):
        self.model = model
        self.sha256 = model_sha256(model)
        self._folder = folder / self.sha256[:32]
        self._session: onnxruntime.InferenceSession | None = None
        self._prepared = False
        self.choice = self._recorded_choice()

    def prepare(self, sample: np.ndarray) -> None:
        """Open the engine, compare it with Keras and, the first time on this machine, choose how it runs.

        Args:
            sample: rows as `run` will get them, at least one.
        """
        if self._prepared:
            return
        self._prepared = True
        if self.choice and self.choice.why:
            return
        wanted = _rows(self.model(sample[:COMPARED], training=False))  # Keras exports only what was called once
        problem = _no_onnx_here() or self._open()
        if not problem:
            problem = _difference(self._run_onnx(sample[:COMPARED]), wanted)
        if problem:
            self._session = None
            say(f"The frozen layers run in Keras, not in ONNX Runtime: {problem}")
            self.choice = Choice(f"keras-{keras.__version__}-{keras.backend.backend()}", KERAS_BATCH, 1, why=problem)
        elif self.choice is None:
            self.choice = self._fastest(sample)
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_text(self._folder / "choice.json", json.dumps(asdict(self.choice), indent=1))

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows, [n, ...] to float32 [n, ...]; several threads may call it at a time."""
        if self._session and self.choice:
            batches = range(0, len(rows), self.choice.batch)
            return np.concatenate([self._run_onnx(rows[start : start + self.choice.batch]) for start in batches])
        return _rows(self.model.predict(rows, batch_size=KERAS_BATCH, verbose=0))  # pyright: ignore[reportArgumentType]

    def _run_onnx(self, rows: np.ndarray) -> np.ndarray:
        assert self._session is not None
        names = [value.name for value in self._session.get_inputs()]
        pieces = [rows] if len(names) == 1 else unpack(rows, self.model)
        feed = {name: np.asarray(piece, np.float32) for name, piece in zip(names, pieces, strict=True)}
        return _rows(self._session.run(None, feed))

    def _open(self) -> str | None:
        """Open the exported model, exporting it first where that wasn't done; gives the reason if it can't be."""
        file = self._folder / "model.onnx"
        try:
            if not file.exists():
                _export(self.model, file)
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 3
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # exporters fail in too many ways to name
            return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return None

    def _fastest(self, sample: np.ndarray) -> Choice:
        """Try the sizes of a batch, as many calls at a time as there are processors."""
        workers = thread_count()
        rates = {}
        with ThreadPoolExecutor(workers) as pool:
            for batch in BATCHES:
                rows = np.resize(sample, (batch, *sample.shape[1:]))
                self._run_onnx(rows)
                started, done = time.perf_counter(), 0
                while time.perf_counter() - started < TRIAL_SECONDS:
                    list(pool.map(self._run_onnx, [rows] * workers))
                    done += batch * workers
                rates[batch] = done / (time.perf_counter() - started)
        best = max(rates, key=lambda batch: rates[batch])
        return Choice(f"onnxruntime-{onnxruntime.__version__}", best, workers, round(rates[best], 1))

    def _recorded_choice(self) -> Choice | None:
        try:
            return Choice(**json.loads((self._folder / "choice.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def model_sha256(model: keras.Model) -> str:
    """Name a model by what it computes: its layers, how they are connected, and their weights."""
    made = {id(tensor): f"input {number} {tensor.shape}" for number, tensor in enumerate(model.inputs)}
    steps = []
    for call in calls(model):
        config = {key: value for key, value in call.layer.get_config().items() if not key.endswith(ONLY_TRAINING)}
        steps.append([type(call.layer).__name__, config, [made[id(tensor)] for tensor in call.inputs]])
        made |= {id(tensor): f"{len(steps)}:{number}" for number, tensor in enumerate(call.outputs)}
    steps.append([made[id(tensor)] for tensor in model.outputs])
    graph = json.dumps(steps, sort_keys=True, default=str)
    layers = dict.fromkeys(call.layer for call in calls(model))
    weights = weights_sha256(layer for layer in layers if isinstance(layer, keras.Layer))
    return hashlib.sha256(f"{graph} {weights}".encode()).hexdigest()


def unpack(rows: np.ndarray, model: keras.Model) -> list[Any]:
    """Take rows apart into a model's several inputs; the reverse of what an engine does with several outputs."""
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [piece.reshape(-1, *shape) for piece, shape in zip(np.split(rows, ends, axis=1), shapes, strict=True)]


def row_shape(model: keras.Model) -> tuple[int, ...]:
    """Give the shape of one row of an engine's output."""
    if len(model.outputs) == 1:
        return tuple(model.outputs[0].shape[1:])
    return (sum(int(np.prod(tensor.shape[1:])) for tensor in model.outputs),)


def _rows(outputs: Any) -> np.ndarray:
    """Lay a model's outputs end to end, one row a photo."""
    arrays = [np.asarray(keras.ops.convert_to_numpy(output)) for output in _as_list(outputs)]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _as_list(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def _difference(given: np.ndarray, wanted: np.ndarray) -> str | None:
    """Say how far an engine is from Keras, or None where it is rounding."""
    largest = float(np.abs(given - wanted).max()) / max(float(np.abs(wanted).max()), 1e-12)
    if np.isfinite(largest) and largest <= TOLERANCE:
        return None
    return f"its output differs from Keras's by {largest:.2g} of the largest number, more than rounding"


def _no_onnx_here() -> str | None:
    if keras.distribution.list_devices("gpu"):
        return "there is a GPU"
    return None


def _export(model: keras.Model, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        temporary = Path(folder) / "model.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters look for names that newer NumPy and ONNX no longer have
            model.export(temporary, format="onnx", verbose=False)
        publish(temporary, file)
