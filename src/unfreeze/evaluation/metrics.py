"""What a classifier's probabilities are worth on labelled photos."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unfreeze.errors import RunError
from unfreeze.evaluation.calibration import brier_score, calibrate, expected_calibration_error
from unfreeze.evaluation.intervals import wilson_interval

_KERAS_EPSILON = 1e-7
"""Probabilities are kept this far from 0 and 1 before the logarithm, as `keras.config.epsilon()` does."""


@dataclass(frozen=True)
class ClassMetrics:
    """How one class fares; None where a share would be of nothing.

    Attributes:
        precision: share of the photos predicted as this class that are of it; None if it was never predicted.
        recall: share of this class's photos that were found; None if there are none.
        f1: harmonic mean of both; None if the class was neither there nor predicted.
        support: photos of this class.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Metrics:
    """A classifier's figures on `n` labelled photos; those of probabilities are of calibrated ones.

    Attributes:
        n: photos.
        accuracy: share predicted right.
        ci95: 95% Wilson interval of the accuracy.
        nll: mean negative log-likelihood of the true class, in nats.
        macro_f1: mean F1 over the classes that were there or predicted.
        ece: expected calibration error, 0 (as sure as right) to 1.
        brier: mean squared distance of the probabilities from the truth, 0 to 2.
        nll_uncalibrated: what `nll` is of the classifier's own probabilities.
        ece_uncalibrated: what `ece` is of them.
        per_class: in the classes' order.
        confusion: photos, counted by `[true class][predicted class]`.
    """

    n: int
    accuracy: float
    ci95: tuple[float, float]
    nll: float
    macro_f1: float
    ece: float
    brier: float
    nll_uncalibrated: float
    ece_uncalibrated: float
    per_class: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def loss(self) -> float:
        """What Keras calls the same number as `nll`."""
        return self.nll

    def summary(self) -> dict[str, Any]:
        """The figures of an experiment's `test` in `results.json`."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "ci95": list(self.ci95),
            "macro_f1": self.macro_f1,
            "nll": self.nll,
            "ece": self.ece,
            "brier": self.brier,
            "nll_uncalibrated": self.nll_uncalibrated,
            "ece_uncalibrated": self.ece_uncalibrated,
        }

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The content of `metrics.json`, for `json.dumps`.

        Args:
            classes: the classes' names, in the probabilities' order.
        """
        per_class = [{"class": name, **asdict(each)} for name, each in zip(classes, self.per_class, strict=True)]
        confusion = [list(row) for row in self.confusion]
        return {**self.summary(), "loss": self.loss, "per_class": per_class, "confusion": confusion}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Metrics from what `to_json` made; keys that it does not know are passed over.

        Raises:
            KeyError: a figure is missing.
        """
        low, high = document["ci95"]
        return cls(
            n=document["n"],
            accuracy=document["accuracy"],
            ci95=(low, high),
            nll=document["nll"],
            macro_f1=document["macro_f1"],
            ece=document["ece"],
            brier=document["brier"],
            nll_uncalibrated=document["nll_uncalibrated"],
            ece_uncalibrated=document["ece_uncalibrated"],
            per_class=tuple(
                ClassMetrics(each["precision"], each["recall"], each["f1"], each["support"])
                for each in document["per_class"]
            ),
            confusion=tuple(tuple(row) for row in document["confusion"]),
        )


def evaluate(labels: NDArray[np.integer], probabilities: NDArray[np.floating], temperature: float = 1.0) -> Metrics:
    """Measure predicted probabilities against the true classes.

    Args:
        labels: true class of each photo, [n], 0 to c - 1.
        probabilities: the classifier's own, [n, c], each row adding up to 1.
        temperature: that calibrates them.

    Raises:
        ValueError: no photos, shapes that don't match, or a label outside 0 to c - 1.
        RunError: a probability is not a finite number, so the training that made it diverged.
    """
    _check(labels, probabilities)
    n, class_count = probabilities.shape
    calibrated = calibrate(probabilities, temperature)
    predicted = calibrated.argmax(axis=1)
    pairs = np.bincount(labels * class_count + predicted, minlength=class_count**2)
    confusion = pairs.reshape(class_count, class_count).tolist()
    per_class = tuple(_class_metrics(confusion, c) for c in range(class_count))
    f1_scores = [each.f1 for each in per_class if each.f1 is not None]
    correct = sum(confusion[c][c] for c in range(class_count))
    return Metrics(
        n=n,
        accuracy=correct / n,
        ci95=wilson_interval(correct, n),
        nll=negative_log_likelihood(labels, calibrated),
        macro_f1=sum(f1_scores) / len(f1_scores),
        ece=expected_calibration_error(labels, calibrated),
        brier=brier_score(labels, calibrated),
        nll_uncalibrated=negative_log_likelihood(labels, probabilities),
        ece_uncalibrated=expected_calibration_error(labels, probabilities),
        per_class=per_class,
        confusion=tuple(tuple(row) for row in confusion),
    )


def negative_log_likelihood(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> float:
    """Mean of -ln(probability of the true class): Keras's `sparse_categorical_crossentropy`.

    As there, rows are made to add up to 1 and probabilities kept between 1e-7 and 1 - 1e-7.

    Args:
        labels: [n], 0 to c - 1.
        probabilities: [n, c].
    """
    rows = probabilities.astype(np.float64)
    of_true_class = rows[np.arange(len(labels)), labels] / rows.sum(axis=1)
    return float(-np.log(of_true_class.clip(_KERAS_EPSILON, 1 - _KERAS_EPSILON)).mean())


def _check(labels: NDArray[np.integer], probabilities: NDArray[np.floating]) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not labels.size:
        raise ValueError(
            "evaluate needs labels [n] and probabilities [n, c] of at least one photo, "
            f"not the shapes {list(labels.shape)} and {list(probabilities.shape)}."
        )
    class_count = probabilities.shape[1]
    if labels.min() < 0 or labels.max() >= class_count:
        raise ValueError(
            f"labels must be from 0 to {class_count - 1}, the probabilities' last column, "
            f"but go from {labels.min()} to {labels.max()}."
        )
    broken = int((~np.isfinite(probabilities)).any(axis=1).sum())
    if broken:
        raise RunError(
            f"The probabilities of {broken} of {len(labels)} photos are not finite numbers: the training "
            "diverged. Lower the experiment's learning_rate and run it again."
        )


def _class_metrics(confusion: Sequence[Sequence[int]], c: int) -> ClassMetrics:
    found = confusion[c][c]
    photos = sum(confusion[c])
    predicted = sum(row[c] for row in confusion)
    return ClassMetrics(
        precision=found / predicted if predicted else None,
        recall=found / photos if photos else None,
        f1=2 * found / (photos + predicted) if photos + predicted else None,
        support=photos,
    )
