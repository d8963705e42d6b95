"""What runs frozen layers: ONNX Runtime on a CPU, the backend's own compiled call otherwise.

An engine takes a batch and gives what the Keras model gives with `training=False`. How rows are spread over batches
and threads changes no bit of what ONNX Runtime gives, so that is chosen by measuring, once a machine. On a GPU the
size of a batch can change bits, so it is fixed, and part of the engine's name.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import keras
import numpy as np
import onnxruntime
from pydantic import TypeAdapter

from unfreeze.backend import thread_count
from unfreeze.config import Count
from unfreeze.features.compiled import compiled_copy
from unfreeze.features.fingerprint import model_sha256
from unfreeze.features.onnx_export import export_onnx
from unfreeze.files import replace_text
from unfreeze.gpu import has_bfloat16, on_gpu
from unfreeze.onnx_session import OnnxLayers, end_to_end, in_batches, taken_apart
from unfreeze.progress import say
from unfreeze.seals import is_as_sealed, seal_file
from unfreeze.text import error_in_a_line

TOLERANCE = 1e-3
"""Largest difference from Keras, relative to the largest number, that passes for rounding. Summing in another order
costs about 1e-5 in float32 networks of this depth; a wrong padding or constant costs more than a tenth."""

BFLOAT16_TOLERANCE = 0.05
"""The same for bfloat16, which keeps 8 bits of a number: a rounding is up to 0.4%, and a deep network adds them up."""

COMPARED = 4
"""Rows on which an engine is compared with Keras before it is used."""

BATCHES = (1, 4, 16)
"""Rows a call that are tried; small batches stay in the processor's cache."""

TRIAL_SECONDS = 0.05

CLOSE = 0.9
"""Of batches about as fast the smallest is taken: it leaves more of the cache to the other cores."""

KERAS_BATCH = 32

GPU_BATCH = 256
"""Rows a call on a GPU, enough to fill an H100; half as many, and so on, where the memory ends before."""

_ONE_AT_A_TIME = Lock()
"""A call of a network on a GPU fills it, and takes gigabytes there: Keras holds all layers' outputs to its end."""


@dataclass(frozen=True)
class Choice:
    """How frozen layers run on this machine.

    Attributes:
        engine: name and version of what runs them: it can change bits, so it is part of every cache key.
        batch: rows a call.
        workers: calls at a time, with one thread each; on a GPU these threads make the pixels meanwhile.
        rows_per_second: measured when this was chosen, 0 where nothing was.
        why: the reason where it isn't ONNX Runtime, else None.
    """

    engine: str
    batch: Count
    workers: Count
    rows_per_second: float = 0.0
    why: str | None = None


class Engine:
    """Frozen layers, ready to run.

    Args:
        model: a Keras model without randomness; several outputs are laid end to end in one row.
        folder: where exported models and choices are kept for the next time.
        in_bfloat16: whether a GPU that is faster so may compute in bfloat16.
    """

    def __init__(self, model: keras.Model, folder: Path, in_bfloat16: bool = False):
        self.model = model
        self.sha256 = model_sha256(model)
        self.in_bfloat16 = in_bfloat16 and has_bfloat16()
        self._folder = folder / self.sha256[:32]
        self._record = self._folder / ("choice-bfloat16.json" if self.in_bfloat16 else "choice.json")
        self.onnx: OnnxLayers | None = None
        self._copy: Callable[[Any], Any] | None = None
        self.is_prepared = False
        self.choice = self._recorded_choice()

    @property
    def is_exported(self) -> bool:
        """Whether it runs a copy of the model, so that training the model's layers from now on changes nothing."""
        return self.onnx is not None or self._copy is not None

    @property
    def is_independent_of_threads(self) -> bool:
        """Whether its bits are the same with any number of threads; Keras on a processor promises nothing."""
        return self.is_exported or on_gpu()

    def prepare(self, sample: np.ndarray) -> None:
        """Open the engine, compare it with Keras and, the first time on this machine, choose how it runs.

        Args:
            sample: rows as `run` will get them, at least one.
        """
        if self.is_prepared:
            return
        if not (self.choice and self.choice.why):
            if problem := self._open_on_gpu(sample) if on_gpu() else self._open_onnx(sample[:COMPARED]):
                self.onnx = self._copy = None
                say(f"The frozen layers run in Keras, not in {_wanted_here()}: {problem}")
                self.choice = Choice(_keras_here(), KERAS_BATCH, 1, why=problem)
            elif self.choice is None:
                self.choice = self._fastest(sample)
            if not (problem or "").startswith(MemoryError.__name__):  # there may be more of it the next time
                self._folder.mkdir(parents=True, exist_ok=True)
                replace_text(self._record, json.dumps(asdict(self.choice), indent=1))
        self.is_prepared = True

    def stay_in_keras(self, why: str) -> None:
        """Run the model as it is, in place of `prepare`."""
        self.choice, self.is_prepared = Choice(_keras_here(), KERAS_BATCH, 1, why=why), True

    def run(self, rows: np.ndarray) -> np.ndarray:
        """Run rows, [n, ...] to float32 [n, ...]; several threads may call it at a time. Prepare it first."""
        assert self.is_prepared
        assert self.choice
        if self.onnx:
            return self.onnx.run(rows)
        return in_batches(self._run_copy if self._copy else self._run_keras, rows, self.choice.batch)

    def _run_keras(self, rows: np.ndarray) -> np.ndarray:
        """Run one batch, filled up to a whole one: another size may round differently, and is compiled anew."""
        batch = np.resize(rows, (KERAS_BATCH, *rows.shape[1:]))
        return _rows(self.model.predict_on_batch(self._inputs(batch)))[: len(rows)]

    def _run_copy(self, rows: np.ndarray) -> np.ndarray:
        """Run one batch on the GPU, filled up likewise."""
        assert self._copy
        assert self.choice
        batch = self._inputs(np.resize(rows, (self.choice.batch, *rows.shape[1:])))
        with _ONE_AT_A_TIME:
            return _rows(self._copy(batch))[: len(rows)]

    def _inputs(self, rows: np.ndarray) -> Any:
        return rows if len(self.model.inputs) == 1 else unpack(rows, self.model)

    def _open_on_gpu(self, sample: np.ndarray) -> str | None:
        """Compile a copy of the model and choose how it runs, if that isn't known; gives the reason if it can't be."""
        try:
            if self.choice:
                was_in_bfloat16 = self.choice.engine == _gpu_engine(True, self.choice.batch)
                self._copy = compiled_copy(self.model, was_in_bfloat16)
                return None
            in_bfloat16 = self.in_bfloat16
            self._copy = compiled_copy(self.model, in_bfloat16)
            if in_bfloat16:
                exact, inputs = compiled_copy(self.model, in_bfloat16=False), self._inputs(sample[:COMPARED])
                if problem := _difference(_rows(self._copy(inputs)), _rows(exact(inputs)), BFLOAT16_TOLERANCE):
                    say(f"The frozen layers run in float32, not in bfloat16: {problem}")
                    self._copy, in_bfloat16 = exact, False
            self.choice = self._largest_fitting(sample, in_bfloat16)
            return None
        except Exception as error:  # a layer of a caller's own that can't be copied, or compiled
            return error_in_a_line(error)

    def _largest_fitting(self, sample: np.ndarray, in_bfloat16: bool) -> Choice:
        """Take the largest batch for which the GPU has memory, and measure it."""
        batch = GPU_BATCH
        while True:
            choice = self.choice = Choice(_gpu_engine(in_bfloat16, batch), batch, thread_count())
            try:
                self._run_copy(sample)
            except Exception:  # backends have no common class for this error
                if batch == 1:
                    raise
                batch //= 2
                continue
            started = time.perf_counter()
            self._run_copy(sample)
            return replace(choice, rows_per_second=round(batch / (time.perf_counter() - started), 1))

    def _open_onnx(self, sample: np.ndarray) -> str | None:
        """Open the exported model, which may have to be exported first; gives the reason if it can't be used."""
        wanted = _rows(self.model(self._inputs(sample), training=False))  # Keras exports only what was called once
        file = self._folder / "model.onnx"
        if is_as_sealed(file) and not self._open(file, sample, wanted):
            return None
        try:
            export_onnx(self.model, file)
            seal_file(file)
        except Exception as error:  # exporters fail in too many ways to name
            return error_in_a_line(error)
        return self._open(file, sample, wanted)

    def _open(self, file: Path, sample: np.ndarray, wanted: np.ndarray) -> str | None:
        """Open an exported model and compare it with Keras; gives the reason if it is no good."""
        try:
            self.onnx = OnnxLayers(file, self.choice.batch if self.choice else COMPARED)
            return _difference(self.onnx.run(sample), wanted, TOLERANCE)
        except Exception as error:  # nor has ONNX Runtime a common class for its errors
            return error_in_a_line(error)

    def _fastest(self, sample: np.ndarray) -> Choice:
        """Try larger and larger batches until they gain no more, as many calls at a time as there are processors."""
        assert self.onnx
        workers, best, rate = thread_count(), BATCHES[0], 0.0
        with ThreadPoolExecutor(workers) as pool:
            for batch in BATCHES:
                rows, self.onnx.batch = np.resize(sample, (batch, *sample.shape[1:])), batch
                self.onnx.run(rows)
                started, done = time.perf_counter(), 0
                while time.perf_counter() - started < TRIAL_SECONDS:
                    list(pool.map(self.onnx.run, [rows] * workers))
                    done += batch * workers
                tried = done / (time.perf_counter() - started)
                if CLOSE * tried <= rate:
                    break
                best, rate = batch, tried
        self.onnx.batch = best
        return Choice(_onnx_here(), best, workers, round(rate, 1))

    def _recorded_choice(self) -> Choice | None:
        """Read what was chosen earlier; None where nothing was, or with other software or another kind of processor."""
        try:
            choice = TypeAdapter(Choice).validate_json(self._record.read_bytes())
        except (OSError, ValueError):
            return None
        here = {_gpu_engine(kind, choice.batch) for kind in (False, self.in_bfloat16)} if on_gpu() else {_onnx_here()}
        if choice.engine in here:
            return replace(choice, workers=thread_count())
        return choice if choice.engine == _keras_here() else None


def unpack(rows: np.ndarray, model: keras.Model) -> list[Any]:
    """Take rows apart into a model's several inputs; the reverse of what an engine does with several outputs."""
    return taken_apart(rows, [tuple(tensor.shape[1:]) for tensor in model.inputs])


def row_shape(model: keras.Model) -> tuple[int, ...]:
    """Give the shape of one row of an engine's output."""
    if len(model.outputs) == 1:
        return tuple(model.outputs[0].shape[1:])
    return (sum(int(np.prod(tensor.shape[1:])) for tensor in model.outputs),)


def _rows(outputs: Any) -> np.ndarray:
    """Lay a model's outputs end to end, one row a photo."""
    return end_to_end([np.asarray(keras.ops.convert_to_numpy(output)) for output in _as_list(outputs)])


def _as_list(outputs: Any) -> Sequence[Any]:
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def _difference(given: np.ndarray, wanted: np.ndarray, tolerance: float) -> str | None:
    """Say how far an engine is from Keras, or None where it is rounding."""
    largest = float(np.abs(given - wanted).max()) / max(float(np.abs(wanted).max()), 1e-12)
    if np.isfinite(largest) and largest <= tolerance:
        return None
    return f"its output differs from Keras's by {largest:.2g} of the largest number, more than rounding"


def _onnx_here() -> str:
    return f"onnxruntime-{onnxruntime.__version__}"


def _keras_here() -> str:
    backend = keras.backend.backend()
    return f"keras-{keras.__version__}-{backend}-{sys.modules[backend].__version__}-{'gpu' if on_gpu() else 'cpu'}"


def _gpu_engine(in_bfloat16: bool, batch: int) -> str:
    return f"{_keras_here()}-{'bfloat16' if in_bfloat16 else 'float32'}-{batch}"


def _wanted_here() -> str:
    return "a compiled copy" if on_gpu() else "ONNX Runtime"
