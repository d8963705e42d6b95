"""Random photos of a data set with what a finished run says about them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from unfreeze.data.photos import decode
from unfreeze.data.sources import open_source
from unfreeze.data.splits import read_splits
from unfreeze.data.test_reads import record_test_read
from unfreeze.errors import DataError, PhotoError, RunError
from unfreeze.inference.predictor import Predictor
from unfreeze.report.gallery import PredictedPhoto, gallery
from unfreeze.report.pictures import save_picture
from unfreeze.report.style import Picture

SPLITS = ("train", "val", "test")
LARGEST_SIDE = 512


@dataclass(frozen=True)
class Shown:
    """Photos with predictions, and the picture of them.

    Attributes:
        photos: each with its pixels, true class, predicted class and probability.
        picture: a matplotlib Figure; a notebook shows it by itself.
    """

    photos: tuple[PredictedPhoto, ...]
    picture: Picture

    def save(self, path: str | Path) -> None:
        """Write the picture as PNG."""
        save_picture(self.picture, Path(path))

    def to_json(self) -> dict[str, Any]:
        """The photos as `unfreeze show --json` prints them."""
        keys = ("path", "label", "predicted", "probability")
        return {"photos": [{key: getattr(photo, key) for key in keys} for photo in self.photos]}


def show(
    run: str | Path,
    split: str = "test",
    data: str | Path | None = None,
    label: str | None = None,
    count: int = 1,
    seed: int | None = None,
) -> Shown:
    """Draw random photos and predict them.

    Args:
        run: a RUN folder, `OUT/experiments/NAME/seed-K`.
        split: `train`, `val` or `test`.
        data: a data set other than the run's own; where it has no splits, any of its photos.
        label: photos of this class alone.
        count: how many photos; all there are if fewer.
        seed: draws the same photos again.

    Raises:
        RunError: no such finished run.
        DataError: no such split, class or photo.
    """
    run = Path(run)
    predictor = Predictor(run)
    if split not in SPLITS:
        raise DataError(f"--split {split}: there is no such split; there are {', '.join(SPLITS)}.")
    candidates = _own_photos(run, split) if data is None else _other_photos(data, split)
    if not candidates:
        raise DataError(f"There is no photo in the split {split}.")
    labels = sorted({candidate[1] for candidate in candidates})
    if label is not None and label not in labels:
        raise DataError(f"--class {label}: {split} has no such class; there are {', '.join(labels)}.")
    wanted = [candidate for candidate in candidates if label in (None, candidate[1])]
    random.Random(seed).shuffle(wanted)
    photos = _predict(predictor, wanted, count)
    if data is None and split == "test":
        out = run.resolve().parents[2]
        record_test_read(
            out / "test_reads.jsonl", "unfreeze show", [str(run.resolve().relative_to(out))], len(photos)
        )
    return Shown(tuple(photos), gallery(photos))


def _own_photos(run: Path, split: str) -> list[tuple[str, str, Path]]:
    """Give path, label and file of the photos of the run's own data set."""
    out = run.resolve().parents[2]
    try:
        recipe = yaml.safe_load((out / "recipe.yaml").read_text(encoding="utf-8"))
        rows = read_splits(out / "splits.csv")
    except OSError as error:
        raise RunError(
            f"{out} does not say which photos {run} was trained on ({error}). Name them with --data."
        ) from error
    root = open_source(recipe["data"]["source"]).root
    if recipe["data"].get("validation") == "test" and split == "val":
        split = "test"
    return [(row.path, row.label, root / row.path) for row in rows if row.split == split]


def _other_photos(data: str | Path, split: str) -> list[tuple[str, str, Path]]:
    items = open_source(data).items
    return [(item.path, item.label, item.file) for item in items if item.split in (None, split)]


def _predict(
    predictor: Predictor, candidates: Sequence[tuple[str, str, Path]], count: int
) -> list[PredictedPhoto]:
    photos = []
    for path, label, file in candidates:
        if len(photos) == count:
            break
        try:
            resized, pixels = predictor.read(file), decode(file.read_bytes())
        except PhotoError:
            continue  # a data set of somebody's own may hold bad files; there are others to show
        probabilities = predictor.probabilities(resized[np.newaxis])[0]
        best = int(probabilities.argmax())
        photos.append(
            PredictedPhoto(_small(pixels), label, predictor.classes[best], float(probabilities[best]), path)
        )
    if not photos:
        raise DataError("None of the photos can be read.")
    return photos


def _small(pixels: np.ndarray) -> np.ndarray:
    scale = LARGEST_SIDE / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
