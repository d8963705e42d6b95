"""Where training stands, in one file: a run that was cut off goes on at the end of an epoch, with the same bits.

It holds what `fit` changes: weights, the optimizer with its schedule's step, states of random generators, the best
epoch so far, and what Keras's own callbacks that stop or slow training have counted. Photos come in an order and in
views that follow from the seed and the epoch's number, so nothing of them is kept.
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from unfreeze.files import file_sha256, write_atomically
from unfreeze.models.classifier import backbone_of
from unfreeze.progress import say
from unfreeze.training import callbacks as training_callbacks
from unfreeze.training.callbacks import Checkpoint, HistoryFile

COUNTED: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.LearningRateScheduler: (),
    keras.callbacks.TerminateOnNaN: (),
}
"""Callbacks of a caller that training can go on with -> what they count; with others it starts over."""


class TrainingState(keras.callbacks.Callback):
    """Keeps the file up to date, at most every `WRITE_EVERY` seconds, and takes training up from it.

    It must be called after all other callbacks.

    Args:
        file: ends with `.npz`; what is in it of another run, or damaged, is passed over.
        classifier: the whole model, with the weights from which training starts; those of the file are put into it.
        best: the checkpoint that keeps the best epoch.
        history: the epochs so far.
        own: the caller's own callbacks.
        run: all that decides the run's result.
        environment: software and machine; training goes on under another one, and `environments` says so.

    Attributes:
        phase: number of the phase to go on with, from 0.
        phase_start: epochs before that phase.
        proofs: what was proved of the phases before.
        environments: others in which the run was trained before.
    """

    def __init__(
        self,
        file: Path,
        classifier: keras.Model,
        best: Checkpoint,
        history: HistoryFile,
        own: Sequence[keras.callbacks.Callback],
        run: Mapping[str, Any],
        environment: Mapping[str, Any],
    ):
        super().__init__()
        self._file, self._classifier, self._best, self._history, self._own = file, classifier, best, history, own
        self._run = json.loads(json.dumps(run))
        self._environment = json.loads(json.dumps(environment))
        self._written = time.monotonic()
        self._read: dict[str, Any] | None = None
        self.phase = self.phase_start = 0
        self.proofs: list[dict[str, Any]] = []
        self.environments: list[dict[str, Any]] = []
        self._trained: set[str] = set()
        if not self._take_up():
            file.unlink(missing_ok=True)
            best.path.unlink(missing_ok=True)

    def begin(self, unfrozen: Sequence[str], epochs: int) -> range:
        """Begin the phase, or go on with it; gives the numbers of its epochs that are left.

        Args:
            unfrozen: names of the backbone's layers that are trained.
            epochs: of the phase.
        """
        self._trained |= set(unfrozen)
        left = range(len(self._history.rows), self.phase_start + epochs)
        self._last_epoch = left.stop - 1
        return left

    def end(self) -> None:
        """Note that the phase has come to its end, and that another one follows."""
        self.phase, self.phase_start = self.phase + 1, len(self._history.rows)
        if self._is_due() or self._file.exists():
            self._write(optimizer=None)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Put what was read into the optimizer and the callbacks, which begin anew before."""
        if self._read is None:
            return
        about, arrays = self._read["about"], self._read["arrays"]
        self._read = None
        model: Any = self.model
        optimizer = model.optimizer
        if values := _listed(arrays, "optimizer"):
            if not optimizer.built:
                optimizer.build(model.trainable_variables)
            _assign(optimizer.variables, values)
        for number, (callback, counted) in enumerate(zip(self._own, about["callbacks"], strict=True)):
            for name, value in counted.items():
                setattr(callback, name, _listed(arrays, f"callback{number}") if value == "arrays" else value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the file if it is time, unless the phase ends here."""
        model: Any = self.model
        if epoch < self._last_epoch and not model.stop_training and self._is_due():
            self._write(model.optimizer)

    def _is_due(self) -> bool:
        return time.monotonic() - self._written >= training_callbacks.WRITE_EVERY

    def _variables(self) -> list[Any]:
        """Give the whole model's variables that training may have changed."""
        frozen = {
            id(variable)
            for layer in backbone_of(self._classifier).layers
            if layer.name not in self._trained
            for variable in layer.variables
        }
        return [variable for variable in self._classifier.variables if id(variable) not in frozen]

    def _write(self, optimizer: Any) -> None:
        arrays = _numbered("weight", self._variables())
        arrays |= _numbered("optimizer", optimizer.variables if optimizer else ())
        best = self._best.kept if optimizer else None
        arrays |= _numbered("best", best or ())
        counted = []
        for number, callback in enumerate(self._own):
            if type(callback) not in COUNTED:
                return
            # Where a phase has ended, everything counts anew
            values = {name: getattr(callback, name) for name in COUNTED[type(callback)]} if optimizer else {}
            if values.get("best_weights") is not None:
                arrays |= _numbered(f"callback{number}", values["best_weights"])
                values["best_weights"] = "arrays"
            counted.append({name: _plain(value) for name, value in values.items()})
        about = {
            "run": self._run,
            "environment": self._environment,
            "environments": self.environments,
            "phase": self.phase,
            "phase_start": self.phase_start,
            "trained": sorted(self._trained),
            "proofs": self.proofs,
            "rows": self._history.rows,
            "best": _plain(self._best.best),
            "best_file": file_sha256(self._best.path) if best is None and self._best.path.exists() else None,
            "callbacks": counted,
        }
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with write_atomically(self._file) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)  # a zip, which has a checksum for each array
        self._written = time.monotonic()

    def _take_up(self) -> bool:
        """Read the file and go on from there; tells whether that is possible."""
        try:
            with self._file.open("rb") as file, np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            about = json.loads(arrays["about"].tobytes())
            if about["run"] != self._run or len(about["callbacks"]) != len(self._own):
                return False
            best = _listed(arrays, "best")
            if about["best_file"] and file_sha256(self._best.path) != about["best_file"]:
                return False
            self._trained = set(about["trained"])
            weights = _listed(arrays, "weight")
            _ensure_fitting(self._variables(), weights)
        except Exception:  # a file that is not there, damaged, or of another version: it only saves time
            return False
        _assign(self._variables(), weights)
        self._read = {"about": about, "arrays": arrays}
        self.phase, self.phase_start, self.proofs = about["phase"], about["phase_start"], about["proofs"]
        self.environments = about["environments"]
        self._history.rows[:] = about["rows"]
        self._best.take_up(about["best"], best or None)
        say(f"{len(self._history.rows)} epochs are trained already; training goes on after them")
        if about["environment"] != self._environment:
            self.environments = [*self.environments, about["environment"]]
            say("They were trained with other software or on another machine: the result may differ in its last bits")
        return True


def _numbered(prefix: str, values: Sequence[Any]) -> dict[str, np.ndarray]:
    return {f"{prefix}-{number}": np.array(keras.ops.convert_to_numpy(value)) for number, value in enumerate(values)}


def _listed(arrays: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    names = [name for name in arrays if name.startswith(f"{prefix}-")]
    return [arrays[f"{prefix}-{number}"] for number in range(len(names))]


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _ensure_fitting(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise ValueError("the weights are of another network")


def _plain(value: Any) -> Any:
    """Make a number that JSON can hold, to the same bits."""
    return value if value is None or isinstance(value, str | bool | int) else float(value)
