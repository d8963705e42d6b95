"""What a recipe's regimen makes of an optimizer: rates by depth and over time, weight decay, averaged weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from unfreeze.config import Regimen
from unfreeze.errors import RecipeError
from unfreeze.models.blocks import depths


def follow(
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    regimen: Regimen,
    backbone: keras.Model,
    epochs: int,
    steps: int,
) -> None:
    """Make an optimizer follow a regimen.

    Args:
        optimizer: any of Keras's kind, not built yet; changed in place.
        variables: that will be trained.
        regimen: what the optimizer should do.
        backbone: tells how deep a weight lies; other weights are the head's.
        epochs: of the phase.
        steps: of the phase.

    Raises:
        RecipeError: the optimizer has a setting of its own for what the regimen wants.
    """
    inner: Any = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss for float16
    if regimen.warmup or regimen.schedule != "constant":
        if not isinstance(inner._learning_rate, keras.Variable):
            raise _twice("a schedule", "warmup" if regimen.warmup else "schedule")
        warm = round(steps / epochs * regimen.warmup)
        rate = float(inner._learning_rate.numpy())
        inner.learning_rate = rate_over_time(rate, steps, warm, regimen.schedule)
    if regimen.weight_decay:
        if inner.weight_decay:
            raise _twice("a weight decay", "weight_decay")
        inner.exclude_from_weight_decay([variable for variable in variables if len(variable.shape) < 2])
        inner.weight_decay = regimen.weight_decay
    if regimen.ema:
        if inner.use_ema:
            raise _twice("averaged weights", "ema")
        inner.use_ema, inner.ema_momentum, inner.ema_overwrite_frequency = True, regimen.ema, None
    if regimen.layer_decay != 1 and backbone.trainable_variables:
        scale_steps(inner, step_factors(backbone, regimen.layer_decay))


def _twice(what: str, key: str) -> RecipeError:
    return RecipeError(f"The optimizer has {what} of its own, and the recipe has `{key}`. Leave one of them out.")


def rate_over_time(
    rate: float, steps: int, warm: int, schedule: str
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Give Keras's schedule of a phase's learning rate.

    Args:
        rate: the highest.
        steps: of the phase.
        warm: the first of them, in which the rate rises evenly from 0.
        schedule: `constant` stays there; `cosine` falls to 0 with the last step, as half a wave of the cosine does (I.
            Loshchilov and F. Hutter, arXiv 1608.03983).
    """
    schedules = keras.optimizers.schedules
    if schedule == "constant":
        return schedules.PolynomialDecay(0.0, max(warm, 1), end_learning_rate=rate)
    if warm:
        return schedules.CosineDecay(0.0, max(steps - warm, 1), warmup_target=rate, warmup_steps=warm)
    return schedules.CosineDecay(rate, steps)


def step_factors(backbone: keras.Model, decay: float) -> dict[int, float]:
    """Give how much smaller each of a backbone's weights' steps are: id of the variable -> `decay` to its depth."""
    return {
        id(variable): decay**depth
        for layer, depth in zip(backbone.layers, depths(backbone), strict=True)
        for variable in layer.variables
    }


def scale_steps(optimizer: Any, factors: Mapping[int, float]) -> None:
    """Make an optimizer's steps smaller for some variables.

    The step itself is scaled, weight decay included, so it is as if these had a smaller learning rate, whatever the
    optimizer does. (Scaled gradients would not do: Adam's steps don't depend on the gradient's size.)

    Args:
        optimizer: of any kind; changed in place.
        factors: id of a variable -> factor; 1 for those that are not named.
    """
    kind: Any = type(optimizer)

    class Scaled(kind):
        def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
            with _scaled(variables, factors):
                super()._apply_weight_decay(variables)

        def _backend_update_step(self, grads: Any, trainable_variables: Sequence[Any], learning_rate: Any) -> None:
            with _scaled(trainable_variables, factors):
                super()._backend_update_step(grads, trainable_variables, learning_rate)

    optimizer.__class__ = Scaled


@contextmanager
def _scaled(variables: Sequence[Any], factors: Mapping[int, float]) -> Iterator[None]:
    """Let what changes variables inside the block change them by so much less."""
    kept = [
        (variable, factor, (1 - factor) * variable)
        for variable in variables
        if (factor := factors.get(id(variable), 1.0)) != 1
    ]
    yield
    for variable, factor, share in kept:
        variable.assign(share + factor * variable)


def averaging() -> list[keras.callbacks.Callback]:
    """Give the callbacks that show averaged weights wherever others look: one to come first, one to come last."""
    averages = _AveragesIn()
    return [averages, _AveragesOut(averages)]


class _AveragesIn(keras.callbacks.Callback):
    """Puts the averaged weights into the model for all that looks at it at the end of an epoch; comes first.

    Keras's own SwapEMAWeights adds and subtracts, which changes bits, and leaves other weights where training stops
    early.
    """

    def __init__(self) -> None:
        super().__init__()
        self._are_in = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Begin with the weights that are trained."""
        self._are_in = False

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Validate the averages."""
        self.put(True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the averages to the callbacks that follow, where nothing was validated."""
        self.put(True)

    def put(self, averages: bool) -> None:
        """Exchange the averages and the weights that are trained, if the others are in the model."""
        if averages == self._are_in:
            return
        self._are_in = averages
        model: Any = self.model
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        pairs = zip(optimizer._trainable_variables, optimizer._model_variables_moving_average, strict=True)
        for weight, average in pairs:
            trained = np.array(keras.ops.convert_to_numpy(weight))
            weight.assign(average)
            average.assign(trained)


class _AveragesOut(keras.callbacks.Callback):
    """Puts back the weights that are trained; comes after all that looks at the averages."""

    def __init__(self, averages: _AveragesIn):
        super().__init__()
        self._averages = averages

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Go on with training."""
        self._averages.put(False)


def early_stopping(patience: int) -> keras.callbacks.EarlyStopping:
    """Give what ends a phase after so many epochs without a lower validation loss, and puts its best weights back."""
    return keras.callbacks.EarlyStopping("val_loss", patience=patience, mode="min", restore_best_weights=True)
