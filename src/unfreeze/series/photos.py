"""The photos of a series: read, checked and split once, then handed to every experiment."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unfreeze import progress
from unfreeze.config import DataSettings, Experiment
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import Catalog, Photo, pixel_store, scan
from unfreeze.data.inputs import Pixels
from unfreeze.data.sources import Source, open_source
from unfreeze.data.splits import Splits, class_index, split
from unfreeze.data.store import RowStore


@dataclass(frozen=True)
class SeriesPhotos:
    """All usable photos of a series with their splits; pixels are read at each size that is asked for."""

    source: Source
    catalog: Catalog
    splits: Splits
    validation: float | str
    _stores: dict[tuple[int, str], RowStore] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted; a model's outputs stand in this order."""
        return self.splits.classes

    def labels(self, photos: Sequence[Photo]) -> np.ndarray:
        """Give the photos' class numbers, int32 [photos]."""
        index = class_index(self.classes)
        return np.array([index[photo.label] for photo in photos], np.int32)

    def pixels(self, photos: Sequence[Photo], experiment: Experiment) -> Pixels:
        """Give photos at the size that an experiment wants, as they are."""
        return Pixels(self._store(experiment.image_size, experiment.resize), photos)

    def training_pixels(self, photos: Sequence[Photo], experiment: Experiment) -> Pixels:
        """Give photos at the size and in the views that an experiment trains on."""
        store = self._store(experiment.image_size, experiment.resize)
        return Pixels(store, photos, experiment.augment or None, experiment.view_seed, experiment.views)

    def _store(self, image_size: int, resize: str) -> RowStore:
        if (image_size, resize) not in self._stores:
            store = pixel_store(cache_folder(), image_size, resize)
            if store.missing([photo.sha256 for photo in self.catalog.photos]):
                scan(self.source, store, image_size, resize)
            self._stores[image_size, resize] = store
        return self._stores[image_size, resize]


def open_photos(settings: DataSettings, image_size: int) -> SeriesPhotos:
    """Read and split a data set.

    Args:
        settings: source, validation share and split seed.
        image_size: side in pixels at which the first experiment wants the photos.

    Raises:
        DataError: there is no such data set, or no photo in it.
    """
    source = open_source(settings.source or "")
    if source.notice:
        progress.say(source.notice)
    store = pixel_store(cache_folder(), image_size, settings.resize)
    catalog = scan(source, store, image_size, settings.resize)
    splits = split(catalog, settings.validation, settings.split_seed)
    return SeriesPhotos(source, catalog, splits, settings.validation, {(image_size, settings.resize): store})


def describe(photos: SeriesPhotos) -> dict[str, Any]:
    """Say of the data set what `results.json` holds."""
    counts = photos.splits.counts()
    return {
        "name": photos.source.name,
        "classes": list(photos.classes),
        "train": counts["train"],
        "val": len(photos.splits.val),
        "test": counts["test"],
        "bad": len(photos.catalog.bad),
        "sha256": photos.splits.sha256,
        "validation": photos.validation,
    }
