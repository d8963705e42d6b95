"""Photos as a network takes them in: pixels from the store, in the view that an epoch sees."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from unfreeze.config import Augmentation
from unfreeze.data.catalog import Photo
from unfreeze.data.store import RowStore
from unfreeze.data.turned import VIEWS, turned
from unfreeze.data.views import is_as_it_is, make_view


class Pixels:
    """Photos of a pixel store, one row each, in one or more views.

    Args:
        store: holds a row for every photo.
        photos: in the order in which they are numbered here.
        augment: how views differ, or None for the photos as they are.
        view_seed: draws the views.
        views: how many there are; epoch e sees view e modulo this number.
        epochs: those that will be asked for (default: as many as there are views).

    Attributes:
        seen: numbers of the views that these epochs see.
    """

    def __init__(
        self,
        store: RowStore,
        photos: Sequence[Photo],
        augment: Augmentation | None = None,
        view_seed: int = 0,
        views: int = 1,
        epochs: range | None = None,
    ):
        self._store, self._augment, self._view_seed = store, augment, view_seed
        self._hashes = [photo.sha256 for photo in photos]
        self._places = store.locate(self._hashes)
        self.views = views if augment else 1
        self.seen: Sequence[int] = sorted({epoch % self.views for epoch in epochs or range(self.views)})
        self.name = store.folder.name

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come up in another process, which opened the store anew."""
        self.__dict__.update(state)
        self._places = self._store.locate(self._hashes)

    def __len__(self) -> int:
        """Count the photos."""
        return len(self._hashes)

    def compute(self) -> "Pixels":
        """Give the photos themselves: where activations have to be computed first, pixels are there."""
        return self

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos as `epoch` (from 0) sees them: uint8 [len(indices), size, size, 3]."""
        pixels = self._store.take(self._places[indices])
        if self._augment:
            view = epoch % self.views
            for position, index in enumerate(indices):
                pixels[position] = make_view(
                    pixels[position],
                    self._augment,
                    pixels.shape[1],
                    self._view_seed,
                    self._hashes[index],
                    view,
                )
        return pixels

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Name photos in one view, so that what is computed from them can be found again."""
        hashes = self._hashes if indices is None else [self._hashes[index] for index in indices]
        if not self._augment or is_as_it_is(self._augment, view):
            return hashes
        changes = self._augment.model_dump_json(exclude={"views"})
        name = hashlib.sha256(f"{changes} {self._view_seed}".encode()).hexdigest()[:16]
        return [f"{sha256}-{name}-{view}" for sha256 in hashes]


class TurnedPixels(Pixels):
    """Photos of a pixel store in the views for which a model is asked when it is used; epoch e sees view e.

    Args:
        store: holds a row for every photo.
        photos: in the order in which they are numbered here.
        test_views: which views, as a recipe says it, or None for the photos as they are.
    """

    def __init__(self, store: RowStore, photos: Sequence[Photo], test_views: str | None):
        super().__init__(store, photos)
        self.views = VIEWS[test_views]
        self.seen = range(self.views)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos in a view: uint8 [len(indices), size, size, 3]."""
        return turned(super().take(indices), epoch % self.views)

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Name photos in one view, so that what is computed from them can be found again."""
        return [f"{key}-turned-{view}" if view else key for key in super().keys(0, indices)]
