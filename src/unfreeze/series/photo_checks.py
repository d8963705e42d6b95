"""What the pretrained network's features say of the photos themselves: kept in `OUT/photo_checks.json`."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict

import numpy as np

from unfreeze.config import Experiment
from unfreeze.data.catalog import Photo
from unfreeze.data.inputs import Pixels
from unfreeze.errors import RunError
from unfreeze.evaluation.photo_checks import near_duplicates, suspicious_labels
from unfreeze.features.activations import Activations
from unfreeze.features.frozen import FrozenLayers, UncachedRows
from unfreeze.models.backbone_files import backbone_sha256
from unfreeze.models.backbones import pretrained_backbone
from unfreeze.models.classifier import reused_classifier
from unfreeze.report.photo_checks import Checked, NearDuplicate, PhotoChecks, SuspiciousLabel, read_photo_checks
from unfreeze.seals import write_sealed
from unfreeze.series.division import Division
from unfreeze.series.folders import SeriesFolder
from unfreeze.series.photos import SeriesPhotos


def check_photos(
    folder: SeriesFolder, photos: SeriesPhotos, series: Sequence[Experiment], frozen: FrozenLayers
) -> None:
    """Look for near-duplicates across splits and for suspicious labels among the photos that a series uses.

    Features that are not in the cache are computed: those of training photos that were only seen changed.
    Where the same was looked at before, nothing is done.

    Args:
        folder: of the series.
        photos: of the series.
        series: its experiments that are trained; the first one's backbone and photo size are used.
        frozen: engines and cache.
    """
    used = _used(photos, series)
    looked_at = _sha256(series[0], used)
    if _was_looked_at(looked_at, folder):
        return
    held_out, train = (rows.compute() for rows in _feature_rows(used, photos, series, frozen))
    width = int(train.take(np.zeros(1, np.int64)).shape[1])
    labels = photos.labels([photo for photo, _ in used])

    def features(numbers: np.ndarray) -> np.ndarray:
        """Give vectors of photos by number: those of training photos come first, as in `used`."""
        is_train = numbers < len(train)
        vectors = np.empty((len(numbers), width), np.float32)
        vectors[is_train] = train.take(numbers[is_train], 0)
        vectors[~is_train] = held_out.take(numbers[~is_train] - len(train), 0)
        return vectors

    def described(number: int) -> dict[str, str]:
        photo, split = used[number]
        return {"path": photo.path, "split": split, "label": photo.label}

    checks = PhotoChecks(
        backbone=series[0].backbone,
        photos=len(used),
        looked_at=looked_at,
        near_duplicates=tuple(
            NearDuplicate((Checked(**described(pair.first)), Checked(**described(pair.second))), pair.similarity)
            for pair in near_duplicates(features, labels, [split for _, split in used])
        ),
        suspicious_labels=tuple(
            SuspiciousLabel(
                **described(found.photo),
                probability=found.probability,
                looks_like=photos.classes[found.looks_like],
                sure=found.sure,
            )
            for found in suspicious_labels(features, labels)
        ),
    )
    write_sealed(folder.photo_checks, asdict(checks))


def rows_to_check(
    folder: SeriesFolder, photos: SeriesPhotos, series: Sequence[Experiment], frozen: FrozenLayers
) -> list[Pixels | Activations | UncachedRows]:
    """Give what `check_photos` will look at, not computed yet."""
    used = _used(photos, series)
    if _was_looked_at(_sha256(series[0], used), folder):
        return []
    return _feature_rows(used, photos, series, frozen)


def _feature_rows(
    used: Sequence[tuple[Photo, str]], photos: SeriesPhotos, series: Sequence[Experiment], frozen: FrozenLayers
) -> list[Pixels | Activations | UncachedRows]:
    """Give the features of photos as they are, those of training photos last."""
    experiment = series[0].model_copy(update={"augment": False, "engine": "cached", "fraction": _fraction(series)})
    classifier = reused_classifier(pretrained_backbone(experiment.backbone, experiment.image_size), len(photos.classes))
    division = Division(experiment, series, frozen)
    return [
        division.rows(
            classifier,
            [],
            photos.pixels([photo for photo, split in used if (split == "train") is training], experiment),
            training,
        )
        for training in (False, True)
    ]


def _was_looked_at(sha256: str, folder: SeriesFolder) -> bool:
    with suppress(RunError):  # a damaged file is written again
        there = read_photo_checks(folder.path)
        return there is not None and there.looked_at == sha256
    return False


def _fraction(series: Sequence[Experiment]) -> float:
    return max(experiment.fraction for experiment in series)


def _used(photos: SeriesPhotos, series: Sequence[Experiment]) -> list[tuple[Photo, str]]:
    """Give the photos that a series trains on, validates on and is tested on, each with its split."""
    splits = {"train": photos.splits.train(_fraction(series)), "test": photos.splits.test}
    if not photos.splits.validate_on_test:
        splits["val"] = photos.splits.val
    return [(photo, split) for split, of_split in splits.items() for photo in of_split]


def _sha256(experiment: Experiment, used: Sequence[tuple[Photo, str]]) -> str:
    """Name what is looked at: the network, how photos reach it, the photos with their labels and splits."""
    network = experiment.backbone, backbone_sha256(experiment.backbone), experiment.image_size, experiment.resize
    photos = [(photo.path, photo.sha256, photo.label, split) for photo, split in used]
    return hashlib.sha256(json.dumps([network, photos]).encode()).hexdigest()
