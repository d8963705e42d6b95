"""Near-duplicates and suspicious labels: planted ones are found, and nothing else."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from unfreeze.evaluation.photo_checks import BLOCK, near_duplicates, suspicious_labels


def clusters(n: int, c: int, spread: float = 1.0, d: int = 32) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = np.arange(n) % c
    centres = draw.normal(size=(c, d))
    return (centres[labels] + spread * draw.normal(size=(n, d))).astype(np.float32), labels


def take_from(vectors: np.ndarray):
    return lambda numbers: vectors[numbers]


def splits_of(n: int) -> list[str]:
    return ["train"] * (n // 2) + ["val"] * (n // 4) + ["test"] * (n - n // 2 - n // 4)


def test_planted_copies_are_found_the_most_similar_first():
    vectors, labels = clusters(400, 4)
    noise = np.random.default_rng(1).normal(size=(3, 32))
    for (original, copy), scale, each in zip([(3, 207), (10, 302), (215, 311)], (0.05, 0.1, 0.15), noise, strict=True):
        vectors[copy], labels[copy] = 2 * (vectors[original] + scale * each), labels[original]
    found = near_duplicates(take_from(vectors), labels, splits_of(400))
    assert [(pair.first, pair.second) for pair in found] == [(3, 207), (10, 302), (215, 311)]
    for pair in found:
        expected = cosine_similarity(vectors[[pair.first]], vectors[[pair.second]])[0, 0]
        assert pair.similarity == pytest.approx(expected, abs=1e-6)


def test_copies_in_one_split_are_no_matter():
    vectors, labels = clusters(400, 4)
    vectors[1] = vectors[5]
    vectors[390] = vectors[394]
    assert near_duplicates(take_from(vectors), labels, splits_of(400)) == []


def test_where_all_photos_look_alike_a_high_cosine_says_little():
    vectors, labels = clusters(400, 4, spread=5.0)
    vectors += 100
    assert cosine_similarity(vectors).min() > 0.98
    assert len(near_duplicates(take_from(vectors), labels, splits_of(400))) <= 2


def test_many_photos_are_read_in_blocks():
    vectors, labels = clusters(5 * BLOCK, 4)
    vectors[-1] = vectors[2 * BLOCK + 7]
    sizes = []

    def take(numbers: np.ndarray) -> np.ndarray:
        sizes.append(len(numbers))
        return vectors[numbers]

    (pair,) = near_duplicates(take, labels, ["train"] * (5 * BLOCK - 10) + ["test"] * 10)
    assert (pair.first, pair.second) == (2 * BLOCK + 7, 5 * BLOCK - 1)
    assert max(sizes) == BLOCK


@pytest.mark.parametrize("splits", [["train"] * 40, ["test"] * 40, ["val"] * 40])
def test_one_split_has_nothing_to_compare(splits):
    vectors, labels = clusters(40, 2)
    assert near_duplicates(take_from(vectors), labels, splits) == []


def test_exchanged_labels_are_found_the_least_probable_first():
    vectors, labels = clusters(2000, 3, spread=0.5, d=8)
    true = labels.copy()
    labels[[7, 100, 333]] = (labels[[7, 100, 333]] + 1) % 3
    found = suspicious_labels(take_from(vectors), labels)
    assert sorted(each.photo for each in found) == [7, 100, 333]
    assert [each.probability for each in found] == sorted(each.probability for each in found)
    assert all(each.looks_like == true[each.photo] and each.sure > 0.9 for each in found)


def test_small_classes_are_left_out():
    vectors, labels = clusters(100, 2, spread=0.3)
    labels[:3] = 7  # three photos of a class of their own
    assert suspicious_labels(take_from(vectors), labels) == []
    assert suspicious_labels(take_from(vectors[:4]), labels[:4]) == []
    assert suspicious_labels(take_from(vectors), np.zeros(100, int)) == []
