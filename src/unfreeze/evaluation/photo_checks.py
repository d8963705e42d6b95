"""Photos worth a second look, by their feature vectors: the same thing in two splits, and labels that look wrong.

Vectors are read in blocks, so that memory stays flat however many photos there are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAR = 0.95
"""Least cosine of near-duplicates. Of 150 photos of groceries, EfficientNet-Lite0's features of at least 99% had more
with a copy of half the size, compressed hard, or a quarter brighter, 95% with their mirror image, half with a copy
that had lost a tenth of each side; of 3,142 different photos the nearest of another class had 0.89 at most."""

DIFFERENT = 0.999
"""The cosine must also be above that of so many photos to the nearest of another class, which shows something else:
where all photos look alike (solar cells: 0.99) a high cosine says little."""

SUSPICIOUS = 0.05
"""A label is suspicious below this cross-validated probability. Of 3% of labels that were exchanged at random among
groceries it finds 92%, and 97% of what it finds was exchanged; of solar cells, which are hard to tell apart, 13% and
57%."""

COMPONENTS, FOLDS = 128, 5
"""Principal components of the vectors, and parts of the cross-validation."""

STRENGTH, TOLERANCE = 0.1, 1e-2
"""scikit-learn's C and tol of the regression; a smaller tolerance takes forty times as long and finds the same."""

SAMPLE = 4000
"""Vectors from which the principal components are found."""

BLOCK = 2048

Take = Callable[[NDArray[np.int64]], NDArray[np.floating]]
"""Gives the vectors of these photos, [photos, features]."""


@dataclass(frozen=True)
class NearDuplicate:
    """Two photos, by number, in different splits, that show all but the same; `similarity` is their cosine."""

    first: int
    second: int
    similarity: float


@dataclass(frozen=True)
class Suspicious:
    """A photo, by number, that looks like another class than its label says.

    Attributes:
        photo: its number.
        probability: of its label, by a model that has not seen it.
        looks_like: the class, by number, that this model takes it for.
        sure: how sure it is of that.
    """

    photo: int
    probability: float
    looks_like: int
    sure: float


def near_duplicates(take: Take, labels: NDArray[np.integer], splits: Sequence[str]) -> list[NearDuplicate]:
    """Find photos of which another split has all but a copy, the most similar first.

    Each photo of a later split (`val`, `test`) is compared with all photos of the splits before it (`train`, `val`);
    its nearest one counts.

    Args:
        take: gives vectors.
        labels: class of each photo, [n].
        splits: `train`, `val` or `test` of each photo.
    """
    numbers = {split: np.flatnonzero(np.array(splits) == split) for split in ("train", "val", "test")}
    found: list[NearDuplicate] = []
    of_others: list[NDArray[np.float32]] = []
    for later, earlier in (("val", ("train",)), ("test", ("train", "val"))):
        theirs = np.concatenate([numbers[split] for split in earlier])
        for mine in _blocks(numbers[later]) if len(theirs) else ():
            partner, nearest, other_class = _nearest(take, labels, mine, theirs)
            of_others.append(other_class)
            found += [
                NearDuplicate(int(theirs_number), int(number), float(similarity))
                for theirs_number, number, similarity in zip(partner, mine, nearest, strict=True)
            ]
    threshold = max(NEAR, float(np.quantile(np.concatenate(of_others), DIFFERENT))) if of_others else NEAR
    return sorted((pair for pair in found if pair.similarity > threshold), key=lambda pair: -pair.similarity)


def _nearest(
    take: Take, labels: NDArray[np.integer], mine: NDArray[np.int64], theirs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Give each of `mine` its nearest of `theirs`, that one's cosine, and that of the nearest of another class."""
    vectors = _of_length_one(take(mine))
    nearest, other_class = np.full(len(mine), -1, np.float32), np.full(len(mine), -1, np.float32)
    partner = np.zeros(len(mine), np.int64)
    for block in _blocks(theirs):
        cosines = vectors @ _of_length_one(take(block)).T
        best = cosines.argmax(axis=1)
        closer = cosines[np.arange(len(mine)), best] > nearest
        partner[closer] = block[best[closer]]
        nearest = np.maximum(nearest, cosines.max(axis=1))
        cosines[labels[mine][:, None] == labels[block]] = -1
        other_class = np.maximum(other_class, cosines.max(axis=1))
    return partner, nearest, other_class


def suspicious_labels(take: Take, labels: NDArray[np.integer]) -> list[Suspicious]:
    """Find labels that contradict what all other photos teach, the least probable first.

    Logistic regression on the vectors' principal components gives every photo the probability of its label, trained
    without it (C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident learning", JAIR 70 (2021), 1373-1411, start from
    the same probabilities). Photos of classes with fewer than five photos are left out.

    Args:
        take: gives vectors.
        labels: class of each photo, [n].
    """
    # scikit-learn takes a second to import
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    counts = np.bincount(labels)
    photos = np.flatnonzero(counts[labels] >= FOLDS)
    classes = np.unique(labels[photos])
    if len(classes) < 2:
        return []
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(C=STRENGTH, tol=TOLERANCE, max_iter=300)
    vectors = _principal_components(take, photos)
    predicted: Any = cross_val_predict(model, vectors, labels[photos], cv=parts, method="predict_proba")
    probabilities: NDArray[np.floating] = predicted
    own = probabilities[np.arange(len(photos)), np.searchsorted(classes, labels[photos])]
    order = np.argsort(own, kind="stable")
    return [
        Suspicious(
            photo=int(photos[number]),
            probability=float(own[number]),
            looks_like=int(classes[probabilities[number].argmax()]),
            sure=float(probabilities[number].max()),
        )
        for number in order[own[order] < SUSPICIOUS]
    ]


def _principal_components(take: Take, photos: NDArray[np.int64]) -> NDArray[np.floating]:
    """Give photos' whitened principal components, [photos, components]; found from a sample, or from all if few."""
    from sklearn.decomposition import PCA

    sample = np.sort(np.random.default_rng(0).permutation(photos)[:SAMPLE])
    vectors = take(sample).astype(np.float32)
    count = min(COMPONENTS, len(sample) - 1, vectors.shape[1])
    analysis = PCA(count, whiten=True, svd_solver="randomized", random_state=0).fit(vectors)
    return np.concatenate([analysis.transform(take(block).astype(np.float32)) for block in _blocks(photos)])


def _blocks(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(numbers), BLOCK):
        yield numbers[start : start + BLOCK]


def _of_length_one(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    vectors = vectors.astype(np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
