"""Frozen layers and trained part together are the whole network, whatever other experiments cut out of it."""

import keras
import numpy as np
import pytest
from tests.networks import SIZE, assert_close, network
from tests.tiny import tiny_backbone

from unfreeze.data.inputs import Pixels
from unfreeze.data.store import RowStore
from unfreeze.features import engine as engine_module
from unfreeze.features.cut import find_cut
from unfreeze.features.engine import Engine
from unfreeze.features.frozen import FrozenLayers, Stop, trained_part
from unfreeze.models.classifier import backbone_of, build_classifier, feature_extractor
from unfreeze.models.unfreezing import freeze, unfrozen_layers

ALL = np.arange(20)
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def views(store, photos):
    return Pixels(store, photos)


def made_photos(folder, size, count=5):
    """Make photos of noise, as pixels of a store."""
    store = RowStore(folder / f"v1-{size}-noise", (size, size, 3), np.uint8)
    keys = [f"{number:064x}" for number in range(count)]
    with store.writer() as writer:
        for number, key in enumerate(keys):
            noise = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
            writer.add(key, noise)

    class Named:
        def __init__(self, sha256):
            self.sha256 = sha256

    return Pixels(store, [Named(key) for key in keys])


def in_parts(frozen, classifier, unfrozen, stops, pixels, precision="float32"):
    """Predict through frozen layers and trained part."""
    rows = frozen.rows(classifier, unfrozen, stops, pixels, precision).compute()
    taken = rows.take(np.arange(len(pixels))).astype(np.float32)
    return keras.ops.convert_to_numpy(trained_part(classifier, unfrozen)(taken, training=False))


def whole(classifier, pixels):
    photos = pixels.take(np.arange(len(pixels)))
    return keras.ops.convert_to_numpy(classifier(photos.astype(np.float32), training=False))


@pytest.mark.parametrize("unfreeze", [0, 10, "block15", "all"])
def test_both_parts_are_the_whole_classifier(unfreeze, classifier, views, cache, stages):
    unfrozen = unfrozen_layers(backbone_of(classifier), unfreeze)
    stops = [Stop(unfrozen_layers(backbone_of(classifier), 10), keep=False)]
    expected = whole(classifier, views)
    assert np.ptp(expected[:, 0]) > 0.1
    if unfreeze == "all":
        assert FrozenLayers(cache).rows(classifier, unfrozen, stops, views, "float32") is views
        probabilities = trained_part(classifier, unfrozen)(views.take(ALL), training=False)
        assert_close(keras.ops.convert_to_numpy(probabilities), expected, 1e-5)
    else:
        assert_close(in_parts(FrozenLayers(cache), classifier, unfrozen, stops, views), expected, 1e-5)


def test_cuts_of_several_tensors(tmp_path):
    """MobileNetV3's last layers begin in the middle of a block, beside which its shortcut runs."""
    classifier = build_classifier(network("mobilenetv3small"), 3)
    stops = [Stop(unfrozen_layers(backbone_of(classifier), 20), keep=True)]
    unfrozen = unfrozen_layers(backbone_of(classifier), 5)
    extractor = feature_extractor(classifier)
    assert [len(find_cut(extractor, each).tensors) for each in (unfrozen, stops[0].unfrozen)] == [2, 2]
    pixels = made_photos(tmp_path, SIZE)
    probabilities = in_parts(FrozenLayers(tmp_path), classifier, unfrozen, stops, pixels)
    assert_close(probabilities, whole(classifier, pixels), 1e-5)


SIDE = 12


def crossing_backbone(shortcut=True):
    """Build two branches and a shortcut; layers of either branch can be trained without those of the other."""
    draw = keras.initializers.HeNormal(seed=0)

    def conv(name, x):
        x = keras.layers.Conv2D(2, 3, padding="same", kernel_initializer=draw, name=name)(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    stem = conv("stem", keras.layers.Rescaling(1 / 255, name="rescaling")(photo))
    left = conv("left_2", conv("left_1", stem))
    right = conv("right_2", conv("right_1", stem))
    x = conv("end", keras.layers.Add(name="add")([left, right, *([stem] if shortcut else [])]))
    return keras.Model(photo, x, name="crossing")


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(
    ("shortcut", "unfrozen", "stops"),
    [
        (True, ["end"], [["left_1", "right_1"], ["left_2", "right_2"]]),  # the shortcut is handed on
        (False, [], [["left_2"], ["right_2"], ["end"]]),  # the first two lie side by side
        (False, ["right_2"], [["left_2"], [], ["stem"], ["right_2"], ["right_1"]]),
        (True, ["left_2", "right_2"], [["right_2", "left_2"], ["left_1", "right_1"]]),
    ],
)
def test_any_cuts_of_other_experiments(shortcut, unfrozen, stops, gpu, tmp_path, monkeypatch, rows_run):
    monkeypatch.setattr(engine_module, "on_gpu", lambda: gpu)
    monkeypatch.setattr("unfreeze.features.cut.MACS_PER_BYTE", 0)  # cut as deep as can be
    classifier = build_classifier(crossing_backbone(shortcut), 3)
    pixels = made_photos(tmp_path, SIDE)
    forwards = [Stop(stop, True) for stop in stops]
    frozen = FrozenLayers(tmp_path)
    assert_close(in_parts(frozen, classifier, unfrozen, forwards, pixels), whole(classifier, pixels), 1e-5)
    rows_run.clear()
    frozen.rows(classifier, unfrozen, forwards[::-1], pixels, "float32").compute()
    assert rows_run == []  # the way doesn't depend on the order of the experiments


def test_those_cuts_are_what_they_are_meant_to_be(monkeypatch):
    monkeypatch.setattr("unfreeze.features.cut.MACS_PER_BYTE", 0)
    extractor = feature_extractor(build_classifier(crossing_backbone(), 3))
    cuts = {
        name: find_cut(extractor, unfrozen).tensors
        for name, unfrozen in {
            "branches": ["left_1", "right_1"],
            "inside": ["left_2", "right_2"],
            "left": ["left_2"],
            "right": ["right_2"],
        }.items()
    }
    assert {name: set(tensors) for name, tensors in cuts.items()} == {
        "branches": {"stem_relu"},
        "inside": {"left_1_relu", "right_1_relu", "stem_relu"},
        "left": {"left_1_relu", "right_2_relu", "stem_relu"},
        "right": {"left_2_relu", "right_1_relu", "stem_relu"},
    }


def folders(cache):
    return {folder.name for folder in cache.glob("activations/*")}


def test_the_way_leads_through_all_stops_before_the_cut(tmp_path, rows_run):
    classifier = build_classifier(tiny_backbone(), 3)
    backbone = backbone_of(classifier)
    pixels = made_photos(tmp_path, 16)
    last = unfrozen_layers(backbone, 3)

    def compute(unfrozen, *stops, cache=tmp_path):
        rows_run.clear()
        rows = FrozenLayers(cache).rows(classifier, unfrozen, stops, pixels, "float16").compute()
        return sum(rows_run), rows.take(np.arange(5)).tobytes()

    compute([])  # prepares engines
    compute([], Stop(last, False))
    count, by_way = compute([], Stop(last, True), Stop(last, False), Stop(unfrozen_layers(backbone, "all"), True))
    assert count == 0
    count, again = compute([], Stop(last, True), Stop([], True))
    assert (count, again) == (0, by_way)
    before = folders(tmp_path)
    count, kept = compute(last, Stop([], True), Stop(last, False))
    assert count == 5  # they were not kept on the way to the features
    assert len(folders(tmp_path) - before) == 1
    assert compute(last) == (0, kept)  # what lies behind the cut is no part of the way

    for keep in ((True, False), (False, True)):
        cache = tmp_path / str(keep)
        compute([], *(Stop(last, each) for each in keep), cache=cache)
        assert compute(last, cache=cache) == (0, kept)


def test_engines_are_opened_once(tmp_path, monkeypatch):
    opened = []
    open_file = Engine._open

    def noting(self, *arguments):
        opened.append(self.sha256)
        return open_file(self, *arguments)

    monkeypatch.setattr(Engine, "_open", noting)
    frozen = FrozenLayers(tmp_path)
    for count in (3, 5):
        classifier = build_classifier(tiny_backbone(), 3)
        frozen.rows(classifier, [], [], made_photos(tmp_path, 16, count), "float32").compute()
    assert len(opened) == 1


@pytest.mark.parametrize("gpu", [False, True])
def test_training_a_models_layers_leaves_its_engine_right(gpu, tmp_path, monkeypatch):
    """An engine is found by the weights that its model had; they can have been trained when it is first used."""
    monkeypatch.setattr(engine_module, "on_gpu", lambda: gpu)
    few, more = made_photos(tmp_path, 16, 3), made_photos(tmp_path, 16, 5)
    FrozenLayers(tmp_path).rows(build_classifier(tiny_backbone(), 3), [], [], few, "float32").compute()

    frozen = FrozenLayers(tmp_path)
    first, second = build_classifier(tiny_backbone(), 3), build_classifier(tiny_backbone(), 3)
    frozen.rows(first, [], [], few, "float32").compute()  # all is there: the engine is not opened
    backbone_of(first).set_weights([weight * 1.5 for weight in backbone_of(first).get_weights()])
    rows = frozen.rows(second, [], [], more, "float32").compute()
    expected = feature_extractor(second)(more.take(np.arange(5)), training=False)
    assert_close(rows.take(np.arange(5)), keras.ops.convert_to_numpy(expected))

    backbone_of(second).set_weights([weight * 1.5 for weight in backbone_of(second).get_weights()])
    many = made_photos(tmp_path, 16, 8)
    third = build_classifier(tiny_backbone(), 3)
    rows = frozen.rows(third, [], [], many, "float32").compute()
    expected = feature_extractor(third)(many.take(np.arange(8)), training=False)
    assert_close(rows.take(np.arange(8)), keras.ops.convert_to_numpy(expected))


def test_the_trained_part_shares_layers_and_keeps_statistics(classifier, pixels):
    classifier = keras.models.clone_model(classifier)
    backbone = backbone_of(classifier)
    unfrozen = unfrozen_layers(backbone, "block15")
    freeze(backbone, unfrozen)
    trained = trained_part(classifier, unfrozen)
    assert trained.input_shape == (None, 2, 2, 192)
    assert {id(weight) for weight in trained.trainable_weights} == {
        id(weight) for weight in classifier.trainable_weights
    }
    before = {weight.path: weight.numpy().copy() for weight in backbone.weights}
    trained.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    rows = np.random.default_rng(0).normal(size=(8, 2, 2, 192)).astype(np.float32)
    trained.fit(rows, np.arange(8) % 2, batch_size=4, epochs=1, verbose=0)
    moved = {weight.path for weight in backbone.weights if not np.array_equal(weight.numpy(), before[weight.path])}
    assert moved == {weight.path for weight in backbone.trainable_weights}
    assert not [path for path in moved if "moving" in path]
