"""What a recipe makes of labels, against Keras and scikit-learn."""

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight
from tests.tiny import tiny_backbone

from unfreeze.config import Phase
from unfreeze.errors import RecipeError
from unfreeze.models.classifier import build_classifier
from unfreeze.training.batches import Batches
from unfreeze.training.custom import Custom
from unfreeze.training.labels import balanced_weights, smoothed
from unfreeze.training.linear_probe import fit_head, weight_decay

DRAW = np.random.default_rng(0)
NUMBERS = DRAW.choice(3, 60, p=[0.7, 0.2, 0.1])
ONE_HOT = np.eye(3, dtype="float32")[NUMBERS]
FEATURES = (DRAW.normal(size=(60, 6)) + NUMBERS[:, None]).astype("float32")


class Rows:
    """Features, the same in every epoch."""

    def __len__(self) -> int:
        return len(FEATURES)

    def take(self, indices: np.ndarray, epoch: int) -> np.ndarray:
        return FEATURES[indices]


def test_smoothed_labels_are_keras_own_label_smoothing():
    probabilities = DRAW.dirichlet(np.ones(3), 60).astype("float32")
    plain = keras.losses.CategoricalCrossentropy()
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    mine = float(plain(smoothed(ONE_HOT, 0.2), probabilities))
    assert mine == pytest.approx(float(theirs(ONE_HOT, probabilities)), rel=1e-6)
    assert mine != pytest.approx(float(plain(ONE_HOT, probabilities)), rel=1e-2)


def test_balanced_weights_are_those_of_scikit_learn():
    np.testing.assert_allclose(balanced_weights(NUMBERS), compute_sample_weight("balanced", NUMBERS), rtol=1e-6)
    np.testing.assert_allclose(balanced_weights(np.array([0, 2, 2])), [1.5, 0.75, 0.75])  # a class without photos


def test_a_balanced_linear_probe_is_that_of_scikit_learn():
    classifier = build_classifier(tiny_backbone(), 3)
    trained = keras.Sequential([keras.Input((6,)), classifier.get_layer("head")])
    batches = Batches(Rows(), NUMBERS, 8, weights=balanced_weights(NUMBERS))
    fit_head(classifier, trained, batches, None, range(1), [])
    theirs = LogisticRegression(C=1 / (60 * weight_decay(1)), class_weight="balanced", tol=1e-8, max_iter=1000)
    expected = theirs.fit(FEATURES, NUMBERS).predict_proba(FEATURES)
    np.testing.assert_allclose(trained.predict(FEATURES, verbose=0), expected, atol=2e-3)
    unbalanced = LogisticRegression(C=1 / (60 * weight_decay(1)), max_iter=1000).fit(FEATURES, NUMBERS)
    assert np.abs(unbalanced.predict_proba(FEATURES) - expected).max() > 0.1


def test_mixup_mixes_photos_labels_and_weights_in_the_same_shares():
    """The labels tell the shares, and these give the photos back."""
    labels = np.eye(60, dtype="float32")  # so that each photo is its own class
    weights = np.arange(60, dtype="float32")
    plain = Batches(Rows(), labels, 16, seed=3)
    mixed = Batches(Rows(), labels, 16, seed=3, weights=weights, mixup=0.5)
    shares = []
    for epoch in range(3):
        plain.start(epoch)
        mixed.start(epoch)
        for number in range(len(mixed)):
            rows, targets, sizes = mixed[number]
            np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
            np.testing.assert_allclose(rows, targets @ FEATURES, atol=1e-5)
            np.testing.assert_allclose(sizes, targets @ weights, rtol=1e-5)
            of_itself = (targets * plain[number][1]).sum(axis=1)
            shares.append(float(np.median(of_itself)))
            again = mixed[number]
            assert all((mine == theirs).all() for mine, theirs in zip(again, (rows, targets, sizes), strict=True))
    assert len({round(share, 5) for share in shares}) == 12
    assert 0 < min(shares) < max(shares) <= 1


def test_the_shares_of_mixup_follow_the_beta_distribution():
    labels = np.eye(60, dtype="float32")
    batches = Batches(Rows(), labels, 2, seed=1, mixup=2.0)
    largest = []
    for epoch in range(40):
        batches.start(epoch)
        largest += [float(batches[number][1][0].max()) for number in range(30)]
    mixed = [share for share in largest if share < 1]  # half of the pairs are a photo with itself
    assert 450 < len(mixed) < 750
    draws = np.random.default_rng(0).beta(2, 2, 100_000)
    assert np.mean(mixed) == pytest.approx(np.maximum(draws, 1 - draws).mean(), abs=0.015)


def test_a_loss_of_ones_own_must_take_what_the_regimen_makes():
    custom = Custom(loss="sparse_categorical_crossentropy")
    assert custom.softened(Phase(ema=0.5)) is custom
    for key in ("mixup", "label_smoothing"):
        with pytest.raises(RecipeError, match=f"takes class numbers, and `{key}` makes photos belong to several"):
            custom.softened(Phase(**{key: 0.1}))
    own = Custom(loss=keras.losses.CategoricalFocalCrossentropy())
    assert own.softened(Phase(mixup=0.1)) is own
    assert Custom().softened(Phase(mixup=0.1)).labels(NUMBERS, 3).shape == (60, 3)
