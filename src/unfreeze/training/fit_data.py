"""What `fit` takes as data: a folder of photos, arrays, or batches that come anew every epoch."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import Photo, pixel_store, scan
from unfreeze.data.checkup import ensure_usable
from unfreeze.data.inputs import Pixels
from unfreeze.data.items import SplitName
from unfreeze.data.sources import open_source
from unfreeze.data.splits import class_index
from unfreeze.errors import DataError, UnfreezeError
from unfreeze.features.any_model import CutError
from unfreeze.progress import say
from unfreeze.training.custom import takes_class_numbers

RESIZE = "squash"


class Photos(Protocol):
    """Photos that frozen layers can run on, each named by its content."""

    views: int
    seen: Sequence[int]
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


class KnownPhotos:
    """Photos of which nothing but the names is at hand: what frozen layers made of them is on disk.

    Args:
        names: from their content.
    """

    views = 1
    seen: Sequence[int] = (0,)
    name = "arrays"

    def __init__(self, names: list[str]):
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Fail: they should not be needed."""
        raise UnfreezeError(
            "What frozen layers made of this epoch's first photos was deleted before its last ones were reached: the "
            "cache's limit is too low for this data. `unfreeze cache` shows it."
        )

    def keys(self, view: int, indices: np.ndarray | None = None) -> list[str]:
        """Give names of photos."""
        return self._names if indices is None else [self._names[index] for index in indices]


class ArrayPhotos(KnownPhotos):
    """Photos in memory.

    Args:
        array: [photos, height, width, channels].
        names: from their content, where they are known already.
    """

    def __init__(self, array: np.ndarray, names: list[str] | None = None):
        super().__init__(_names(array) if names is None else names)
        self.array = array

    def take(self, indices: np.ndarray, epoch: int = 0) -> np.ndarray:
        """Give these photos."""
        return self.array[indices]

    def some(self, indices: Sequence[int]) -> "ArrayPhotos":
        """Give some of the photos."""
        return ArrayPhotos(self.array[indices], [self._names[index] for index in indices])


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

    def __iter__(self) -> Iterator[tuple[ArrayPhotos, Any, Any]]:
        """Go once through the data set: photos, labels and weights of each batch.

        Raises:
            CutError: a batch is something else than photos with labels, and perhaps weights.
        """
        for batch in self.batches:
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise CutError(f"its data doesn't come in pairs of photos and labels, but as {type(batch).__name__}")
            yield _standard(*batch)
        if isinstance(self.batches, keras.utils.PyDataset):
            self.batches.on_epoch_end()


def open_data(data: Any, labels: Any = None, weights: Any = None) -> Labelled | Stream:
    """Open what is no folder.

    Args:
        data: as `fit` takes it, or an opened folder.
        labels: beside an array of photos.
        weights: beside an array of photos.

    Raises:
        CutError: it isn't photos with labels, or can't be gone through more than once.
    """
    if isinstance(data, Labelled):
        return data
    if arrays := in_arrays(data, labels, weights):
        return Labelled(*_standard(*arrays))
    if not isinstance(data, Iterable) or isinstance(data, Iterator):
        raise CutError(f"its data ({type(data).__name__}) can't be read a second time")
    if _is_endless(data):
        raise CutError("its data has no end")
    return Stream(data)


def is_folder(data: Any) -> bool:
    """Whether data is named by a path."""
    return isinstance(data, str | os.PathLike)


def in_arrays(data: Any, labels: Any = None, weights: Any = None) -> tuple[Any, Any, Any] | None:
    """Give photos, labels and weights if they come in arrays, else None.

    Args:
        data: an array of photos, or a tuple of photos, labels and perhaps weights, or something else.
        labels: beside an array of photos.
        weights: beside an array of photos.
    """
    if labels is not None or hasattr(data, "shape"):
        return data, labels, weights
    if isinstance(data, tuple) or (isinstance(data, list) and data and all(hasattr(part, "shape") for part in data)):
        photos, labels, weights, *_ = *data, None, None
        return photos, labels, weights
    return None


def open_folder(
    data: str | os.PathLike[str], model: keras.Model, wanted: SplitName, classes: tuple[str, ...] | None = None
) -> Labelled:
    """Open a folder of class folders.

    Args:
        data: the folder. If it has splits, the photos of one of them are used.
        model: gives the photos' size and, by its loss, the form of the labels: one-hot where the loss is a categorical
            one, class numbers elsewhere.
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
        say(f"{len(catalog.bad)} files of {path} are left out, such as {catalog.bad[0].path}: {catalog.bad[0].reason}.")
    photos = [photo for photo in catalog.photos if photo.split in (None, wanted)]
    if not photos:
        raise DataError(f"{path} has the splits {', '.join(sorted(catalog.given))}, but no photos in {wanted}.")
    classes = classes or catalog.classes
    return Labelled(Pixels(store, photos), _labels(photos, classes, model), classes=classes)


def _labels(photos: Sequence[Photo], classes: Sequence[str], model: keras.Model) -> np.ndarray:
    outputs = model.output_shape[-1] if len(model.outputs) == 1 else 0
    if outputs < len(classes) and (outputs, len(classes)) != (1, 2):
        raise DataError(
            f"The photos have {len(classes)} classes ({', '.join(classes)}), but {model.name} gives "
            f"{model.output_shape}. Build it with {len(classes)} outputs."
        )
    numbers = np.array([class_index(classes)[photo.label] for photo in photos], np.int32)
    return numbers if outputs == 1 or takes_class_numbers(model.loss) else np.eye(outputs, dtype="float32")[numbers]


def _image_size(model: keras.Model, path: Path) -> int:
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    sizes = {(size, size, 3) for size in shapes[0][:1] if size}
    if len(shapes) != 1 or shapes[0] not in sizes:
        raise DataError(
            f"{model.name} takes {', '.join(map(str, shapes))}, but photos of a folder become RGB squares of a fixed "
            f"size. Read {path} with keras.utils.image_dataset_from_directory, and give what comes of it."
        )
    return shapes[0][0]


def _standard(photos: Any, labels: Any, weights: Any = None) -> tuple[ArrayPhotos, Any, Any]:
    """Bring arrays of any library to NumPy, numbers with a point to Keras's own precision, as Keras's `fit` does."""
    array = _array(photos)
    beside: Any = keras.tree.map_structure(_array, (labels, weights))
    if array is None or labels is None:
        raise CutError("its photos have no labels")
    shapes = [values.shape for values in keras.tree.flatten(beside) if values is not None]
    if odd := [shape for shape in shapes if shape[0] != len(array)]:
        raise CutError(f"there are {len(array)} photos, but labels or weights of shape {odd[0]}")
    return ArrayPhotos(array), *beside


def _array(value: Any) -> Any:
    if value is None:
        return None
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.array(None)
    if not array.shape or array.dtype == object:
        raise CutError(f"its data holds no array, but {type(value).__name__}")
    return array.astype(keras.backend.floatx(), copy=False) if np.issubdtype(array.dtype, np.floating) else array


def _is_endless(data: Any) -> bool:
    if isinstance(data, keras.utils.PyDataset):
        return data.num_batches is None
    return hasattr(data, "cardinality") and int(data.cardinality()) == -1


def _names(array: np.ndarray) -> list[str]:
    kind = f"{array.dtype} {array.shape[1:]} ".encode()
    return [hashlib.sha256(kind + photo.tobytes()).hexdigest() for photo in array]
