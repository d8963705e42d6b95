"""Whether probabilities mean what they say, and the temperature that makes them.

A trained network is mostly too sure. Dividing the logarithms of its probabilities by one number, the temperature,
changes no prediction but how sure each is; the number is fitted on validation photos (C. Guo, G. Pleiss, Y. Sun and
K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017, arXiv:1706.04599).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Equally wide ranges of the largest probability, (0, 1/15] to (14/15, 1]; as many as Guo et al. take."""

LEAST = float(np.finfo(np.float32).tiny)
"""Stands for a probability of zero, which has no logarithm."""

_LOG_RANGE = (-3.0, 3.0)
"""Temperatures looked at: 0.05 to 20."""


@dataclass(frozen=True)
class Bin:
    """The photos of which a classifier is about equally sure.

    Attributes:
        low: they have a larger largest probability than this,
        high: and at most this.
        photos: how many; at least one.
        confidence: their mean largest probability.
        accuracy: share of them that is predicted right.
    """

    low: float
    high: float
    photos: int
    confidence: float
    accuracy: float


def fit_temperature(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Find the temperature with which photos that training has not seen were the least surprising.

    That of the least negative log-likelihood, pulled to 1 by a standard normal prior on its logarithm: a few
    validation photos that happen to be all right say nothing against 1.

    Args:
        labels: true classes of validation photos, [n], 0 to c - 1, at least one.
        probabilities: what the classifier said of them, [n, c].

    Returns:
        Above 1 where the classifier is too sure, below 1 where it is not sure enough; 0.05 to 20.
    """
    from scipy.optimize import minimize_scalar  # takes a while to import

    logits = _logarithms(probabilities)
    of_true_class = logits[np.arange(len(labels)), labels]

    def surprise(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        total = np.logaddexp.reduce(logits * sharpness, axis=1) - of_true_class * sharpness
        return float(total.sum() + log_temperature**2 / 2)

    found: Any = minimize_scalar(surprise, bounds=_LOG_RANGE, method="bounded")
    return float(np.exp(found.x))


def calibrate(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float32]:
    """Give the probabilities at a temperature, [n, c]; each row adds up to 1.

    Args:
        probabilities: of a classifier, [n, c].
        temperature: above 0; 1 changes nothing.
    """
    if temperature == 1:
        return probabilities.astype(np.float32, copy=False)
    logits = _logarithms(probabilities) / temperature
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)


def reliability(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> tuple[Bin, ...]:
    """Put photos into bins by how sure the classifier is, and see how often it is then right; empty bins are left out.

    Args:
        labels: [n], 0 to c - 1.
        probabilities: [n, c].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    numbers = (np.ceil(confidence * BINS).astype(int) - 1).clip(0)
    return tuple(
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            photos=int((numbers == number).sum()),
            confidence=float(confidence[numbers == number].mean()),
            accuracy=float(right[numbers == number].mean()),
        )
        for number in np.unique(numbers).tolist()
    )


def expected_calibration_error(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Mean distance between how sure the classifier is and how often it is then right, 0 to 1.

    The distances of the bins of `reliability`, weighted with their photos: equation 3 of Guo et al.

    Args:
        labels: [n], 0 to c - 1.
        probabilities: [n, c].
    """
    bins = reliability(labels, probabilities)
    return sum(each.photos * abs(each.accuracy - each.confidence) for each in bins) / len(labels)


def brier_score(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Mean squared distance of the probabilities from the truth, 0 (certain and right) to 2 (certain and wrong).

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950), 1-3.

    Args:
        labels: [n], 0 to c - 1.
        probabilities: [n, c].
    """
    distances = probabilities.astype(np.float64)
    distances[np.arange(len(labels)), labels] -= 1
    return float((distances**2).sum(axis=1).mean())


def _logarithms(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.log(probabilities.astype(np.float64).clip(LEAST))
