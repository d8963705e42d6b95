"""Photos with a run's own predictions, for an export to be compared with."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unfreeze.data.sources import open_source
from unfreeze.data.splits import SplitRow
from unfreeze.errors import DataError, PhotoError
from unfreeze.evaluation.predictions import Predictions, read_predictions
from unfreeze.inference.own_photos import OwnPhotos
from unfreeze.inference.predictor import Predictor, read_file
from unfreeze.inference.sample import sample_pixels

MOST = 100
"""Test photos that are read, spread over all of them."""


@dataclass(frozen=True, eq=False)
class KnownAnswers:
    """Photos, and what the run says of them.

    Attributes:
        pixels: uint8 [n, size, size, 3].
        probabilities: calibrated ones, [n, classes].
        photos: how many of them are test photos of the run: n, or 0 where those are gone and the rows are random.
    """

    pixels: np.ndarray
    probabilities: np.ndarray
    photos: int


def known_answers(own: OwnPhotos, predictor: Predictor, why: str) -> KnownAnswers:
    """Read test photos of a run, which goes on record, or where they are gone draw random pixels.

    Args:
        own: what is known of the run's photos.
        predictor: of the run.
        why: what the photos are read for.

    Raises:
        RunError: `predictions.csv` is damaged.
    """
    found = list(_test_photos(own, predictor)) if (own.run / "predictions.csv").is_file() else []
    if not found:
        pixels = sample_pixels(predictor.image_size, MOST // 4)
        return KnownAnswers(pixels, predictor.probabilities(pixels), photos=0)
    pixels, rows, hashes = zip(*found, strict=True)
    own.record_read(why, hashes)
    return KnownAnswers(np.stack(pixels), np.stack(rows), photos=len(rows))


def _test_photos(own: OwnPhotos, predictor: Predictor) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
    """Give pixels, the run's probabilities and the hash of test photos that are still what they were."""
    saved = read_predictions(own.run / "predictions.csv")
    rows = {row.path: row for row in own.rows if row.split == "test"}
    root = _root(own)
    if root is None:
        return
    for number in _spread(saved):
        row = rows.get(saved.paths[number])
        data = _unchanged(root, row) if row else None
        if row and data:
            yield predictor.pixels(data), saved.probabilities[number], row.sha256


def _spread(saved: Predictions) -> list[int]:
    count = len(saved.paths)
    return np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int)).tolist()


def _root(own: OwnPhotos) -> Path | None:
    try:
        return open_source(own.source).root if own.source else None
    except DataError:
        return None


def _unchanged(root: Path, row: SplitRow) -> bytes | None:
    try:
        data = read_file(root / row.path)
    except PhotoError:
        return None
    return data if hashlib.sha256(data).hexdigest() == row.sha256 else None
