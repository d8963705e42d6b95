"""Metrics against scikit-learn, Keras and tables worked out by hand."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score, log_loss

from unfreeze.errors import RunError
from unfreeze.evaluation.metrics import (
    ClassMetrics,
    Metrics,
    evaluate,
    negative_log_likelihood,
)


def softmax_rows(n: int, c: int, seed: int = 0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(n, c)) * 2
    rows = np.exp(logits)
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def certain(predicted: list[int], c: int) -> np.ndarray:
    return np.eye(c, dtype=np.float32)[predicted]


def test_figures_are_those_of_scikit_learn():
    labels = np.random.default_rng(1).integers(0, 5, 300)
    probabilities = softmax_rows(300, 5)
    predicted = probabilities.argmax(axis=1)
    report = classification_report(labels, predicted, output_dict=True)

    metrics = evaluate(labels, probabilities)

    assert metrics.n == 300
    assert metrics.accuracy == accuracy_score(labels, predicted)
    assert metrics.nll == metrics.loss == pytest.approx(log_loss(labels, probabilities), rel=1e-6)
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    np.testing.assert_array_equal(metrics.confusion, confusion_matrix(labels, predicted))
    for c, each in enumerate(metrics.per_class):
        expected = report[str(c)]
        assert each.precision == pytest.approx(expected["precision"])
        assert each.recall == pytest.approx(expected["recall"])
        assert each.f1 == pytest.approx(expected["f1-score"])
        assert each.support == expected["support"]


def test_a_table_worked_out_by_hand():
    # 4 cats, one taken for a dog; 2 dogs, one taken for a cat; no bird, nothing taken for one;
    # no eel, but a cat taken for one; 1 fox, never found
    labels = np.array([0, 0, 0, 0, 1, 1, 4])
    predicted = [0, 0, 1, 3, 1, 0, 0]

    metrics = evaluate(labels, certain(predicted, 5))

    assert metrics.accuracy == pytest.approx(3 / 7)
    assert metrics.confusion == (
        (2, 1, 0, 1, 0),
        (1, 1, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
    )
    assert metrics.per_class == (
        ClassMetrics(0.5, 0.5, 0.5, 4),
        ClassMetrics(0.5, 0.5, 0.5, 2),
        ClassMetrics(None, None, None, 0),
        ClassMetrics(0.0, None, 0.0, 0),
        ClassMetrics(None, 0.0, 0.0, 1),
    )
    assert metrics.macro_f1 == pytest.approx(1 / 4)
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))


@pytest.mark.parametrize("c", [2, 7])
def test_loss_is_that_of_keras(c):
    import keras

    labels = np.random.default_rng(2).integers(0, c, 50)
    probabilities = softmax_rows(50, c)
    probabilities[:2] = certain([0, 1], c)
    labels[:2] = [0, 0]  # certain and right, certain and wrong: both are clipped
    expected = keras.losses.SparseCategoricalCrossentropy()(labels, probabilities)
    loss = negative_log_likelihood(labels, probabilities)
    assert loss == pytest.approx(float(keras.ops.convert_to_numpy(expected)), rel=1e-6)


def test_certain_and_wrong_costs_16_nats():
    assert negative_log_likelihood(np.array([1]), certain([0], 2)) == pytest.approx(-np.log(1e-7))


def test_one_photo():
    metrics = evaluate(np.array([1]), np.array([[0.25, 0.75]], np.float32))
    assert (metrics.n, metrics.accuracy, metrics.macro_f1) == (1, 1.0, 1.0)
    assert metrics.nll == pytest.approx(-np.log(0.75))


def test_json_keeps_everything_and_names_the_classes():
    metrics = evaluate(np.array([0, 0, 1]), certain([0, 2, 1], 3))
    document = json.loads(json.dumps(metrics.to_json(["cat", "dog", "eel"]), allow_nan=False))
    assert Metrics.from_json(document) == metrics
    assert document["loss"] == document["nll"]
    assert document["per_class"][2] == {
        "class": "eel",
        "precision": 0.0,
        "recall": None,
        "f1": 0.0,
        "support": 0,
    }
    assert list(metrics.summary()) == [
        *("n", "accuracy", "ci95", "macro_f1", "nll", "ece", "brier", "nll_uncalibrated", "ece_uncalibrated")
    ]


def test_as_many_names_as_classes():
    with pytest.raises(ValueError, match="zip"):
        evaluate(np.array([0]), certain([0], 3)).to_json(["cat", "dog"])


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.array([], int), np.ones((0, 2)), r"at least one photo, not the shapes \[0\] and \[0, 2\]"),
        (np.array([0]), np.ones((2, 2)), r"not the shapes \[1\] and \[2, 2\]"),
        (np.array([0]), np.ones(1), r"not the shapes \[1\] and \[1\]"),
        (np.array([0, 2]), np.ones((2, 2)), "labels must be from 0 to 1, .* go from 0 to 2"),
        (np.array([-1, 1]), np.ones((2, 2)), "labels must be from 0 to 1, .* go from -1 to 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        evaluate(labels, probabilities)


def test_a_diverged_training_is_named():
    probabilities = softmax_rows(4, 3)
    probabilities[1, 2] = np.nan
    with pytest.raises(RunError, match=r"of 1 of 4 photos .* Lower the experiment's learning_rate"):
        evaluate(np.zeros(4, int), probabilities)
