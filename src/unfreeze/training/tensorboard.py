"""TensorBoard event files, written the same way with every backend."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams as hparams_summaries

SCALARS = {
    "train": {"epoch_loss": "loss", "epoch_accuracy": "accuracy", "epoch_learning_rate": "learning_rate"},
    "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_accuracy"},
}
"""Folder -> TensorBoard's tag -> column of the history; folders and tags are those of Keras's own callback."""


class TensorBoardEvents(keras.callbacks.Callback):
    """Writes each epoch's figures as they come.

    Args:
        folder: for the `train` and `validation` event files; what stands there is replaced.
        rows: the history that another callback keeps and that stands before this one in the list; epochs that are in it
            already are written at once.
        epochs_before: epochs of the experiment's ancestors, on which its curves go on.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], epochs_before: int):
        super().__init__()
        shutil.rmtree(folder, ignore_errors=True)
        self._rows, self._epochs_before = rows, epochs_before
        self._writers = {name: SummaryWriter(str(folder / name)) for name in SCALARS}
        for row in rows:
            self._add(row)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the history's newest row."""
        self._add(self._rows[-1])

    def _add(self, row: dict[str, Any]) -> None:
        for name, writer in self._writers.items():
            for tag, column in SCALARS[name].items():
                if column in row:
                    writer.add_scalar(tag, row[column], self._epochs_before + row["epoch"])
            writer.flush()

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()


def write_hparams(folder: Path, settings: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Write what TensorBoard's HParams tab shows of a finished run.

    Args:
        folder: of the run; earlier HParams there are replaced.
        settings: name -> number, text or truth value.
        metrics: name -> final figure.
    """
    for old in folder.glob("events.*"):
        old.unlink()
    with SummaryWriter(str(folder)) as writer:
        for summary in hparams_summaries(dict(settings), dict(metrics)):
            writer.file_writer.add_summary(summary)  # pyright: ignore[reportOptionalMemberAccess]
        for name, value in metrics.items():
            writer.add_scalar(name, value)
