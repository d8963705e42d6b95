"""Photos as a network takes them in: the right pixels, the right view, and names that tell them apart."""

from pathlib import Path

import numpy as np
import pytest

from unfreeze.config import Augmentation
from unfreeze.data.catalog import Photo
from unfreeze.data.inputs import Pixels
from unfreeze.data.store import RowStore
from unfreeze.data.views import make_view

SIZE = 8
AUGMENT = Augmentation(flip="horizontal", rotation=0.2)
HASHES = [f"{number:064x}" for number in range(6)]
PHOTOS = [Photo(f"{sha}.png", Path(f"{sha}.png"), "a", None, "a", sha, sha, SIZE, SIZE) for sha in HASHES]


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def store(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> RowStore:
    store = RowStore(tmp_path_factory.mktemp("pixels") / "v1-8-squash", (SIZE, SIZE, 3), np.uint8)
    with store.writer() as writer:
        for number in (3, 0, 5, 1, 4, 2):  # not in the photos' order
            writer.add(HASHES[number], pixels[number])
    return store


def test_without_augmentation_rows_are_the_stored_pixels(store: RowStore, pixels: np.ndarray) -> None:
    photos = Pixels(store, PHOTOS)
    assert len(photos) == 6
    assert photos.views == 1
    for epoch in (0, 3):
        rows = photos.take(np.array([4, 0, 4]), epoch)
        assert rows.dtype == np.uint8
        np.testing.assert_array_equal(rows, pixels[[4, 0, 4]])


def test_photos_are_numbered_in_their_given_order(store: RowStore, pixels: np.ndarray) -> None:
    photos = Pixels(store, [PHOTOS[5], PHOTOS[2]])
    np.testing.assert_array_equal(photos.take(np.array([0, 1])), pixels[[5, 2]])
    assert photos.keys(0) == [HASHES[5], HASHES[2]]


def test_each_epoch_has_its_own_view_of_each_photo(store: RowStore, pixels: np.ndarray) -> None:
    photos = Pixels(store, PHOTOS, AUGMENT, view_seed=7, views=3)
    indices = np.array([1, 5])
    for epoch in range(7):
        expected = [make_view(pixels[i], AUGMENT, SIZE, 7, HASHES[i], epoch % 3) for i in indices]
        np.testing.assert_array_equal(photos.take(indices, epoch), expected)
    assert photos.seen == [0, 1, 2]
    assert Pixels(store, PHOTOS, AUGMENT, 7, 3, range(4, 6)).seen == [1, 2]
    assert np.abs(photos.take(indices, 0).astype(int) - photos.take(indices, 1)).max() > 50
    np.testing.assert_array_equal(store.read([HASHES[1]])[0], pixels[1])  # the store itself stays as it was


def test_keys_tell_everything_apart_that_changes_pixels(store: RowStore) -> None:
    other = AUGMENT.model_copy(update={"zoom": 0.1})
    kinds = [
        Pixels(store, PHOTOS),
        Pixels(store, PHOTOS, AUGMENT, 0, 5),
        Pixels(store, PHOTOS, AUGMENT, 1, 5),
        Pixels(store, PHOTOS, other, 0, 5),
    ]
    keys = [key for kind in kinds for view in range(kind.views) for key in kind.keys(view)]
    assert len(set(keys)) == len(keys) == 6 + 3 * 5 * 6
    stated = Pixels(store, PHOTOS, AUGMENT.model_copy(update={"views": 5}), 0, 5)
    assert stated.keys(0) == kinds[0].keys(0)  # the photos as they are
    np.testing.assert_array_equal(stated.take(np.arange(6), 0), kinds[0].take(np.arange(6), 0))
    assert kinds[1].keys(2, np.array([3, 1])) == [kinds[1].keys(2)[3], kinds[1].keys(2)[1]]


def test_keys_do_not_depend_on_how_many_views_there_are(store: RowStore) -> None:
    few, many = (
        Pixels(store, PHOTOS, AUGMENT.model_copy(update={"views": count}), 0, count or 9) for count in (2, None)
    )
    assert few.keys(1) == many.keys(1)
    np.testing.assert_array_equal(few.take(np.arange(6), 1), many.take(np.arange(6), 1))


def test_a_photo_that_is_not_stored_is_an_error(store: RowStore) -> None:
    missing = Photo("x.png", Path("x.png"), "a", None, "a", "f" * 64, "f" * 64, SIZE, SIZE)
    with pytest.raises(KeyError, match="f" * 64):
        Pixels(store, [*PHOTOS, missing])
