"""Photos as a network takes them in: pixels from the store, in the view that an epoch sees."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from unfreeze.config import Augmentation
from unfreeze.data.catalog import Photo
from unfreeze.data.store import RowStore
from unfreeze.data.views import make_view


class Pixels:
    """Photos of a pixel store, one row each.

    Args:
        store: holds a row for every photo.
        photos: in the order in which they are numbered here.
        augment: how views differ, or None for the photos as they are.
        view_seed: draws the views.
        views: epoch e sees view e modulo this number.
    """

    def __init__(
        self,
        store: RowStore,
        photos: Sequence[Photo],
        augment: Augmentation | None = None,
        view_seed: int = 0,
        views: int = 1,
    ):
        self._store, self._augment, self._view_seed, self._views = store, augment, view_seed, views
        self._hashes = [photo.sha256 for photo in photos]
        self._places = store.locate(self._hashes)
        self._pool = ThreadPoolExecutor()

    def __len__(self) -> int:
        """Count the photos."""
        return len(self._hashes)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos as `epoch` (from 0) sees them: uint8 [len(indices), size, size, 3]."""
        pixels = self._store.take(self._places[indices])
        augment = self._augment
        if augment is None:
            return pixels
        view = epoch % self._views

        def draw(position: int) -> None:
            sha256 = self._hashes[indices[position]]
            pixels[position] = make_view(
                pixels[position], augment, pixels.shape[1], self._view_seed, sha256, view
            )

        list(self._pool.map(draw, range(len(indices))))
        return pixels
