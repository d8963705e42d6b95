"""Pooled feature vectors of photos: what a model's head takes in."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unfreeze.files import write_atomically
from unfreeze.inference.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Feature vectors of the photos that could be read, in the order of the call.

    Attributes:
        vectors: float32 [photos, features].
        paths: of these photos, as they were given.
        predictions: of all files, also those that could not be read.
    """

    vectors: np.ndarray
    paths: tuple[str, ...]
    predictions: tuple[Prediction, ...]

    def save(self, path: str | Path) -> None:
        """Write `embeddings` [photos, features] and `paths` [photos] as npz; folders that are missing are made.

        `numpy.load` reads the file with `allow_pickle=False`.

        Args:
            path: the file, whose name ends with `.npz`.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            np.savez(file, embeddings=self.vectors, paths=np.array(self.paths, np.str_))
