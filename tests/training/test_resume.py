"""Training that was cut off at the end of any epoch goes on to the same bits."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny import tiny_backbone, tiny_photos

from unfreeze.config import Phase
from unfreeze.models.classifier import build_classifier
from unfreeze.training import callbacks as callbacks_module
from unfreeze.training.batches import Batches
from unfreeze.training.callbacks import Checkpoint, HistoryFile
from unfreeze.training.custom import Custom
from unfreeze.training.phase import train_phase
from unfreeze.training.regimen import early_stopping
from unfreeze.training.resume import TrainingState

PHASES = (((), 3), (("conv2", "bn2"), 5))
"""Layers that are trained, and epochs."""

ENVIRONMENT = {"cpu": "this one"}


class Pixels:
    """Photos as the model takes them in."""

    def __init__(self, photos: np.ndarray):
        self._photos = photos

    def __len__(self) -> int:
        return len(self._photos)

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        return self._photos[indices].astype(np.float32) + epoch % 3


class CutError(Exception):
    """The process ends here."""


class CutOff(keras.callbacks.Callback):
    """Ends training after so many epochs, when everything else of the epoch is done."""

    def __init__(self, after: int):
        super().__init__()
        self._after = after

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == self._after:
            raise CutError


class Inside(keras.layers.Layer):
    """A head with everything that can have a state: moving statistics and a random generator."""

    def __init__(self):
        super().__init__(name="head")
        self.normal, self.dropout = keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=3)
        self.out = keras.layers.Dense(3, activation="softmax")

    def call(self, features, training=False):
        return self.out(self.dropout(self.normal(features, training=training), training=training))


def own_callbacks() -> list[keras.callbacks.Callback]:
    return [
        keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=0.5),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=3, restore_best_weights=True),
    ]


def train(
    folder: Path,
    cut_after: int | None = None,
    own: Any = own_callbacks,
    environment: dict[str, Any] = ENVIRONMENT,
    regimen: Phase | None = None,
) -> tuple[keras.Model, HistoryFile, TrainingState]:
    """Train in two phases as an experiment does; what is in the folder is gone on with."""
    folder.mkdir(exist_ok=True)
    keras.utils.set_random_seed(0)
    classifier = build_classifier(tiny_backbone(), 3, head=lambda features: Inside()(features))
    photos, labels = tiny_photos(48)
    custom = Custom(callbacks=own())
    history = HistoryFile(folder / "history.csv")
    best = Checkpoint(classifier, folder / "best.weights.h5", monitor="val_loss")
    file = folder / "state.npz"
    state = TrainingState(file, classifier, best, history, custom.callbacks, {"lr": 0.01}, environment)
    cut = [CutOff(cut_after)] if cut_after is not None else []
    for unfrozen, count in PHASES[state.phase :]:
        epochs = state.begin(unfrozen, count)
        phase = regimen and regimen.model_copy(update={"epochs": count})
        custom = custom.softened(phase) if phase else custom
        targets, mixup = custom.labels(labels, 3), phase.mixup if phase else 0
        batches = Batches(Pixels(photos[:36]), targets[:36], 8, seed=1, epoch=epochs.start, mixup=mixup)
        validation = Batches(Pixels(photos[36:]), targets[36:], 8)
        every = [best, history, *cut]
        train_phase(classifier, classifier, unfrozen, 0.01, batches, validation, epochs, every, custom, state, phase)
        state.end()
    return classifier, history, state


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the state after every epoch."""
    monkeypatch.setattr(callbacks_module, "WRITE_EVERY", 0.0)


def bits(model: keras.Model) -> bytes:
    return b"".join(np.asarray(keras.ops.convert_to_numpy(variable)).tobytes() for variable in model.weights)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, bytes]:
    """What training gives in one go: weights, the best epoch's weights, the history."""
    folder = tmp_path_factory.mktemp("undisturbed")
    classifier, history, _ = train(folder)
    assert 5 <= len(history.rows) <= 8
    assert len({row["learning_rate"] for row in history.rows}) > 1  # the plateau was found
    return bits(classifier), best_of(folder), (folder / "history.csv").read_bytes()


def best_of(folder: Path) -> bytes:
    classifier = build_classifier(tiny_backbone(), 3, head=lambda features: Inside()(features))
    classifier.load_weights(folder / "best.weights.h5")
    return bits(classifier)


@pytest.mark.parametrize("cuts", [[1, 3, 5], *(pytest.param([cut], marks=pytest.mark.slow) for cut in range(1, 6))])
def test_training_goes_on_to_the_same_bits(tmp_path, undisturbed, cuts):
    for cut in cuts:
        with pytest.raises(CutError):
            train(tmp_path, cut)
        rows = json.loads(np.load(tmp_path / "state.npz")["about"].tobytes())["rows"]
        assert len(rows) == cut  # nothing of the epochs is lost
    classifier, _, state = train(tmp_path)
    assert (bits(classifier), best_of(tmp_path), (tmp_path / "history.csv").read_bytes()) == undisturbed
    assert state.environments == []


def test_a_regimen_goes_on_to_the_same_bits(tmp_path):
    def result(folder: Path, *cuts: int) -> tuple[bytes, bytes, bytes]:
        for cut in cuts:
            with pytest.raises(CutError):
                train(folder, cut, **how)
        classifier, _, _ = train(folder, **how)
        return bits(classifier), best_of(folder), (folder / "history.csv").read_bytes()

    regimen = Phase(ema=0.5, schedule="cosine", warmup=0.5, weight_decay=0.1, mixup=0.3)
    how: dict[str, Any] = {"own": lambda: [early_stopping(4)], "regimen": regimen}
    undisturbed = result(tmp_path / "undisturbed")
    assert len(undisturbed[2].splitlines()) > 7
    assert result(tmp_path / "cut", 1, 4, 6) == undisturbed


@pytest.mark.slow
def test_another_environment_is_noted(tmp_path):
    with pytest.raises(CutError):
        train(tmp_path, 2)
    _, _, state = train(tmp_path, environment={"cpu": "another one"})
    assert state.environments == [ENVIRONMENT]


@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(each, marks=pytest.mark.slow) for each in ("truncate", "empty", "other run"))]
)
def test_a_state_that_is_damaged_or_of_another_run_is_not_used(tmp_path, undisturbed, damage):
    with pytest.raises(CutError):
        train(tmp_path, 2)
    file = tmp_path / "state.npz"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 3] ^= 4
    elif damage == "other run":
        content = bytearray(bytes(content).replace(b'{"lr": 0.01}', b'{"lr": 0.02}'))
    file.write_bytes(content[: {"truncate": len(content) // 2, "empty": 0}.get(damage, len(content))])
    classifier, _, _ = train(tmp_path)
    assert bits(classifier) == undisturbed[0]


@pytest.mark.slow
def test_with_callbacks_whose_state_is_unknown_training_starts_over(tmp_path):
    class Own(keras.callbacks.Callback):
        pass

    with pytest.raises(CutError):
        train(tmp_path, 2, own=lambda: [Own()])
    assert not (tmp_path / "state.npz").exists()
    assert len(train(tmp_path, own=lambda: [Own()])[1].rows) == 8
