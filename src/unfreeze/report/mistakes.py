"""The photos that teach most about a model: those where it was sure and wrong, and those where it was barely right."""

from dataclasses import dataclass

import numpy as np

from unfreeze.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Judged:
    """A test photo and what a model made of it.

    Attributes:
        path: from the data's root.
        label: true class.
        predicted: most probable class.
        probability: of the predicted class.
    """

    path: str
    label: str
    predicted: str
    probability: float


def most_confident_mistakes(predictions: Predictions, count: int) -> list[Judged]:
    """Give the wrong predictions of the highest probabilities, highest first."""
    wrong = predictions.predicted != predictions.labels
    return _judged(predictions, np.flatnonzero(wrong), -predictions.probabilities.max(axis=1), count)


def least_confident_hits(predictions: Predictions, count: int) -> list[Judged]:
    """Give the right predictions of the lowest probabilities, lowest first."""
    right = predictions.predicted == predictions.labels
    return _judged(predictions, np.flatnonzero(right), predictions.probabilities.max(axis=1), count)


def _judged(predictions: Predictions, of: np.ndarray, order: np.ndarray, count: int) -> list[Judged]:
    first = of[np.argsort(order[of], kind="stable")][:count]
    return [
        Judged(
            path=predictions.paths[number],
            label=predictions.classes[predictions.labels[number]],
            predicted=predictions.classes[predictions.predicted[number]],
            probability=float(predictions.probabilities[number].max()),
        )
        for number in first.tolist()
    ]
