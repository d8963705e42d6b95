"""What a caller brings along that a recipe can't say: callbacks, an optimizer, a loss, a head."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from unfreeze.config import DEFAULT_LOSS, SOFT_LOSS, Regimen
from unfreeze.errors import RecipeError
from unfreeze.training.adam import adam


@dataclass(frozen=True)
class Custom:
    """A caller's own parts of training; what is None is unfreeze's.

    Attributes:
        callbacks: see the part of the model that is trained, which shares its weights with the whole.
        optimizer: one whose settings serve every phase with the phase's learning rate (a schedule is kept), or a
            function from learning rate to optimizer.
        loss: a name, a Keras loss or a function; `sparse` ones get class numbers, all others one-hot rows.
        head: a function from features [batch, channels] to probabilities [batch, classes], called once a model.
    """

    callbacks: Sequence[keras.callbacks.Callback] = ()
    optimizer: keras.optimizers.Optimizer | Callable[[float], keras.optimizers.Optimizer] | None = None
    loss: Any = None
    head: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        """Check what can be checked before anything runs."""
        for callback in self.callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                raise RecipeError(f"callbacks: {callback!r} is no keras.callbacks.Callback.")
        if self.optimizer is not None and (isinstance(self.optimizer, type) or not _is_optimizer(self.optimizer)):
            raise RecipeError(
                f"optimizer is {self.optimizer!r}. Give a Keras optimizer, or a function from learning rate to one."
            )
        if self.head is not None and not callable(self.head):
            raise RecipeError(f"head is {self.head!r}. Give a function from feature tensor to output tensor.")

    def optimizer_at(self, learning_rate: float) -> keras.optimizers.Optimizer:
        """Give a new optimizer for a phase."""
        if self.optimizer is None:
            return adam(learning_rate)
        if not isinstance(self.optimizer, keras.optimizers.Optimizer):
            return self.optimizer(learning_rate)
        settings: dict[str, Any] = self.optimizer.get_config()
        if not isinstance(settings["learning_rate"], dict):
            settings["learning_rate"] = learning_rate
        return type(self.optimizer).from_config(settings)

    @property
    def loss_or_default(self) -> Any:
        """The loss to compile with."""
        return DEFAULT_LOSS if self.loss is None else self.loss

    def labels(self, numbers: np.ndarray, class_count: int) -> np.ndarray:
        """Give labels in the form that the loss takes: class numbers [photos] or one-hot rows [photos, classes]."""
        return numbers if takes_class_numbers(self.loss_or_default) else np.eye(class_count, dtype="float32")[numbers]

    def softened(self, regimen: Regimen) -> "Custom":
        """Give the same with a loss that takes labels as the regimen makes them.

        Raises:
            RecipeError: the caller's own loss takes class numbers.
        """
        if not regimen.needs_soft_labels or not takes_class_numbers(self.loss_or_default):
            return self
        if self.loss is not None:
            key = "mixup" if regimen.mixup else "label_smoothing"
            raise RecipeError(
                f"The loss {self.loss!r} takes class numbers, and `{key}` makes photos belong to several classes. Take "
                "one for one-hot rows, such as categorical_crossentropy, or leave the key out."
            )
        return replace(self, loss=SOFT_LOSS)

    def described(self) -> dict[str, Any]:
        """Name what changes a run's result, for its `config.yaml`; empty where nothing is the caller's own."""
        parts = {
            "callbacks": [type(callback).__name__ for callback in self.callbacks] or None,
            "optimizer": _described(self.optimizer),
            "loss": _described(self.loss),
            "head": _described(self.head),
        }
        return {name: part for name, part in parts.items() if part is not None}


def takes_class_numbers(loss: Any) -> bool:
    """Whether a loss takes class numbers rather than one-hot rows: Keras's such losses have `sparse` in their name."""
    return "sparse" in (loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", "")))


def _is_optimizer(given: Any) -> bool:
    return isinstance(given, keras.optimizers.Optimizer) or callable(given)


def _described(part: Any) -> Any:
    """Describe an object by its settings, a function by its name and a hash of its code."""
    if part is None or isinstance(part, str):
        return part
    if hasattr(part, "get_config"):
        settings = {key: value for key, value in part.get_config().items() if key != "learning_rate"}
        return {"class": type(part).__name__, **json.loads(json.dumps(settings, default=str))}
    name = f"{getattr(part, '__module__', '')}.{getattr(part, '__qualname__', type(part).__name__)}"
    code = getattr(part, "__code__", None)
    if code is None:
        return name
    constants = [each for each in code.co_consts if not hasattr(each, "co_code")]  # inner functions have addresses
    content = f"{code.co_code.hex()} {code.co_names} {constants}"
    return f"{name} {hashlib.sha256(content.encode()).hexdigest()[:16]}"
