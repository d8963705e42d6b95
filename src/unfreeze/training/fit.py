"""`unfreeze.fit`: Keras's `fit` for any model with frozen layers, which run once a photo."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import keras

from unfreeze.data.cache_folder import cache_folder
from unfreeze.errors import UnfreezeError
from unfreeze.features.activations import Activations
from unfreeze.features.any_model import CutError, halve
from unfreeze.features.engine import Engine
from unfreeze.progress import Advance, reporting_to
from unfreeze.training.batches import Batches, Rows
from unfreeze.training.callbacks import EpochStart
from unfreeze.training.epochs import EpochBatches, epochs_of
from unfreeze.training.fit_data import ArrayPhotos, Labelled, Photos, in_arrays, is_folder, open_data, open_folder
from unfreeze.training.stand_in import TrainedPart, fit_in_place

PASSED_ON = ("class_weight", "validation_freq")
"""Arguments of Keras's `fit` that mean the same for a part of the model."""


def fit(
    model: keras.Model,
    data: Any,
    y: Any = None,
    *,
    epochs: int = 1,
    callbacks: Any = None,
    validation_data: Any = None,
    batch_size: int = 32,
    shuffle: bool = True,
    seed: int = 0,
    initial_epoch: int = 0,
    verbose: Any = "auto",
    sample_weight: Any = None,
    precision: Literal["float32", "float16"] = "float32",
    **others: Any,
) -> keras.callbacks.History:
    """Train a model as `model.fit` does, but run its frozen layers once a photo, in the fastest engine there is.

    What frozen layers make of a photo is kept on disk, named by the photo's content and the layers' weights: later
    calls find it again. The model ends up as after `model.fit`, its optimizer included, and callbacks see all of it.
    Where frozen layers can't run beforehand, a warning says why and `model.fit` is called.

    Layers that were called with `training=False`, mostly as a whole backbone, stay in inference mode. (Keras 3.15's
    own `fit` runs them in training mode; that shows where they are Dropout, or BatchNormalization that isn't frozen.)

    Args:
        model: compiled; Functional or Sequential with one input, and frozen layers at its beginning.
        data: a folder of class folders (its train photos if it has splits; pixels from 0 to 255 at the model's input
            size, classes numbered in the order of their sorted names), photos with labels `(x, y)` or
            `(x, y, sample_weight)`, photos alone with `y` beside them, or a `tf.data.Dataset` or other iterable of
            such batches, gone through once an epoch as Keras does.
        y: labels, where `data` is an array of photos.
        epochs: number of the last epoch.
        callbacks: Keras callbacks.
        validation_data: in any of the forms of `data`; of a folder with splits the validation photos. Batches are read
            once.
        batch_size: photos a step, where `data` doesn't come in batches.
        shuffle: draw a new order each epoch, where `data` doesn't come in batches.
        seed: draws these orders.
        initial_epoch: epochs that are done already.
        verbose: as in `model.fit`; 0 is silent.
        sample_weight: weights of the photos in the loss, where `data` is an array.
        precision: of what is kept. `float16` takes half the disk and changes losses in the third or fourth digit.
        others: further arguments of `model.fit`. With others than `class_weight` and `validation_freq`, `model.fit`
            is called.

    Returns:
        Keras's History.

    Raises:
        UnfreezeError: the model isn't compiled, or a folder can't be used.
    """
    if not model.compiled:
        raise UnfreezeError(
            f"{model.name} isn't compiled. Call model.compile(optimizer=..., loss=..., metrics=[...]) before."
        )
    if precision not in ("float32", "float16"):
        raise UnfreezeError(f"precision is {precision!r}. It can be 'float32' or 'float16'.")
    order = seed if shuffle else None
    called = keras.tree.flatten(callbacks) if callbacks else []
    settings = {"epochs": epochs, "initial_epoch": initial_epoch, "verbose": verbose, **others}
    with _shown(verbose):
        if is_folder(data):
            data = open_folder(data, model, "train")
        if is_folder(validation_data):
            validation_data = open_folder(validation_data, model, "val", getattr(data, "classes", None))
        try:
            _ensure_passed_on(others)
            halves = halve(model)
            rows_of = _frozen_rows(halves.prefix, precision)
            batches = EpochBatches(
                epochs_of(open_data(data, y, sample_weight), rows_of, batch_size, order), initial_epoch
            )
            validation = None
            if validation_data is not None:
                validation = EpochBatches(epochs_of(open_data(validation_data), rows_of, batch_size, None))
        except CutError as reason:
            warnings.warn(f"{model.name} is trained by Keras's own fit, because {reason}.", stacklevel=2)
        else:
            return fit_in_place(model, TrainedPart(model, halves.suffix), batches, validation, called, **settings)

        if isinstance(validation_data, Labelled):
            validation_data = Batches(validation_data.photos, validation_data.labels, batch_size)
        settings |= {"validation_data": validation_data, "shuffle": shuffle}
        if isinstance(data, Labelled):
            plain_batches = Batches(data.photos, data.labels, batch_size, order, initial_epoch)
            settings["shuffle"] = False
            return model.fit(plain_batches, callbacks=[EpochStart(plain_batches), *called], **settings)
        if arrays := in_arrays(data, y, sample_weight):
            x, y, sample_weight = arrays
            return model.fit(x, y, batch_size, sample_weight=sample_weight, callbacks=called, **settings)
        return model.fit(data, callbacks=called, **settings)


def _ensure_passed_on(others: dict[str, Any]) -> None:
    if unknown := [name for name, value in others.items() if name not in PASSED_ON and value]:
        raise CutError(f"the argument {unknown[0]} was given")


def _frozen_rows(prefix: keras.Model, precision: str) -> Callable[[Photos], Rows]:
    """Give what computes a model's frozen layers on photos, or finds what they gave on disk."""
    cache = cache_folder()
    engine = Engine(prefix, cache / "engines")

    def rows_of(photos: Photos) -> Rows:
        if isinstance(photos, ArrayPhotos) and photos.array.shape[1:] != prefix.input_shape[1:]:
            raise CutError(f"the photos are {photos.array.shape[1:]}, but its input is {prefix.input_shape[1:]}")
        return Activations(photos, [engine], [True], precision, cache).compute()  # pyright: ignore[reportArgumentType]

    return rows_of


def _shown(verbose: Any) -> AbstractContextManager[None]:
    """Show what is said and how frozen layers get on, where Keras shows its own progress."""
    return nullcontext() if verbose == 0 else reporting_to(_Printed())


class _Printed:
    """Shows news and progress as Keras does."""

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        """Show a bar."""
        print(title)
        bar = keras.utils.Progbar(total, unit_name="photo")
        yield lambda steps: bar.add(steps)

    def say(self, message: str) -> None:
        """Print a line."""
        print(message)
