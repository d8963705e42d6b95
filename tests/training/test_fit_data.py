"""What `fit` takes: arrays as Keras takes them, folders in the form that a model's loss wants."""

from pathlib import Path

import keras
import numpy as np
import pytest

from unfreeze.errors import DataError, UnfreezeError
from unfreeze.features.any_model import CutError
from unfreeze.training.fit_data import ArrayPhotos, KnownPhotos, Labelled, open_data, open_folder

PHOTOS = np.arange(4 * 12, dtype="uint8").reshape(4, 2, 2, 3)
LABELS = np.array([0, 1, 1, 0])


def model(outputs=2, loss="sparse_categorical_crossentropy", size=32):
    photo = keras.Input((size, size, 3))
    x = keras.layers.Dense(outputs)(keras.layers.GlobalAveragePooling2D()(photo))
    built = keras.Model(photo, x, name="own")
    built.compile("sgd", loss)
    return built


def copy_photos(solar_cells: Path, folder: Path, label: str, start: int, stop: int, source: str | None = None):
    (folder / label).mkdir(parents=True, exist_ok=True)
    for file in sorted((solar_cells / (source or label)).iterdir())[start:stop]:
        (folder / label / file.name).write_bytes(file.read_bytes())


@pytest.fixture
def splits(solar_cells, tmp_path):
    """A folder with 3, 2 and 1 photos a class to train, validate and test on."""
    for split, start, stop in (("train", 0, 3), ("val", 3, 5), ("test", 5, 6)):
        for label in ("defective", "functional"):
            copy_photos(solar_cells, tmp_path / "splits" / split, label, start, stop)
    return tmp_path / "splits"


def test_numbers_with_a_point_become_keras_own():
    opened = open_data(PHOTOS.astype("float64"), LABELS.astype("float16"), np.ones(4))
    assert isinstance(opened, Labelled)
    assert opened.photos.take(np.arange(4)).dtype == opened.labels.dtype == opened.weights.dtype == "float32"
    assert open_data(PHOTOS, LABELS).labels.dtype == LABELS.dtype


def test_photos_are_named_by_their_content():
    names = ArrayPhotos(PHOTOS).keys(0)
    assert len(set(names)) == 4
    assert ArrayPhotos(PHOTOS[::-1]).keys(0) == names[::-1]
    assert ArrayPhotos(PHOTOS).keys(0, np.array([2])) == names[2:3]
    assert ArrayPhotos(PHOTOS).some([1, 3]).keys(0) == [names[1], names[3]]
    for other in (PHOTOS.astype("int8"), PHOTOS.reshape(4, 4, 1, 3), PHOTOS + np.uint8(1)):
        assert not set(ArrayPhotos(other).keys(0)) & set(names)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (iter([]), r"its data \(list_iterator\) can't be read a second time"),
        (7, r"its data \(int\) can't be read a second time"),
        ((PHOTOS, LABELS[:3]), r"there are 4 photos, but labels or weights of shape \(3,\)"),
        ((PHOTOS, LABELS, np.ones(3)), r"there are 4 photos, but labels or weights of shape \(3,\)"),
        (PHOTOS, "its photos have no labels"),
        ((PHOTOS, "names"), "its data holds no array, but str"),
        ((PHOTOS, [None, 1, "a", object()]), "its data holds no array, but int"),
    ],
)
def test_what_is_no_photos_with_labels(data, reason):
    with pytest.raises(CutError, match=f"^{reason}$"):
        open_data(data)


@pytest.mark.parametrize("batch", [{"x": PHOTOS}, (PHOTOS, LABELS, LABELS, LABELS), (PHOTOS,)])
def test_batches_that_are_no_pairs(batch):
    with pytest.raises(CutError, match=f"doesn't come in pairs of photos and labels, but as {type(batch).__name__}"):
        list(open_data([batch]))


def test_data_without_end():
    class Endless(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return PHOTOS, LABELS

    with pytest.raises(CutError, match="its data has no end"):
        open_data(Endless())
    tf = pytest.importorskip("tensorflow")
    with pytest.raises(CutError, match="its data has no end"):
        open_data(tf.data.Dataset.from_tensors((PHOTOS, LABELS)).repeat())


def test_photos_that_left_the_cache():
    with pytest.raises(UnfreezeError, match=r"cache's limit is too low for this data\. `unfreeze cache` shows it\."):
        KnownPhotos(["a"]).take(np.arange(1))


@pytest.mark.parametrize(
    ("outputs", "loss", "labels"),
    [
        (2, "sparse_categorical_crossentropy", [0, 0, 0, 1, 1, 1]),
        (5, keras.losses.SparseCategoricalCrossentropy(from_logits=True), [0, 0, 0, 1, 1, 1]),
        (1, "binary_crossentropy", [0, 0, 0, 1, 1, 1]),
        (2, "categorical_crossentropy", [[1, 0]] * 3 + [[0, 1]] * 3),
        (2, keras.losses.CategoricalFocalCrossentropy(), [[1, 0]] * 3 + [[0, 1]] * 3),
        (2, keras.losses.mean_squared_error, [[1, 0]] * 3 + [[0, 1]] * 3),
    ],
)
def test_labels_of_a_folder_have_the_form_that_the_loss_wants(outputs, loss, labels, splits):
    opened = open_folder(splits, model(outputs, loss), "train")
    assert opened.labels.tolist() == labels
    assert opened.photos.take(np.arange(6)).shape == (6, 32, 32, 3)


def test_splits_of_a_folder(splits, solar_cells):
    assert len(open_folder(str(splits), model(), "train").photos) == 6
    assert len(open_folder(splits, model(), "val").photos) == 4
    assert len(open_folder(solar_cells, model(), "train").photos) == 80
    (splits / "val").rename(splits / "other")
    with pytest.raises(DataError, match="splits has the splits test, train, but no photos in val"):
        open_folder(splits, model(), "val")


def test_validation_classes_are_numbered_as_in_training(solar_cells, tmp_path):
    copy_photos(solar_cells, tmp_path / "validation", "functional", 0, 2)
    opened = open_folder(tmp_path / "validation", model(), "val", ("defective", "functional"))
    assert opened.labels.tolist() == [1, 1]
    copy_photos(solar_cells, tmp_path / "validation", "other", 0, 2, "defective")
    with pytest.raises(DataError, match="validation has classes that the training photos don't have: other"):
        open_folder(tmp_path / "validation", model(), "val", ("defective", "functional"))


def test_folders_that_do_not_fit_the_model(splits, tmp_path):
    with pytest.raises(DataError, match=r"nowhere is no folder\. Give a folder of class folders, arrays \(x, y\), or"):
        open_folder(tmp_path / "nowhere", model(), "train")
    with pytest.raises(
        DataError, match=r"classes \(defective, functional\), but own gives \[\(None, 2\), \(None, 2\)\]"
    ):
        open_folder(splits, two_heads(), "train")
    with pytest.raises(DataError, match=r"own gives \(None, 1\)\. Build it with 3 outputs\."):
        open_folder(splits, model(outputs=1), "train", ("a", "defective", "functional"))
    with pytest.raises(DataError, match=r"own takes \(None, None, 3\), but photos of a folder become RGB squares"):
        open_folder(splits, model(size=None), "train")


def two_heads():
    photo = keras.Input((32, 32, 3))
    x = keras.layers.GlobalAveragePooling2D()(photo)
    return keras.Model(photo, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)], name="own")
