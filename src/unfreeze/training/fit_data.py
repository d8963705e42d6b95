"""What `fit` takes as data: a folder of photos, arrays, or batches that come anew every epoch."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from unfreeze import progress
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import Photo, pixel_store, scan
from unfreeze.data.checkup import ensure_usable
from unfreeze.data.inputs import Pixels
from unfreeze.data.sources import SplitName, open_source
from unfreeze.data.splits import class_index
from unfreeze.errors import DataError, UnfreezeError

RESIZE = "squash"


class Photos(Protocol):
    """Photos that frozen layers can run on, each named by its content."""

    views: int
    name: str

    def __len__(self) -> int:
        """Count the photos."""
        ...

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos: [len(indices), height, width, channels]."""
        ...

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Name photos, so that what is computed from them can be found again."""
        ...


@dataclass(frozen=True)
class Labelled:
    """Photos with labels, to be taken in any order.

    Attributes:
        photos: the photos.
        labels: array with an entry a photo, or a structure of such arrays.
        weights: of the photos in the loss, likewise, or None.
        classes: names of the classes that `labels` number, where they are known.
    """

    photos: Photos
    labels: Any
    weights: Any = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Stream:
    """Batches of photos and labels that come in the data set's own order, anew every epoch."""

    batches: Iterable[Any]

    def __iter__(self) -> Iterator[Labelled]:
        """Go once through the data set.

        Raises:
            ValueError: a batch is something else than photos with labels (and weights), all of one length.
        """
        for batch in self.batches:
            yield labelled(*batch) if isinstance(batch, tuple | list) and len(batch) in (2, 3) else _no_batch(batch)


class ArrayPhotos:
    """Photos in memory.

    Args:
        array: [photos, height, width, channels].
    """

    views = 1
    name = "arrays"

    def __init__(self, array: np.ndarray):
        self.array = array
        self._keys: list[str] = []

    def __len__(self) -> int:
        return len(self.array)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos."""
        return self.array[indices]

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Name photos by their numbers."""
        if not self._keys:
            kind = f"{self.array.dtype} {self.array.shape[1:]} ".encode()
            self._keys = [hashlib.sha256(kind + photo.tobytes()).hexdigest() for photo in self.array]
        return self._keys if indices is None else [self._keys[index] for index in indices]


class KnownPhotos:
    """Photos of which nothing but the names is at hand: what frozen layers made of them is on disk."""

    views = 1
    name = ArrayPhotos.name

    def __init__(self, keys: Sequence[str]):
        self._keys = list(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Nothing to give."""
        raise UnfreezeError(
            "The activations of this epoch's first photos went out of the cache before its last ones were computed: "
            "the cache's limit is too small for the data. See `unfreeze cache`."
        )

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Name photos."""
        return self._keys if indices is None else [self._keys[index] for index in indices]


def labelled(photos: Any, labels: Any, weights: Any = None) -> Labelled:
    """Bring arrays of any library to NumPy, numbers with a point to Keras's own precision, as Keras's `fit` does.

    Raises:
        ValueError: they are no arrays, or not of one length.
    """
    array = _array(photos)
    targets = keras.tree.map_structure(_array, (labels, weights))
    for target in keras.tree.flatten(targets):
        if target is not None and target.shape[:1] != array.shape[:1]:
            raise ValueError(f"there are {len(array)} photos, but labels or weights of shape {target.shape}")
    return Labelled(ArrayPhotos(array), *targets)


def labelled_folder(
    data: str | os.PathLike[str], model: keras.Model, wanted: SplitName, classes: tuple[str, ...] | None = None
) -> Labelled:
    """Open a folder of class folders; what a person should know about it is said.

    Args:
        data: the folder. If it has splits, the photos of one of them are used.
        model: gives the size of the photos and, by its loss, the form of the labels: one-hot where the loss is a
            categorical one, class numbers elsewhere.
        wanted: which split, `train` or `val`.
        classes: names in the order of their numbers; by default the folder's own, sorted.

    Raises:
        DataError: there is no such folder, or it is not what the model can be trained on.
    """
    path = Path(data).expanduser()
    if not path.is_dir():
        raise DataError(f"{data} is no folder. Give a folder of class folders, arrays (x, y), or batches of both.")
    size = _image_size(model, path)
    source, store = open_source(path), pixel_store(cache_folder(), size, RESIZE)
    catalog = scan(source, store, size, RESIZE)
    if classes is None:
        ensure_usable(catalog, None, allow_bad=False)
    elif unknown := sorted(set(catalog.classes) - set(classes)):
        raise DataError(f"{path} has classes that the training photos don't have: {', '.join(unknown)}.")
    if catalog.bad:
        progress.say(f"{len(catalog.bad)} files of {path} are no usable photos, such as {catalog.bad[0].path}.")
    photos = [photo for photo in catalog.photos if photo.split in (None, wanted)]
    if not photos:
        raise DataError(f"{path} has the splits {', '.join(sorted(catalog.given))}, but no photos in {wanted}.")
    classes = classes or catalog.classes
    return Labelled(Pixels(store, photos), _labels(photos, classes, model), classes=classes)


def _labels(photos: Sequence[Photo], classes: Sequence[str], model: keras.Model) -> np.ndarray:
    numbers = np.array([class_index(classes)[photo.label] for photo in photos], np.int32)
    outputs = model.output_shape[-1] if len(model.outputs) == 1 else 0
    if outputs < len(classes) and (outputs, len(classes)) != (1, 2):
        raise DataError(
            f"The photos have {len(classes)} classes ({', '.join(classes)}), but {model.name} gives "
            f"{model.output_shape}. Build it with {len(classes)} outputs."
        )
    loss = model.loss if isinstance(model.loss, str) else getattr(model.loss, "name", getattr(model.loss, "__name__", ""))
    is_sparse = outputs == 1 or "sparse" in str(loss)
    return numbers if is_sparse else np.eye(outputs, dtype="float32")[numbers]


def _image_size(model: keras.Model, path: Path) -> int:
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][0] != shapes[0][1] or shapes[0][2] != 3 or not shapes[0][0]:
        raise DataError(
            f"{model.name} takes {', '.join(map(str, shapes))}, but photos of a folder become RGB squares of a fixed "
            f"size. Read {path} with keras.utils.image_dataset_from_directory, and give what comes from it."
        )
    return shapes[0][0]


def _array(value: Any) -> Any:
    if value is None:
        return None
    array = np.asarray(value)
    if not array.shape or array.dtype == object:
        raise ValueError(f"{value!r:.80} is no array")
    return array.astype(keras.backend.floatx(), copy=False) if np.issubdtype(array.dtype, np.floating) else array


def _no_batch(batch: Any) -> Labelled:
    raise ValueError(f"its batches are no pairs of photos and labels, but {type(batch).__name__}")
