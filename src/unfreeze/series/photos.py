"""The photos of a series: read, checked and split once, then handed to every experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from unfreeze import progress
from unfreeze.config import AnyExperiment, DataSettings, Experiment, Phase
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import Catalog, Photo, pixel_store, scan
from unfreeze.data.inputs import Pixels, TurnedPixels
from unfreeze.data.sources import Source, open_source
from unfreeze.data.splits import Splits, class_index, split
from unfreeze.data.store import RowStore
from unfreeze.errors import DataError
from unfreeze.text import SHOWN


@dataclass(frozen=True)
class SeriesPhotos:
    """All usable photos of a series with their splits; pixels are read at each size that is asked for."""

    source: Source
    catalog: Catalog
    splits: Splits
    validation: float | Literal["test"]
    _stores: dict[tuple[int, str], RowStore] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted; a model's outputs stand in this order."""
        return self.splits.classes

    def dealt(self, split_seed: int) -> "SeriesPhotos":
        """Give the same photos on another split."""
        return replace(self, splits=split(self.catalog, self.validation, split_seed))

    def reopened(self) -> "SeriesPhotos":
        """Give the same photos with their stores still to be opened."""
        return replace(self, _stores={})

    def labels(self, photos: Sequence[Photo]) -> np.ndarray:
        """Give the photos' class numbers, int32 [photos]."""
        index = class_index(self.classes)
        return np.array([index[photo.label] for photo in photos], np.int32)

    def pixels(self, photos: Sequence[Photo], experiment: AnyExperiment) -> Pixels:
        """Give photos at the size that an experiment wants, as they are."""
        return Pixels(self._store(experiment.image_size, experiment.resize, photos), photos)

    def test_pixels(self, photos: Sequence[Photo], experiment: AnyExperiment) -> Pixels:
        """Give photos in all views for which an experiment's model is asked when it is used."""
        store = self._store(experiment.image_size, experiment.resize, photos)
        return TurnedPixels(store, photos, experiment.test_views)

    def training_pixels(self, photos: Sequence[Photo], experiment: Experiment, phase: Phase, epochs: range) -> Pixels:
        """Give photos at the size and in the views that an experiment trains on in these epochs of a phase.

        L-BFGS fits the head to all the views for which the model is asked later.
        """
        if phase.solver == "lbfgs":
            return self.test_pixels(photos, experiment)
        store = self._store(experiment.image_size, experiment.resize, photos)
        return Pixels(store, photos, experiment.augment or None, experiment.view_seed, experiment.views, epochs)

    def _store(self, image_size: int, resize: str, photos: Sequence[Photo]) -> RowStore:
        """Open the store of a size, and read those of the photos that are not in it yet."""
        if (image_size, resize) not in self._stores:
            self._stores[image_size, resize] = pixel_store(cache_folder(), image_size, resize)
        store = self._stores[image_size, resize]
        missing = set(store.missing([photo.sha256 for photo in photos]))
        if missing:
            paths = {photo.path for photo in photos if photo.sha256 in missing}
            items = tuple(item for item in self.source.items if item.path in paths)
            scan(replace(self.source, items=items), store, image_size, resize)
            if lost := [photo.path for photo in photos if photo.sha256 not in store]:
                raise DataError(
                    f"{len(lost)} photos of {self.source.name} are gone, or were changed, since this call began: "
                    f"{', '.join(lost[:SHOWN])}. Put that right and make the same call again, which looks at all of "
                    "them anew; what is finished is kept."
                )
        return store


def read_photos(source: Source, image_size: int, resize: str) -> Catalog:
    """Read all files of a source, and put their pixels into the store of this size."""
    return scan(source, pixel_store(cache_folder(), image_size, resize), image_size, resize)


def open_photos(
    settings: DataSettings,
    experiments: Sequence[AnyExperiment],
    read: Callable[[Source, int, str], Catalog] = read_photos,
) -> SeriesPhotos:
    """Read and split a data set.

    Args:
        settings: source and validation share; the split is that of the split seed 0.
        experiments: the first of them that is trained says how large the photos are wanted.
        read: does what `read_photos` does, here or elsewhere.

    Raises:
        DataError: there is no such data set, or no photo in it.
    """
    source = open_source(settings.source or "")
    if source.notice:
        progress.say(source.notice)
    first = next((experiment for experiment in experiments if isinstance(experiment, Experiment)), experiments[0])
    catalog = read(source, first.image_size, first.resize)
    return SeriesPhotos(source, catalog, split(catalog, settings.validation), settings.validation)


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
        "split_seed": photos.splits.split_seed,
        "test_is_carved": photos.splits.test_is_carved,
    }
