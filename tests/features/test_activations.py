"""Activations are what the frozen layers make of the very photos and views at hand, computed once, never mixed up."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from tests.networks import assert_close

from unfreeze.config import Augmentation
from unfreeze.data import store as store_module
from unfreeze.data.inputs import Pixels
from unfreeze.data.store import RowStore
from unfreeze.errors import UnfreezeError
from unfreeze.features import activations as activations_module
from unfreeze.features import engine as engine_module
from unfreeze.features.activations import Activations
from unfreeze.features.engine import Engine

TURNS = Augmentation(flip="horizontal", rotation=0.2, zoom=0.2)
ALL = np.arange(20)
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def views(store, photos):
    """Give the photos in so many views; other arguments change which photos, and how they are changed."""

    def make(count=1, photos=photos, augment=TURNS, view_seed=0, store=store):
        return Pixels(store, photos, augment, view_seed, count)

    return make


@pytest.fixture
def block14(stages, tmp_path):
    """Give photos as the last block's input, cached in the test's own folder."""

    def compute(pixels, precision="float32", cache=tmp_path):
        return Activations(pixels, stages[:1], [True], precision, cache).compute()

    return compute


@pytest.fixture
def pooled(stages, tmp_path):
    """Give photos as pooled features, by way of the last block's input."""

    def compute(pixels, keep=True, precision="float16", cache=tmp_path):
        return Activations(pixels, stages, [keep, True], precision, cache).compute()

    return compute


def tiny_engine(folder, scale=1.0, size=64):
    """Build an engine that averages pixels, times `scale`."""
    photo = keras.Input((size, size, 3), name="photo")
    x = keras.layers.Rescaling(scale, name="rescaling")(photo)
    return Engine(keras.Model(photo, keras.layers.AveragePooling2D(16, name="mean")(x)), folder)


def scaling_engine(folder, scale):
    """Build an engine that goes on where `tiny_engine` ends."""
    mean = keras.Input((4, 4, 3), name="mean")
    return Engine(keras.Model(mean, keras.layers.Rescaling(scale, name="scaling")(mean)), folder)


def stored_keys(folder):
    return sum(len(store_of(folder, name)) for name in folder.glob("activations/*"))


def store_of(folder, name):
    """Open a folder of activations, whatever the shape of its rows."""
    rows = np.load(next(name.glob("[!.]*.npy")), mmap_mode="r")
    return RowStore(name, rows.shape[1:], rows.dtype)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_rows_are_the_networks_on_the_very_views(precision, views, block14, stages):
    pixels = views(3)
    rows = block14(pixels, precision)
    assert len(rows) == 20
    shuffled = np.random.default_rng(0).permutation(20)
    for epoch in range(3):
        expected = stages[0].run(pixels.take(ALL, epoch))
        actual = rows.take(ALL, epoch)
        assert actual.dtype == precision
        np.testing.assert_array_equal(actual, expected.astype(precision))
        in_keras = keras.ops.convert_to_numpy(stages[0].model(pixels.take(ALL, epoch), training=False))
        assert_close(actual.astype(np.float32), in_keras, 1e-3 if precision == "float16" else 1e-4)
        np.testing.assert_array_equal(rows.take(shuffled[:7], epoch), actual[shuffled[:7]])


def test_photos_as_they_are(views, block14, stages, pixels):
    rows = block14(views(augment=None))
    np.testing.assert_array_equal(rows.take(ALL), stages[0].run(pixels))
    np.testing.assert_array_equal(rows.take(ALL, epoch=5), rows.take(ALL))


def test_epochs_take_views_in_turn(views, block14):
    rows = block14(views(2))
    first, second = rows.take(ALL, 0), rows.take(ALL, 1)
    for index in range(20):
        assert np.abs(first[index] - second[index]).max() > 0.1 * np.abs(first[index]).max()
    for epoch in range(2, 6):
        np.testing.assert_array_equal(rows.take(ALL, epoch), (first, second)[epoch % 2])


def test_what_is_there_is_not_computed_again(views, block14, rows_run, tmp_path):
    first = block14(views(2))
    assert sum(rows_run) == 40
    again = block14(views(2))
    assert sum(rows_run) == 40
    np.testing.assert_array_equal(again.take(ALL, 1), first.take(ALL, 1))


def test_subsets_and_other_numbers_of_views_share_rows(views, photos, block14, rows_run):
    few = block14(views(1, photos[3:9]))
    assert sum(rows_run) == 6
    all_photos = block14(views(2))
    assert sum(rows_run) == 40
    np.testing.assert_array_equal(few.take(np.arange(6)), all_photos.take(np.arange(3, 9)))
    backwards = block14(views(1, photos[::-1]))
    assert sum(rows_run) == 40
    np.testing.assert_array_equal(backwards.take(ALL)[::-1], all_photos.take(ALL))


def test_the_same_file_twice_is_computed_once(views, photos, block14, tmp_path):
    rows = block14(views(1, [*photos[:3], photos[1]]))
    np.testing.assert_array_equal(rows.take(np.array([3])), rows.take(np.array([1])))
    assert stored_keys(tmp_path) == 3


def test_no_photos(views, stages, tmp_path, news):
    fresh = tiny_engine(tmp_path / "engines")
    for chain in (stages, [fresh]):
        rows = Activations(views(photos=[]), chain, [True] * len(chain), "float32", tmp_path).compute()
        assert len(rows) == 0
        assert len(rows.take(np.array([], np.int64))) == 0
    assert fresh.choice is None
    assert news == []


# Derivation by rule: what a row holds follows from the chain of stages, not from what the cache held.


def test_bits_do_not_depend_on_what_the_cache_held(views, block14, pooled, stages, photos, rows_run, tmp_path):
    pixels = views(2)
    kept = pooled(pixels, keep=True, cache=tmp_path / "kept")
    not_kept = pooled(pixels, keep=False, cache=tmp_path / "not kept")
    block14(pixels, "float16", cache=tmp_path / "there")
    block14(views(2, photos[5:12]), "float16", cache=tmp_path / "partly there")
    rows_run.clear()
    there = pooled(pixels, cache=tmp_path / "there")
    assert sum(rows_run) == 40  # the second stage alone
    partly_there = pooled(pixels, cache=tmp_path / "partly there")
    for epoch in range(2):
        between = stages[0].run(pixels.take(ALL, epoch)).astype(np.float16)
        expected = stages[1].run(between).astype(np.float16).tobytes()
        for rows in (kept, not_kept, there, partly_there):
            assert rows.take(ALL, epoch).tobytes() == expected
    assert stored_keys(tmp_path / "kept") == stored_keys(tmp_path / "partly there") == 80
    assert stored_keys(tmp_path / "not kept") == 40


def test_kept_rows_serve_who_trains_on_them(views, block14, pooled, rows_run, tmp_path):
    pooled(views(1), keep=True)
    rows_run.clear()
    rows = block14(views(1), "float16")
    assert rows_run == []
    np.testing.assert_array_equal(rows.take(ALL), block14(views(1), "float16", tmp_path / "fresh").take(ALL))


def test_the_way_is_part_of_the_key(views, tmp_path):
    average, third = tiny_engine(tmp_path / "engines"), scaling_engine(tmp_path / "engines", 1 / 3)
    photo = average.model.input
    straight = Engine(keras.Model(photo, third.model(average.model(photo))), tmp_path / "engines")
    direct, by_way = (
        Activations(views(1), chain, [False] * len(chain), "float16", tmp_path).compute().take(ALL)
        for chain in ([straight], [average, third])
    )
    assert stored_keys(tmp_path) == 40
    assert direct.tobytes() != by_way.tobytes()  # rounded once less
    assert_close(direct.astype(np.float32), by_way.astype(np.float32), 1e-3)
    larger = Activations(
        views(1), [tiny_engine(tmp_path / "engines", scale=3.0), third], [False, True], "float16", tmp_path
    )
    assert_close(larger.compute().take(ALL).astype(np.float32), 3 * by_way.astype(np.float32), 2e-3)


def test_in_keras_too_bits_do_not_depend_on_what_the_cache_held(views, photos, stages, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "on_gpu", lambda: True)
    engine = Engine(stages[0].model, tmp_path / "engines")
    whole = Activations(views(1), [engine], [True], "float32", tmp_path / "whole").compute()
    for few in (photos[:1], photos[4:9], photos):
        rows = Activations(views(1, few), [engine], [True], "float32", tmp_path / "in parts").compute()
    np.testing.assert_array_equal(rows.take(ALL), whole.take(ALL))


# What must not be mixed up


def test_precisions_lie_apart(views, block14, rows_run, tmp_path):
    block14(views(1), "float16")
    exact = block14(views(1), "float32").take(ALL)
    assert sum(rows_run) == 40
    assert exact.dtype == np.float32
    assert len(list((tmp_path / "activations").iterdir())) == 2
    assert (exact != exact.astype(np.float16)).any()


def test_other_views_lie_apart(views, block14, rows_run, tmp_path):
    stronger = TURNS.model_copy(update={"zoom": 0.3})
    different = [
        views(1),
        views(1, view_seed=1),
        views(1, augment=stronger),
        views(1, augment=None),
    ]
    rows = [block14(each).take(ALL) for each in different]
    assert sum(rows_run) == 4 * 20
    for number, (pixels, cached) in enumerate(zip(different, rows, strict=True)):
        fresh = block14(pixels, cache=tmp_path / str(number)).take(ALL)
        np.testing.assert_array_equal(cached, fresh)
    assert len({each.tobytes() for each in rows}) == 4


def test_views_of_the_same_kind_share_rows_however_many_there_are(views, block14, rows_run):
    block14(views(1, augment=None))
    block14(views(2))
    seen = sum(rows_run)
    block14(views(2, augment=TURNS.model_copy(update={"views": 7})))  # the photo as it is, and a view of those made
    assert (seen, sum(rows_run)) == (60, 60)


def test_photos_made_in_another_way_lie_apart(views, photos, store, block14, tmp_path, rows_run):
    cropped = RowStore(tmp_path / "pixels" / "v1-64-crop", (64, 64, 3), np.uint8)
    with cropped.writer() as writer:
        for photo in photos:
            writer.add(photo.sha256, store.read([photo.sha256])[0][:, ::-1])
    squashed = block14(views(1)).take(ALL)
    assert (block14(views(1, store=cropped)).take(ALL) != squashed).any(axis=(1, 2, 3)).all()
    assert sum(rows_run) == 40


def test_other_weights_sizes_and_engines_lie_apart(views, photos, store, tmp_path, monkeypatch):
    smaller = RowStore(tmp_path / "pixels" / "v1-32-squash", (32, 32, 3), np.uint8)
    with smaller.writer() as writer:
        for photo in photos:
            writer.add(photo.sha256, store.read([photo.sha256])[0][::2, ::2])
    engines = tmp_path / "engines"
    made = [
        Activations(pixels, [engine], [True], "float32", tmp_path / "all").compute().take(ALL)
        for pixels, engine in (
            (views(1), tiny_engine(engines)),
            (views(1), tiny_engine(engines, scale=2.0)),
            (views(1, store=smaller), tiny_engine(engines, size=32)),
        )
    ]
    np.testing.assert_allclose(made[1], 2 * made[0], rtol=1e-6)
    assert made[2].shape == (20, 2, 2, 3)
    assert stored_keys(tmp_path / "all") == 60
    monkeypatch.setattr(engine_module, "on_gpu", lambda: True)
    in_keras = Activations(views(1), [tiny_engine(engines)], [True], "float32", tmp_path / "all").compute()
    assert_close(in_keras.take(ALL), made[0])
    assert stored_keys(tmp_path / "all") == 80


# Trouble


@pytest.mark.parametrize("position", [0, 1])
def test_too_large_for_float16(position, views, tmp_path):
    large = tiny_engine(tmp_path, scale=1e5)
    chain = [large] if position == 0 else [tiny_engine(tmp_path), scaling_engine(tmp_path, 1e5)]
    with pytest.raises(UnfreezeError) as error:
        Activations(views(1), chain, [True] * len(chain), "float16", tmp_path).compute()
    assert "too large for float16, which ends at 65504" in str(error.value)
    assert "add `precision: float32` to the recipe, or --set precision=float32" in str(error.value)
    rows = Activations(views(1), [large], [True], "float32", tmp_path).compute().take(ALL)
    assert 65504 < rows.max() < 1e5 * 255


def test_an_interrupted_fill_leaves_whole_shards_and_goes_on(
    views, block14, stages, pixels, tmp_path, monkeypatch, rows_run
):
    expected = block14(views(augment=None), cache=tmp_path / "undisturbed").take(ALL)
    monkeypatch.setattr(store_module, "SHARD_BYTES", 5 * expected[0].nbytes)
    monkeypatch.setattr(activations_module, "CHUNK", 4)
    monkeypatch.setattr(stages[0], "choice", replace(stages[0].choice, batch=4))
    run = Engine.run

    def broken(self, rows):
        if (rows[0] == pixels[12]).all():
            raise KeyboardInterrupt
        return run(self, rows)

    rows_run.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "run", broken)
        with pytest.raises(KeyboardInterrupt):
            block14(views(augment=None))
    (folder,) = (tmp_path / "activations").iterdir()
    assert sorted(file.suffix for file in folder.iterdir()) == [".json", ".json", ".npy", ".npy"]
    assert len(RowStore(folder, expected.shape[1:], np.float32)) == 10
    rows_run.clear()
    rows = block14(views(augment=None))
    assert sum(rows_run) == 10
    np.testing.assert_array_equal(rows.take(ALL), expected)


def test_a_changed_engine_starts_over(views, stages, tmp_path, monkeypatch, rows_run):
    """Where ONNX Runtime, recorded as good, differs from Keras now, nothing of it is mixed with what Keras gives."""
    engines = tmp_path / "engines"
    Activations(views(1), [tiny_engine(engines)], [True], "float32", tmp_path).compute()
    monkeypatch.setattr(engine_module, "_difference", lambda *_: "it differs")
    monkeypatch.setattr(engine_module, "export_onnx", lambda *_: None)
    engine = tiny_engine(engines)
    assert "onnxruntime" in engine.choice.engine
    Activations(views(2), [engine], [True], "float32", tmp_path).compute()
    assert "keras" in engine.choice.engine
    assert sorted(rows_run) == [4, 16, 20, 20]  # ONNX Runtime on the first view, Keras on both
    assert stored_keys(tmp_path) == 20 + 40


# The forecast


def test_the_forecast_is_what_happens(views, photos, stages, tmp_path, rows_run):
    expected: set[str] = set()

    def rows(photos, count, keep):
        return Activations(views(count, photos), stages, [keep, True], "float16", tmp_path)

    few, all_photos = rows(photos[:6], 1, False), rows(photos, 2, True)
    row_bytes = [2 * 2 * 192 * 2, 1280 * 2]
    first, second = few.forecast(expected), all_photos.forecast(expected)
    assert (first.from_pixels, first.from_disk, first.bytes) == (6, 0, 6 * row_bytes[1])
    assert (second.from_pixels, second.from_disk, second.bytes) == (34, 6, 34 * sum(row_bytes))
    assert first.rows_per_second == stages[0].choice.rows_per_second
    assert rows_run == []
    assert not (tmp_path / "activations").exists()

    few.compute()
    all_photos.compute()
    assert stored_keys(tmp_path) == 40 + 34
    after = all_photos.forecast(set())
    assert (after.from_pixels, after.from_disk, after.bytes) == (0, 40, 0)
