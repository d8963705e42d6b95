"""One phase of training: freeze, compile, fit."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from unfreeze.config import Phase
from unfreeze.gpu import has_bfloat16
from unfreeze.models.classifier import backbone_of
from unfreeze.models.unfreezing import freeze
from unfreeze.training.batches import Batches, for_keras
from unfreeze.training.callbacks import EpochStart
from unfreeze.training.custom import Custom
from unfreeze.training.mixed_precision import in_bfloat16
from unfreeze.training.regimen import averaging, follow

HEAD_STEPS = 8
"""Training steps a call where only a head on feature vectors is trained."""

_compiled: WeakKeyDictionary[keras.Model, tuple[str, ...]] = WeakKeyDictionary()
"""Models compiled with an optimizer and loss of ours -> the names of their layers that are trained."""


def train_phase(
    classifier: keras.Model,
    trained: keras.Model,
    unfrozen: Sequence[str],
    learning_rate: float,
    batches: Batches,
    validation: Batches | None,
    epochs: range,
    callbacks: Sequence[keras.callbacks.Callback],
    custom: Custom | None = None,
    state: keras.callbacks.Callback | None = None,
    phase: Phase | None = None,
    mixed: bool = False,
) -> None:
    """Train the head and the unfrozen layers of a classifier.

    The three steps belong together: in Keras a change of `trainable` after `compile` has no effect, and an
    optimizer serves only the variables that it was built with.

    Args:
        classifier: the whole model; its weights are trained in place.
        trained: the part of it on which `fit` runs, sharing its weights.
        unfrozen: names of the backbone's layers that are trained; all others keep their weights.
        learning_rate: of the optimizer.
        batches: training photos as `trained` takes them, standing at the phase's first epoch.
        validation: validation photos likewise, or None.
        epochs: numbers of this phase's epochs, counted from 0 through all phases.
        callbacks: Keras callbacks.
        custom: the caller's own optimizer, loss and further callbacks, if any.
        state: a callback that is called after all others, if any.
        phase: whose regimen to follow, if any; the labels are in its form already.
        mixed: whether a GPU that is faster so may compute in bfloat16; weights stay float32.
    """
    custom = custom or Custom()
    freeze(backbone_of(classifier), unfrozen)
    set_up = None
    averages: list[keras.callbacks.Callback] = []
    if phase and phase.changes_steps:
        backbone, steps = backbone_of(classifier), len(batches) * phase.epochs
        set_up = partial(follow, regimen=phase, backbone=backbone, epochs=phase.epochs, steps=steps)
        averages = averaging() if phase.ema else []
    _make_ready(trained, learning_rate, custom, set_up)
    last = [state] if state else []
    with in_bfloat16(backbone_of(classifier)) if mixed and has_bfloat16() else nullcontext():
        trained.fit(
            for_keras(batches),
            validation_data=for_keras(validation) if validation else None,
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            callbacks=[*averages[:1], EpochStart(batches), *callbacks, *custom.callbacks, *averages[1:], *last],
            shuffle=False,
            verbose=0,  # pyright: ignore[reportArgumentType]
        )


def _make_ready(trained: keras.Model, learning_rate: float, custom: Custom, set_up: Callable[..., None] | None) -> None:
    """Compile a model for a phase.

    If the very same was done before, its optimizer begins anew and what TensorFlow has traced is used again: tracing
    takes seconds. Which layers are trained must not have changed in between.

    Args:
        trained: the part of a classifier on which `fit` runs.
        learning_rate: of the optimizer.
        custom: the caller's own optimizer and loss, if any.
        set_up: changes a new optimizer that will train these variables, if any.
    """
    backend = keras.backend.backend()
    layers = tuple(layer.name for layer in trained._flatten_layers() if layer.trainable)
    is_ours = custom.optimizer is None and custom.loss is None and set_up is None and backend == "tensorflow"
    if is_ours and _compiled.get(trained) == layers:
        optimizer: Any = trained.optimizer
        for variable in optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        optimizer.learning_rate = learning_rate
        return
    optimizer = custom.optimizer_at(learning_rate)
    if set_up:
        set_up(optimizer, trained.trainable_variables)
    trained.compile(
        optimizer=optimizer,
        loss=custom.loss_or_default,
        metrics=["accuracy"],
        # A step of the head alone is shorter than the call that starts it, so a call makes several.
        steps_per_execution=HEAD_STEPS if len(trained.input_shape) == 2 and backend != "torch" else 1,
        # XLA makes TensorFlow's convolutions four times slower on a CPU; JAX can't do without it.
        jit_compile=backend == "jax",  # pyright: ignore[reportArgumentType]
    )
    if is_ours:
        _build(trained)
        _compiled[trained] = layers
    else:
        _compiled.pop(trained, None)


def _build(trained: keras.Model) -> None:
    """Make what a compiled model keeps beside its weights; TensorFlow traces a step twice that makes anything."""
    trained.optimizer.build(trained.trainable_variables)
    first = np.zeros(1, "int32"), np.zeros((1, *trained.output_shape[1:]), "float32")
    trained.compute_metrics(None, *first)
    trained.reset_metrics()
