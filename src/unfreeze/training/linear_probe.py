"""A linear probe: the head fitted as a logistic regression on features, by L-BFGS instead of step by step.

On a frozen backbone the head alone is trained, and its loss has one minimum. L-BFGS (D. Liu and J. Nocedal,
Mathematical Programming 45, 1989) finds it in seconds, where Adam's usual five epochs stop far from it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from scipy.optimize import minimize

from unfreeze.models.classifier import backbone_of
from unfreeze.models.unfreezing import freeze
from unfreeze.training.batches import Batches

CHUNK = 4096
"""Photos whose features are in memory at a time."""

MAX_ITERATIONS = 100
"""Of L-BFGS an epoch; the next one goes on from there."""

TOLERANCE = 1e-6
"""Relative change of the loss below which an epoch is done."""


def fit_head(
    classifier: keras.Model,
    trained: keras.Model,
    batches: Batches,
    validation: Batches | None,
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Fit the head of a classifier whose backbone is frozen whole.

    Each epoch is one whole fit with less weight decay than the epoch before, from whose weights it goes on; validation
    says which was enough. The head's weights before the first make no difference.

    Args:
        classifier: the whole model; its layer `head` is a dense one with softmax and is changed in place.
        trained: the part of it from features to probabilities, for the callbacks.
        batches: features [photos, channels], class numbers and weights, if any, of the training photos; their order
            makes no difference.
        validation: those of the validation photos, or None.
        epochs: numbers of this phase's epochs, counted from 0 through all phases.
        callbacks: Keras callbacks; epochs have no batches, and no learning rate.
    """
    freeze(backbone_of(classifier), [])
    head: Any = classifier.get_layer("head")
    center = _mean(batches)  # features are far from zero, which L-BFGS would take long to learn
    weights = np.zeros((len(center) + 1, head.units))
    heard: Any = keras.callbacks.CallbackList(list(callbacks), add_history=False, model=trained)
    trained.stop_training = False
    heard.on_train_begin()
    for step, epoch in enumerate(epochs, 1):
        heard.on_epoch_begin(epoch)
        weights = _minimize(weights, batches, center, weight_decay(step))
        kernel, bias = weights[:-1], weights[-1] - center @ weights[:-1]
        head.set_weights([kernel, bias])
        logs = _figures(batches, kernel, bias)
        if validation:
            logs |= {f"val_{name}": value for name, value in _figures(validation, kernel, bias).items()}
        heard.on_epoch_end(epoch, {**logs, "learning_rate": None})
        if trained.stop_training:
            break
    heard.on_train_end()


def weight_decay(step: int) -> float:
    """Give the weight decay of a phase's epoch, counted from 1: 0.1, 0.03, 0.01 and so on.

    Half of it times the sum of the kernel's squares is added to the mean loss of a photo. Five epochs end at 0.001, a
    good strength for data sets of very different sizes where no validation photos choose.
    """
    return 10 ** (-(step + 1) / 2)


def _minimize(start: np.ndarray, batches: Batches, center: np.ndarray, decay: float) -> np.ndarray:
    """Find the weights, [channels + 1, classes] with the bias last, that make loss and penalty smallest."""
    count, sizes = len(batches.labels), batches.weights
    sizes = np.ones(count, np.float32) if sizes is None else sizes

    def loss_and_slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        kernel, bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
        loss, slope = decay / 2 * float((weights[:-1] ** 2).sum()), np.zeros_like(weights)
        slope[:-1] = decay * weights[:-1]
        for places, rows, labels in _chunks(batches):
            rows = rows - center
            probabilities = _softmax(rows @ kernel + bias)
            loss += _log_loss(probabilities, labels, sizes[places]) / count
            probabilities[np.arange(len(labels)), labels] -= 1
            probabilities *= sizes[places, None]
            slope[:-1] += rows.T @ probabilities / count
            slope[-1] += probabilities.sum(axis=0) / count
        return loss, slope.ravel()

    options = {"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE}
    return minimize(loss_and_slope, start.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(start.shape)


def _figures(batches: Batches, kernel: np.ndarray, bias: np.ndarray) -> dict[str, float]:
    """Measure the mean loss of a photo, and the accuracy."""
    loss, hits = 0.0, 0
    for places, rows, labels in _chunks(batches):
        probabilities = _softmax(rows @ kernel.astype(np.float32) + bias.astype(np.float32))
        loss += _log_loss(probabilities, labels, 1 if batches.weights is None else batches.weights[places])
        hits += int((probabilities.argmax(axis=1) == labels).sum())
    return {"loss": loss / len(batches.labels), "accuracy": hits / len(batches.labels)}


def _chunks(batches: Batches) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for start in range(0, len(batches.labels), CHUNK):
        places = np.arange(start, min(start + CHUNK, len(batches.labels)))
        yield places, np.asarray(batches.rows.take(places, 0), np.float32), batches.labels[places]


def _mean(batches: Batches) -> np.ndarray:
    sums = [rows.sum(axis=0, dtype=np.float64) for _, rows, _ in _chunks(batches)]
    return (np.sum(sums, axis=0) / len(batches.labels)).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | int) -> float:
    """Add up weighted losses; a probability of zero counts as the least that float32 holds, as Keras clips it too."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float((-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)) * weights).sum(dtype=np.float64))
