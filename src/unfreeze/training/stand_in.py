"""Training a part of a model in its place: with its optimizer, loss, metrics, and callbacks that see the whole."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from unfreeze.training.epochs import EpochBatches

COMPILED = ("_compile_loss", "_compile_metrics", "_loss_tracker")
"""Attributes of a compiled model that hold its loss and metrics."""


class TrainedPart(keras.Model):
    """The part of a model that is trained, compiled as the whole.

    Optimizer, loss and metrics are the whole model's own objects. Its trained variables stand in the whole model's
    order, as an optimizer goes by it.

    Args:
        whole: compiled.
        suffix: the last part of it, sharing all trained weights.
    """

    def __init__(self, whole: keras.Model, suffix: keras.Model):
        super().__init__(name=f"{whole.name}_trained_part")
        self.suffix = suffix
        self._places = {id(variable): place for place, variable in enumerate(whole.trainable_variables)}
        self.compile(
            optimizer=whole.optimizer,
            loss=whole.loss,
            run_eagerly=whole.run_eagerly,
            steps_per_execution=whole.steps_per_execution,
            jit_compile=whole.jit_compile,  # pyright: ignore[reportArgumentType]
            auto_scale_loss=False,  # the optimizer scales it where that was asked for
        )
        # Keras has no public way to compile with what was compiled; set as attributes, metrics would be counted twice.
        self.__dict__.update({name: getattr(whole, name) for name in COMPILED})

    def call(self, rows: Any, training: bool | None = None) -> Any:
        """Run the part on rows as an engine gives them: several tensors are laid end to end in one row."""
        shapes = [tensor.shape[1:] for tensor in self.suffix.inputs]
        if len(shapes) == 1:
            return self.suffix(rows, training=training)
        pieces, start = [], 0
        for shape in shapes:
            pieces.append(keras.ops.reshape(rows[:, start : start + math.prod(shape)], (-1, *shape)))
            start += math.prod(shape)
        return self.suffix(pieces, training=training)

    @property
    def trainable_variables(self) -> list[Any]:
        """Trained variables in the whole model's order."""
        return sorted(super().trainable_variables, key=lambda variable: self._places[id(variable)])

    @property
    def trainable_weights(self) -> list[Any]:
        """The same variables: Keras uses both names."""
        return self.trainable_variables


def fit_in_place(
    whole: keras.Model,
    trained: TrainedPart,
    batches: EpochBatches,
    validation: EpochBatches | None,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
    verbose: Any,
    **others: Any,
) -> keras.callbacks.History:
    """Run `fit` on the trained part of a model as if it ran on the whole.

    Args:
        whole: what callbacks see and the History belongs to.
        trained: what is trained.
        batches: training rows with labels.
        validation: validation rows with labels, or None.
        callbacks: of Keras.
        epochs: as in Keras's `fit`.
        verbose: as in Keras's `fit`.
        others: further arguments of Keras's `fit`.
    """
    whole.stop_training = False
    seen = keras.callbacks.CallbackList(
        [*callbacks, _InStep(whole, trained, batches)],
        add_history=True,
        add_progbar=verbose != 0,
        model=whole,
        verbose=verbose,
        epochs=epochs,
        steps=len(batches),
    )
    trained.history = whole.history
    has_jax_state = hasattr(whole, "jax_state_sync")
    if has_jax_state:  # callbacks ask for it before they look at weights; these are with the trained part
        whole.jax_state_sync = trained.jax_state_sync
    try:
        return trained.fit(
            batches,
            validation_data=validation,
            callbacks=seen,  # pyright: ignore[reportArgumentType]
            epochs=epochs,
            shuffle=False,
            verbose=verbose,
            **others,
        )
    finally:
        if has_jax_state:
            del whole.jax_state_sync


class _InStep(keras.callbacks.Callback):
    """Passes on to the trained part what callbacks before it asked of the whole model."""

    async_safe = True

    def __init__(self, whole: keras.Model, trained: keras.Model, batches: EpochBatches):
        super().__init__()
        self._whole, self._trained, self._batches = whole, trained, batches

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin where BackupAndRestore found the training interrupted."""
        self._trained._initial_epoch = self._whole._initial_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Go on to the epoch's own batches."""
        self._batches.start(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if that was asked for."""
        self._trained.stop_training = self._whole.stop_training

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Stop if that was asked for."""
        self._trained.stop_training = self._whole.stop_training
