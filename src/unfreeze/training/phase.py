"""One phase of training: freeze, compile, fit."""

from collections.abc import Sequence

import keras

from unfreeze.models.classifier import backbone_of
from unfreeze.models.unfreezing import freeze
from unfreeze.training.batches import Batches
from unfreeze.training.callbacks import EpochStart
from unfreeze.training.custom import Custom

HEAD_STEPS = 8
"""Training steps a call where only a head on feature vectors is trained."""


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
    """
    custom = custom or Custom()
    freeze(backbone_of(classifier), unfrozen)
    backend = keras.backend.backend()
    trained.compile(
        optimizer=custom.optimizer_at(learning_rate),
        loss=custom.loss_or_default,
        metrics=["accuracy"],
        # A step of the head alone is shorter than the call that starts it, so a call makes several.
        steps_per_execution=HEAD_STEPS if len(trained.input_shape) == 2 and backend != "torch" else 1,
        # XLA makes TensorFlow's convolutions four times slower on a CPU; JAX can't do without it.
        jit_compile=backend == "jax",  # pyright: ignore[reportArgumentType]
    )
    trained.fit(
        batches,
        validation_data=validation,
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        callbacks=[EpochStart(batches), *callbacks, *custom.callbacks],
        shuffle=False,
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
