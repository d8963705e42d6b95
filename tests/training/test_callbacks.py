"""What is kept and told after every epoch: checkpoints, history, progress."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.tiny import tiny_backbone, tiny_photos

from unfreeze.models.classifier import build_classifier, without_augmentation
from unfreeze.progress import reporting_to
from unfreeze.training import callbacks
from unfreeze.training.callbacks import Checkpoint, EpochProgress, HistoryFile


@pytest.fixture
def classifier() -> keras.Model:
    model = build_classifier(tiny_backbone(), 3)
    compile_anew(model, 1e-3)
    return model


def compile_anew(model: Any, learning_rate: float) -> None:
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"], run_eagerly=True)


def weights(model: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def bias_of(model: Any) -> float:
    return float(model.get_layer("head").bias[0])


def fit(checkpoint: Checkpoint, trained: Any, epochs: dict[float, float | None]) -> None:
    """Go through a fit: the head's bias is set to the key of each epoch, the validation loss is its value."""
    checkpoint.set_model(trained)
    checkpoint.on_train_begin()
    for epoch, (bias, loss) in enumerate(epochs.items()):
        checkpoint.on_epoch_begin(epoch)
        trained.get_layer("head").bias.assign([bias, 0, 0])
        checkpoint.on_epoch_end(epoch, {"loss": 1.0} | ({"val_loss": loss} if loss is not None else {}))
    checkpoint.on_train_end()


def saved_bias(path: Path) -> float:
    loaded = build_classifier(tiny_backbone(seed=9), 3, seed=9)
    loaded.load_weights(path)
    return bias_of(loaded)


def test_the_best_epoch_of_all_phases_is_kept(classifier, tmp_path):
    path = tmp_path / "best.weights.h5"
    checkpoint = Checkpoint(classifier, path, monitor="val_loss")
    fit(checkpoint, classifier, {1.0: 0.9, 2.0: 0.5, 3.0: 0.7})
    assert saved_bias(path) == 2.0
    assert bias_of(classifier) == 3.0  # training itself goes on where it was
    fit(checkpoint, classifier, {4.0: 0.6, 5.0: 0.55})
    assert saved_bias(path) == 2.0
    fit(checkpoint, classifier, {6.0: 0.4, 7.0: 0.45})
    assert saved_bias(path) == 6.0


def test_a_checkpoint_tells_whether_the_model_still_has_its_weights(classifier, tmp_path):
    checkpoint = Checkpoint(classifier, tmp_path / "best.weights.h5", monitor="val_loss")
    fit(checkpoint, classifier, {1.0: 0.9, 2.0: 0.5})
    assert checkpoint.is_current
    fit(checkpoint, classifier, {3.0: 0.7})
    assert not checkpoint.is_current


@pytest.mark.parametrize(
    ("losses", "kept", "copied"), [([0.9, 0.5], (2.0, 2.0), True), ([0.5, 0.9], (1.0, 2.0), False)]
)
def test_what_both_checkpoints_keep_is_saved_once(classifier, tmp_path, monkeypatch, losses, kept, copied):
    saved = []
    save = classifier.save_weights
    monkeypatch.setattr(classifier, "save_weights", lambda path: (saved.append(path), save(path)))
    best = Checkpoint(classifier, tmp_path / "best.weights.h5", monitor="val_loss")
    last = Checkpoint(classifier, tmp_path / "last.weights.h5", twin=best)
    for checkpoint in (best, last):
        checkpoint.set_model(classifier)
        checkpoint.on_train_begin()
    for epoch, loss in enumerate(losses):
        classifier.get_layer("head").bias.assign([epoch + 1, 0, 0])
        for checkpoint in (best, last):
            checkpoint.on_epoch_begin(epoch)
            checkpoint.on_epoch_end(epoch, {"loss": 1.0, "val_loss": loss})
    for checkpoint in (best, last):
        checkpoint.on_train_end()
    assert (saved_bias(best.path), saved_bias(last.path)) == kept
    assert len(saved) == (1 if copied else 2)


def test_the_last_epoch_is_kept_without_a_monitor(classifier, tmp_path):
    path = tmp_path / "last.weights.h5"
    checkpoint = Checkpoint(classifier, path)
    fit(checkpoint, classifier, {1.0: None, 2.0: None})
    assert saved_bias(path) == 2.0
    fit(checkpoint, classifier, {3.0: None})
    assert saved_bias(path) == 3.0


@pytest.mark.parametrize("write_every", [0.0, 1e9])
def test_the_file_holds_the_whole_model_though_a_part_is_trained(classifier, tmp_path, monkeypatch, write_every):
    monkeypatch.setattr(callbacks, "WRITE_EVERY", write_every)
    path = tmp_path / "best.weights.h5"
    checkpoint = Checkpoint(classifier, path, monitor="val_loss")
    trained = without_augmentation(classifier)
    compile_anew(trained, 0.01)
    photos, labels = tiny_photos(12)
    kept = KeepsAll(classifier)
    history = trained.fit(
        photos, labels, validation_data=(photos[:9], labels[:9]), epochs=3, callbacks=[kept, checkpoint], verbose=0
    )
    best = int(np.argmin(history.history["val_loss"]))
    loaded = build_classifier(tiny_backbone(seed=9), 3, seed=9)
    loaded.load_weights(path)
    for ours, expected in zip(weights(loaded), kept.epochs[best], strict=True):
        np.testing.assert_array_equal(ours, expected)
    for now, expected in zip(weights(classifier), kept.epochs[-1], strict=True):
        np.testing.assert_array_equal(now, expected)


def test_a_failing_write_leaves_the_old_checkpoint(classifier, tmp_path, monkeypatch):
    path = tmp_path / "best.weights.h5"
    checkpoint = Checkpoint(classifier, path, monitor="val_loss")
    fit(checkpoint, classifier, {1.0: 0.9})
    whole = path.read_bytes()

    def half_a_file(filepath: Path, overwrite: bool = True) -> None:
        Path(filepath).write_bytes(whole[: len(whole) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(classifier, "save_weights", half_a_file)
    with pytest.raises(OSError, match="No space left"):
        fit(checkpoint, classifier, {2.0: 0.5})
    assert path.read_bytes() == whole
    assert [file.name for file in tmp_path.iterdir()] == ["best.weights.h5"]


def test_long_epochs_are_written_when_they_end(classifier, tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(callbacks, "WRITE_EVERY", 5.0)
    path = tmp_path / "last.weights.h5"
    checkpoint = Checkpoint(classifier, path)
    checkpoint.set_model(classifier)
    written = []
    for epoch, clock[0] in enumerate((2.0, 4.0, 5.5, 7.0, 11.0)):
        classifier.get_layer("head").bias.assign([epoch, 0, 0])
        checkpoint.on_epoch_end(epoch, {"loss": 1.0})
        written.append(saved_bias(path) if path.exists() else None)
    assert written == [None, None, 2.0, 2.0, 4.0]


def test_history_has_a_row_an_epoch(classifier, tmp_path):
    file = tmp_path / "history.csv"
    history = HistoryFile(file)
    photos, labels = tiny_photos(9)
    fits = [classifier.fit(photos, labels, validation_data=(photos, labels), epochs=2, callbacks=[history], verbose=0)]
    compile_anew(classifier, 1e-4)
    fits.append(classifier.fit(photos, labels, initial_epoch=2, epochs=3, callbacks=[history], verbose=0))
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["learning_rate"] for row in rows] == ["0.001", "0.001", "0.0001"]
    for column in ("loss", "accuracy"):
        expected = [value for each in fits for value in each.history[column]]
        assert [float(row[column]) for row in rows] == expected
    assert [float(row["val_loss"]) for row in rows[:2]] == fits[0].history["val_loss"]
    assert (rows[2]["val_loss"], rows[2]["val_accuracy"]) == ("", "")  # validation was left out
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert b"\r" not in file.read_bytes()


class KeepsAll(keras.callbacks.Callback):
    """Keeps a copy of all weights of every epoch."""

    def __init__(self, whole: keras.Model):
        super().__init__()
        self.whole, self.epochs = whole, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(weights(self.whole))


class Notes:
    """A reporter that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Any]:
        self.lines.append(f"{title}: {total} steps")
        yield lambda steps: self.lines.append(f"+{steps}")
        self.lines.append("done")

    def say(self, message: str) -> None:
        self.lines.append(message)


def test_progress_has_a_bar_of_batches_and_a_line_an_epoch(classifier):
    photos, labels = tiny_photos(6)
    notes = Notes()
    told = EpochProgress("model_2, seed 0", epochs=2, batches=2)
    with reporting_to(notes):
        history = classifier.fit(
            photos,
            labels,
            validation_data=(photos, labels),
            initial_epoch=5,
            epochs=7,
            batch_size=4,
            callbacks=[told],
            verbose=0,
        ).history
    figures = [
        f"loss {history['loss'][i]:.3f}, accuracy {history['accuracy'][i]:.3f}; "
        f"validation {history['val_loss'][i]:.3f}, {history['val_accuracy'][i]:.3f}"
        for i in range(2)
    ]
    assert notes.lines == [
        "model_2, seed 0: 4 steps",
        "+1",
        "+1",
        f"model_2, seed 0, epoch 6: {figures[0]}",
        "+1",
        "+1",
        f"model_2, seed 0, epoch 7: {figures[1]}",
        "done",
    ]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_every_batch_moves_the_bar_though_keras_takes_several_at_a_time(classifier, steps):
    classifier.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=steps)
    photos, labels = tiny_photos(18)
    notes = Notes()
    with reporting_to(notes):
        told = EpochProgress("m", epochs=2, batches=5)
        classifier.fit(photos, labels, batch_size=4, epochs=2, callbacks=[told], verbose=0)
    moved = [int(line) for line in notes.lines if line.startswith("+")]
    assert sum(moved) == 10


def test_progress_without_validation(classifier):
    notes = Notes()
    told = EpochProgress("m", epochs=1, batches=1)
    with reporting_to(notes):
        told.on_train_begin()
        told.on_epoch_end(0, {"loss": 0.12345, "accuracy": 0.5})
        told.on_train_end()
    assert "m, epoch 1: loss 0.123, accuracy 0.500" in notes.lines
