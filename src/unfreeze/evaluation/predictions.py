"""What a model said about each photo of a split, and the CSV file that keeps it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unfreeze.errors import RunError
from unfreeze.files import replace_text

_FIRST_COLUMNS = ["path", "label", "predicted", "probability"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's probabilities for labelled photos.

    Attributes:
        paths: of the photos, from the data's root.
        labels: true classes, [n], 0 to c - 1.
        classes: the c classes' names.
        probabilities: [n, c], float32.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.integer]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]

    @property
    def predicted(self) -> NDArray[np.integer]:
        """The most probable class of each photo, [n]; of equally probable ones the first."""
        return self.probabilities.argmax(axis=1)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write `predictions.csv`: `path,label,predicted,probability` and one column a class, a row a photo.

    Columns go by position: a class may be called `path` or `label`. Each probability is the shortest
    decimal number that reads back to the same 32 bits, so equal predictions make equal files.

    Args:
        path: the file; it is replaced as a whole.
        predictions: the rows, in this order.
    """
    if predictions.probabilities.dtype != np.float32:
        raise ValueError(f"probabilities must be float32, not {predictions.probabilities.dtype}.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIRST_COLUMNS, *predictions.classes])
    rows = zip(predictions.paths, predictions.labels, predictions.predicted, predictions.probabilities, strict=True)
    for photo, label, predicted, row in rows:
        numbers = [str(probability) for probability in row]
        names = [predictions.classes[label], predictions.classes[predicted]]
        writer.writerow([photo, *names, numbers[predicted], *numbers])
    replace_text(path, text.getvalue())


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote, to the same bits.

    Raises:
        RunError: no such file, or something else in it (the line is named).
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = list(csv.reader(file))
    except FileNotFoundError:
        raise RunError(f"{path} isn't there: the run is not finished. Call `unfreeze run` again.") from None
    except (ValueError, csv.Error):
        header, rows = [], []
    classes = tuple(header[len(_FIRST_COLUMNS) :])
    if header[: len(_FIRST_COLUMNS)] != _FIRST_COLUMNS or not classes:
        raise RunError(
            f"{path} is no list of predictions: its first line must be {','.join(_FIRST_COLUMNS)} "
            "and one column a class."
        )
    return _from_rows(path, classes, rows)


def _from_rows(path: Path, classes: tuple[str, ...], rows: Sequence[Sequence[str]]) -> Predictions:
    position = {name: number for number, name in enumerate(classes)}
    labels = np.empty(len(rows), np.int64)
    probabilities = np.empty((len(rows), len(classes)), np.float32)
    for number, row in enumerate(rows):
        numbers = row[len(_FIRST_COLUMNS) :]
        try:
            labels[number] = position[row[1]]
            probabilities[number] = np.array(numbers, np.float32).reshape(len(classes))
        except (IndexError, KeyError, ValueError):
            raise RunError(
                f"{path}, photo {number + 1}: a row must have a path, a label that is one of the "
                f"class columns, the predicted class, its probability and then {len(classes)} probabilities, "
                f"not {','.join(row)!r}."
            ) from None
    return Predictions(tuple(row[0] for row in rows), labels, classes, probabilities)
