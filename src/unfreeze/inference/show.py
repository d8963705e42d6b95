"""Random photos of a data set with what a finished run says about them."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unfreeze.data.photos import decode, shrink
from unfreeze.data.sources import open_source
from unfreeze.errors import DataError, PhotoError, RunError
from unfreeze.inference.own_photos import SPLITS, OwnPhotos, ensure_split, own_photos
from unfreeze.inference.predictor import Predictor, read_file
from unfreeze.report.gallery import PredictedPhoto, gallery
from unfreeze.report.pictures import save_picture
from unfreeze.report.style import Picture

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
        """Write the picture as PNG; folders that are missing are made."""
        save_picture(self.picture, Path(path))

    def to_json(self) -> dict[str, Any]:
        """The photos as `unfreeze show --json` prints them."""
        keys = ("path", "label", "predicted", "probability")
        return {"photos": [{key: getattr(photo, key) for key in keys} for photo in self.photos]}

    def _repr_png_(self) -> bytes:
        return self.picture._repr_png_()


class Candidate(NamedTuple):
    """A photo that may be drawn: where it lies in its data set and on this machine."""

    path: str
    label: str
    split: str | None
    file: Path


class _Drawn(NamedTuple):
    """A photo that was drawn: as it is shown, as the model takes it, and the hash of its file."""

    candidate: Candidate
    pixels: np.ndarray
    resized: np.ndarray
    sha256: str


def show(
    run: str | Path,
    split: str = "test",
    data: str | Path | None = None,
    label: str | None = None,
    count: int = 1,
    seed: int | None = None,
) -> Shown:
    """Draw random photos and predict them. Photos of the run's test set that are shown go on record.

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
    ensure_split(split)
    own = own_photos(run)
    everything = own_candidates(own) if data is None else _other_photos(data)
    wanted = _of_class(_of_split(everything, split), label, split)
    random.Random(seed).shuffle(wanted)
    predictor = Predictor(own.run)
    drawn = _read(predictor, wanted, count)
    own.record_read("unfreeze show", [photo.sha256 for photo in drawn])
    photos = _predict(predictor, drawn)
    return Shown(tuple(photos), gallery(photos))


def own_candidates(own: OwnPhotos) -> list[Candidate]:
    """List the photos that a run was trained, validated and tested on.

    Raises:
        RunError: its folder does not say which.
        DataError: its data set is gone.
    """
    if not own.rows or own.source is None:
        raise RunError(
            f"{own.out} does not say which photos the run was trained on: its recipe.yaml or splits.csv is missing or "
            "damaged. Name a data set with --data."
        )
    root = open_source(own.source).root
    photos = [Candidate(row.path, row.label, row.split, root / row.path) for row in own.rows]
    if not own.validated_on_test:
        return photos
    test = [photo for photo in photos if photo.split == "test"]
    return [photo for photo in photos if photo.split != "val"] + [photo._replace(split="val") for photo in test]


def _other_photos(data: str | Path) -> list[Candidate]:
    return [Candidate(item.path, item.label, item.split, item.file) for item in open_source(data).items]


def _of_split(candidates: Sequence[Candidate], split: str) -> list[Candidate]:
    found = [candidate for candidate in candidates if candidate.split in (None, split)]
    if not found:
        there = [name for name in SPLITS if any(candidate.split == name for candidate in candidates)]
        raise DataError(f"There are no photos in the split {split}; there are some in {', '.join(there)}.")
    return found


def _of_class(candidates: Sequence[Candidate], label: str | None, split: str) -> list[Candidate]:
    found = [candidate for candidate in candidates if label in (None, candidate.label)]
    if not found:
        labels = sorted({candidate.label for candidate in candidates})
        raise DataError(f"There is no class {label} in {split}; there are {', '.join(labels)}.")
    return found


def _read(predictor: Predictor, candidates: Sequence[Candidate], count: int) -> list[_Drawn]:
    """Decode the first photos that can be; others take the place of bad ones."""
    drawn = []
    reason = ""
    for candidate in candidates:
        try:
            data = read_file(candidate.file)
            pixels = decode(data)
        except PhotoError as error:
            reason = f"{candidate.file} {error}"
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        drawn.append(_Drawn(candidate, shrink(pixels, LARGEST_SIDE), predictor.pixels(data), sha256))
        if len(drawn) == count:
            break
    if not drawn:
        raise DataError(f"None of the {len(candidates)} photos can be read: {reason}.")
    return drawn


def _predict(predictor: Predictor, drawn: Sequence[_Drawn]) -> list[PredictedPhoto]:
    photos = []
    for photo, row in zip(drawn, predictor.probabilities(np.stack([photo.resized for photo in drawn])), strict=True):
        best, (path, label, *_) = int(row.argmax()), photo.candidate
        photos.append(PredictedPhoto(photo.pixels, label, predictor.classes[best], float(row[best]), path))
    return photos
