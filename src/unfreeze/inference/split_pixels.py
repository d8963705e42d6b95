"""Photos of one split of a run, as its network takes them."""

import hashlib
import random
from dataclasses import dataclass

import numpy as np

from unfreeze.errors import PhotoError, UnfreezeError
from unfreeze.inference.own_photos import OwnPhotos
from unfreeze.inference.predictor import Predictor, read_file
from unfreeze.inference.show import own_candidates


@dataclass(frozen=True, eq=False)
class SplitPixels:
    """Labelled photos.

    Attributes:
        pixels: uint8 [n, size, size, 3].
        labels: numbers of their classes, [n].
    """

    pixels: np.ndarray
    labels: np.ndarray


def split_pixels(own: OwnPhotos, predictor: Predictor, split: str, most: int, why: str) -> SplitPixels:
    """Read photos of a split that still are what they were, always the same ones; test photos go on record.

    Args:
        own: what is known of the run's photos.
        predictor: of the run.
        split: `train`, `val` or `test`.
        most: photos to read; a random choice if there are more.
        why: what the photos are read for.

    Returns:
        Them; none where they are gone.
    """
    try:
        there = [candidate for candidate in own_candidates(own) if candidate.split == split]
    except UnfreezeError:
        there = []
    random.Random(0).shuffle(there)
    known = {row.path: row.sha256 for row in own.rows}
    pixels, labels, hashes = [], [], []
    for candidate in there[:most]:
        try:
            data = read_file(candidate.file)
            photo = predictor.pixels(data)
        except PhotoError:
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 == known[candidate.path] and candidate.label in predictor.classes:
            pixels.append(photo)
            labels.append(predictor.classes.index(candidate.label))
            hashes.append(sha256)
    own.record_read(why, hashes)
    size = predictor.image_size
    return SplitPixels(np.array(pixels, np.uint8).reshape(-1, size, size, 3), np.array(labels, np.int64))
