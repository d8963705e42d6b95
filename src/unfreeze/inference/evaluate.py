"""A finished run's figures on other labelled photos."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unfreeze import progress
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import BadFile, Catalog, pixel_store, scan
from unfreeze.data.inputs import Pixels
from unfreeze.data.sources import Source, open_source
from unfreeze.data.splits import class_index
from unfreeze.errors import DataError
from unfreeze.evaluation.metrics import Metrics
from unfreeze.evaluation.metrics import evaluate as measure
from unfreeze.inference.own_photos import SPLITS, ensure_split, own_photos
from unfreeze.inference.predictor import Predictor
from unfreeze.report.wording import percent, percent_range
from unfreeze.text import SHOWN, listed, preformatted

AT_ONCE = 128
"""Photos in memory at a time."""


@dataclass(frozen=True)
class Evaluation:
    """A run's figures on the photos of a data set whose classes it knows.

    Attributes:
        run: the run's folder.
        data: name of the data set.
        split: the split that the photos are from; None for all photos.
        classes: that the model knows, in the order of `metrics`; those that the data lacks have no photos there.
        metrics: the figures.
        unknown: photos of classes that the model does not know, counted by class. They are in no figure.
        bad: files that can't be used.
        trained_on: how many of the photos, known by their content, are in the training and validation splits of the
            run's series and of those that its parents stand in, of which runs may have used a fraction; None where a
            `splits.csv` of them is missing.
        unseen: the figures of the other photos alone; None where those are none or all.
        own_test: how many of the photos are the run's own test photos; reading them is on record.
    """

    run: Path
    data: str
    split: str | None
    classes: tuple[str, ...]
    metrics: Metrics
    unknown: dict[str, int]
    bad: tuple[BadFile, ...]
    trained_on: int | None
    unseen: Metrics | None
    own_test: int

    def to_json(self) -> dict[str, Any]:
        """The figures as `unfreeze evaluate --json` prints them."""
        return {
            **self.metrics.to_json(self.classes),
            "data": self.data,
            "split": self.split,
            "unknown": self.unknown,
            "bad": [{"path": file.path, "reason": file.reason} for file in self.bad],
            "trained_on": self.trained_on,
            "unseen": self.unseen.summary() if self.unseen else None,
            "own_test": self.own_test,
        }

    def __str__(self) -> str:
        """The figures in words, and what one must know to read them."""
        there = sum(each.support > 0 for each in self.metrics.per_class)
        where = f"the split {self.split}" if self.split else "all splits"
        lines = [
            f"{self.data}, {where}: {self.metrics.n:,} photos of {there} classes",
            f"{_accuracy(self.metrics)}, macro F1 {self.metrics.macro_f1:.3f}, loss {self.metrics.nll:.3f}, "
            f"calibration error {self.metrics.ece:.3f}",
        ]
        if self.unknown:
            counts = ", ".join(f"{name} {count:,}" for name, count in self.unknown.items())
            lines.append(
                f"Left out of these figures: {sum(self.unknown.values()):,} photos of classes that the model does not "
                f"know ({counts})."
            )
        lines += listed(f"{len(self.bad)} files can't be used", [f"{file.path}: {file.reason}" for file in self.bad])
        return "\n".join([*lines, *self._about_training()])

    def _about_training(self) -> list[str]:
        lines = []
        if self.trained_on is None:
            lines.append(
                "The splits.csv of the run or of its parent is missing, so it is not known if it was trained on these "
                "photos."
            )
        elif self.trained_on:
            others = (
                f"on the other {self.unseen.n:,}: {_accuracy(self.unseen)}" if self.unseen else "there are no others"
            )
            lines.append(
                f"WARNING: {self.trained_on:,} of these photos are the run's own training and validation photos; "
                f"figures on them say nothing about new ones; {others}."
            )
        if self.own_test:
            lines.append(f"{self.own_test:,} are the run's own test photos; test_reads.jsonl has this read on record.")
        return lines

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def evaluate(run: str | Path, data: str | Path, split: str | None = None) -> Evaluation:
    """Measure a finished run on labelled photos. Classes are matched by name.

    Photos of classes that the model does not know are counted, but left out of the figures. Photos of the run's own
    test set go on record.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`.
        data: a folder or the name of a data set.
        split: use the photos in this split of the data set alone, `train`, `val` or `test`.

    Raises:
        RunError: no such finished run.
        DataError: no such data set or split, no class that the model knows, or no usable photo.
    """
    own = own_photos(run)
    source = _of_split(open_source(data), split)
    predictor = Predictor(own.run)
    _ensure_known(source, predictor.classes)
    size, resize = predictor.image_size, predictor.resize
    store = pixel_store(cache_folder(), size, resize)
    catalog = scan(source, store, size, resize)
    index = class_index(predictor.classes)
    photos = [photo for photo in catalog.photos if photo.label in index]
    if not photos:
        raise DataError(f"No photo of a class that the model knows can be used: {_reasons(catalog)}.")

    hashes = [photo.sha256 for photo in photos]
    own_test = own.record_read("unfreeze evaluate", hashes)
    labels = np.array([index[photo.label] for photo in photos], np.int32)
    probabilities = _probabilities(predictor, Pixels(store, photos))
    fitted = own.fitted()
    unseen = np.array([sha256 not in (fitted or ()) for sha256 in hashes])
    return Evaluation(
        run=own.run,
        data=source.name,
        split=split,
        classes=predictor.classes,
        metrics=measure(labels, probabilities, predictor.temperature),
        unknown=dict(sorted(Counter(photo.label for photo in catalog.photos if photo.label not in index).items())),
        bad=catalog.bad,
        trained_on=None if fitted is None else int((~unseen).sum()),
        unseen=(
            measure(labels[unseen], probabilities[unseen], predictor.temperature)
            if 0 < unseen.sum() < len(photos)
            else None
        ),
        own_test=own_test,
    )


def _of_split(source: Source, split: str | None) -> Source:
    if split is None:
        return source
    ensure_split(split)
    items = tuple(item for item in source.items if item.split == split)
    if not items:
        there = [name for name in SPLITS if any(item.split == name for item in source.items)]
        what = f"there are some in {', '.join(there)}" if there else "the data set has no splits"
        raise DataError(f"{source.name} has no photos in the split {split}; {what}. Without --split all are used.")
    return replace(source, items=items)


def _ensure_known(source: Source, classes: Sequence[str]) -> None:
    labels = {item.label for item in source.items}
    if labels.isdisjoint(classes):
        raise DataError(
            f"The model knows none of the classes of {source.name}. It knows {', '.join(classes)}; "
            f"{source.name} has {', '.join(sorted(labels))}. Name the data's classes as the model does."
        )


def _reasons(catalog: Catalog) -> str:
    return "; ".join(f"{file.path} {file.reason}" for file in catalog.bad[:SHOWN])


def _probabilities(predictor: Predictor, pixels: Pixels) -> np.ndarray:
    rows = []
    with progress.task("Predicting", len(pixels)) as advance:
        for start in range(0, len(pixels), AT_ONCE):
            batch = np.arange(start, min(start + AT_ONCE, len(pixels)))
            rows.append(predictor.uncalibrated(pixels.take(batch)))
            advance(len(batch))
    return np.concatenate(rows)


def _accuracy(metrics: Metrics) -> str:
    return f"accuracy {percent(metrics.accuracy)} (95% interval {percent_range(*metrics.ci95)})"
