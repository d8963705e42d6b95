"""`unfreeze.fit` does what Keras's `fit` does: histories and weights are compared with it, to rounding."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tests.tiny import SIZE, tiny_backbone, tiny_photos

import unfreeze
from unfreeze.errors import DataError, UnfreezeError
from unfreeze.features.engine import Engine
from unfreeze.models.backbones import build_backbone
from unfreeze.progress import reporting_to

layers = keras.layers

PHOTOS, LABELS = tiny_photos(20)
QUIET = {"verbose": 0, "batch_size": 8}


def compiled(model, optimizer=None, loss="sparse_categorical_crossentropy", **settings):
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], **settings)
    return model


def frozen_backbone(unfrozen=0):
    backbone = tiny_backbone()
    backbone.trainable = False
    for layer in backbone.layers[len(backbone.layers) - unfrozen :]:
        layer.trainable = True
    return backbone


def classifier(unfrozen=0, training=False, outputs=3, **settings):
    """The form of Keras's guide to transfer learning."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((SIZE, SIZE, 3))
    features = layers.Flatten(name="flatten")(frozen_backbone(unfrozen)(photo, training=training))
    hidden = layers.Dense(8, activation="relu", kernel_regularizer="l2", name="hidden")(features)
    activation = "softmax" if outputs > 1 else "sigmoid"
    model = keras.Model(photo, layers.Dense(outputs, activation=activation, name="head")(hidden), name="classifier")
    return compiled(model, **settings)


def assert_alike(ours, theirs, our_history, their_history, tolerance=1e-5):
    assert our_history.history.keys() == their_history.history.keys()
    for name, values in their_history.history.items():
        np.testing.assert_allclose(our_history.history[name], values, rtol=1e-4, err_msg=name)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=tolerance, err_msg=mine.path)


def compare(build, data=(PHOTOS, LABELS), **settings):
    """Train a model by both, in the photos' own order."""
    settings = {"epochs": 2, "shuffle": False, **QUIET} | settings
    ours, theirs = build(), build()
    our_history = unfreeze.fit(ours, data, **settings)
    given = dict(zip(("x", "y", "sample_weight"), data, strict=False)) if isinstance(data, tuple) else {"x": data}
    if "x" in given and not isinstance(data, tuple):
        settings = {name: value for name, value in settings.items() if name != "batch_size"}
    their_history = theirs.fit(**given, **settings)
    assert_alike(ours, theirs, our_history, their_history)
    return ours, theirs


@pytest.fixture
def runs(monkeypatch):
    """Rows that engines ran, call by call."""
    seen = []
    run = Engine.run
    monkeypatch.setattr(Engine, "run", lambda engine, rows: seen.append(len(rows)) or run(engine, rows))
    return seen


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))


# Real weights and photos


def lite(unfrozen):
    keras.utils.set_random_seed(0)
    backbone = build_backbone("efficientnet_lite0", 64)
    backbone.trainable = False
    for layer in backbone.layers[len(backbone.layers) - unfrozen :]:
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    photo = keras.Input((64, 64, 3))
    x = layers.GlobalAveragePooling2D(name="pooling")(backbone(photo, training=False))
    x = layers.BatchNormalization(name="normalization")(x)
    x = layers.Dense(2, activation="softmax", name="head")(x)
    return compiled(keras.Model(photo, x, name="lite"), keras.optimizers.SGD(0.01))


@pytest.fixture(scope="module")
def solar_arrays(solar_cells: Path):
    """Sixteen photos of solar cells, 64 x 64, and whether they are functional."""
    files = [file for name in ("defective", "functional") for file in sorted((solar_cells / name).iterdir())[:8]]
    photos = [np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files]
    order = np.random.default_rng(0).permutation(16)
    return np.stack(photos)[order], (np.arange(16) // 8).astype("int32")[order]


@pytest.mark.parametrize("unfrozen", [0, 10])
def test_efficientnet_lite0_trains_as_in_keras(unfrozen, solar_arrays):
    photos, labels = solar_arrays
    ours, theirs = compare(lambda: lite(unfrozen), solar_arrays, validation_data=(photos[:6], labels[:6]))
    assert float(ours.optimizer.iterations) == 4
    np.testing.assert_allclose(
        ours.evaluate(photos, labels, verbose=0), theirs.evaluate(photos, labels, verbose=0), 1e-4
    )
    again = {"shuffle": False, "batch_size": 8, "verbose": 0}
    assert_alike(ours, theirs, ours.fit(photos, labels, **again), theirs.fit(photos, labels, **again))


def test_a_network_of_keras_applications_with_its_own_preprocessing():
    def build():
        keras.utils.set_random_seed(0)
        photo = keras.Input((32, 32, 3))
        x = keras.applications.mobilenet_v2.preprocess_input(photo)
        backbone = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
        backbone.trainable = False
        for layer in backbone.layers[-9:]:  # with BatchNormalization, which learns and keeps statistics here
            layer.trainable = True
        x = layers.GlobalAveragePooling2D()(backbone(x))
        return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x)), keras.optimizers.SGD(0.01))

    photos = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype("uint8")
    ours, _ = compare(build, (photos, LABELS[:16]))
    statistics = [weight.numpy() for weight in ours.weights if weight.path.endswith("moving_variance")]
    assert sum(not np.all(values == 1) for values in statistics) == 3  # of the last twelve layers, no others


# Forms of models


def flat_graph():
    backbone = frozen_backbone()
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(backbone.output))
    return compiled(keras.Model(backbone.input, x))


def sequential():
    head = keras.Sequential([layers.Dense(4), layers.Dense(3, activation="softmax")])
    return compiled(keras.Sequential([keras.Input((SIZE, SIZE, 3)), frozen_backbone(), layers.Flatten(), head]))


def preprocessed():
    normalization = layers.Normalization()
    normalization.adapt(PHOTOS.astype("float32"))
    photo = keras.Input((SIZE, SIZE, 3))
    x = normalization(photo) * 60.0 + np.array([128, 120, 110], "float32")
    x = layers.Flatten()(frozen_backbone()(layers.Rescaling(0.5, 30.0)(x), training=False))
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x)))


def nested_twice_with_equal_names():
    inner_photo, photo = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(inner_photo, layers.GlobalAveragePooling2D()(frozen_backbone()(inner_photo)), name="inner")
    head = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="softmax", name="conv1")])
    return compiled(keras.Model(photo, head(inner(photo, training=False))))


def skip_over_the_cut():
    photo = keras.Input((SIZE, SIZE, 3))
    frozen = frozen_backbone()(photo, training=False)
    more = layers.Conv2D(6, 3, padding="same", trainable=False)(frozen)
    x = layers.Add()([frozen, layers.Conv2D(6, 3, padding="same")(layers.ReLU()(more))])
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))))


def unfrozen_batch_normalization():
    return classifier(unfrozen=3, training=None)


def averaging_optimizer():
    return classifier(unfrozen=3, training=None, optimizer=keras.optimizers.Adam(1e-3, use_ema=True))


@pytest.mark.parametrize(
    "build",
    [
        classifier,
        flat_graph,
        sequential,
        preprocessed,
        nested_twice_with_equal_names,
        skip_over_the_cut,
        unfrozen_batch_normalization,
        averaging_optimizer,
    ],
)
def test_any_form_of_model_trains_as_in_keras(build):
    def seeded():
        keras.utils.set_random_seed(0)
        return build()

    compare(seeded)


def test_named_outputs_and_losses():
    def build():
        keras.utils.set_random_seed(0)
        photo = keras.Input((SIZE, SIZE, 3))
        x = layers.GlobalAveragePooling2D()(frozen_backbone()(photo))
        outputs = {
            "kind": layers.Dense(3, activation="softmax", name="kind")(x),
            "light": layers.Dense(1, name="light")(x),
        }
        model = keras.Model(photo, outputs)
        losses = {"kind": "sparse_categorical_crossentropy", "light": "mse"}
        model.compile("sgd", losses, metrics={"kind": ["accuracy"]}, loss_weights={"kind": 1.0, "light": 0.01})
        return model

    light = PHOTOS.mean((1, 2, 3), keepdims=False)[:, None] / 255
    compare(build, (PHOTOS, {"kind": LABELS, "light": light}))


def test_what_was_called_with_training_false_stays_in_inference_mode():
    model = classifier(unfrozen=3, training=False)
    before = model.get_layer("tiny").get_layer("bn2").get_weights()
    said = Said()
    with reporting_to(said):
        unfreeze.fit(model, PHOTOS, LABELS, **QUIET)
    gamma, beta, mean, variance = model.get_layer("tiny").get_layer("bn2").get_weights()
    assert np.array_equal(mean, before[2])
    assert np.array_equal(variance, before[3])
    assert not np.array_equal(gamma, before[0])  # it is trained all the same
    assert not np.array_equal(beta, before[1])
    assert said.lines[0].startswith("'bn2' (BatchNormalization) run in inference mode, having been called with")


def test_dropout_of_the_head_drops():
    def losses(rate):
        keras.utils.set_random_seed(0)
        photo = keras.Input((SIZE, SIZE, 3))
        x = layers.Flatten(name="flatten")(frozen_backbone()(photo, training=False))
        x = layers.BatchNormalization(name="normalization", momentum=0.0)(layers.Dropout(rate, name="dropout")(x))
        x = layers.Dense(3, activation="softmax", name="head")(x)
        model = compiled(keras.Model(photo, x), keras.optimizers.SGD(0.0))
        return unfreeze.fit(model, PHOTOS, LABELS, epochs=3, **QUIET).history["loss"]

    assert np.ptp(losses(0.0)) < 0.05  # nothing learns; only which photos are together in a batch changes
    assert np.ptp(losses(0.9)) > 0.2


# Callbacks


class Notes(keras.callbacks.Callback):
    def __init__(self, stop_at=None):
        super().__init__()
        self.models, self.batches, self.stop_at = set(), 0, stop_at

    def on_train_batch_end(self, batch, logs=None):
        self.models.add(self.model)
        self.batches += 1
        if self.batches == self.stop_at:
            self.model.stop_training = True


def test_callbacks_see_the_whole_model(tmp_path):
    model, notes = classifier(), Notes()
    history = unfreeze.fit(
        model,
        PHOTOS,
        LABELS,
        epochs=3,
        validation_data=(PHOTOS[:4], LABELS[:4]),
        callbacks=[
            notes,
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"),
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
        ],
        **QUIET,
    )
    assert notes.models == {model}
    assert notes.batches == 9
    assert history is model.history
    assert history.epoch == [0, 1, 2]
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    saved = keras.models.load_model(tmp_path / "3.keras")
    np.testing.assert_array_equal(saved.predict(PHOTOS, verbose=0), model.predict(PHOTOS, verbose=0))
    assert float(saved.optimizer.iterations) == 9
    first = keras.models.load_model(tmp_path / "1.keras")
    assert not np.array_equal(first.get_layer("head").kernel.numpy(), model.get_layer("head").kernel.numpy())


def test_early_stopping_stops_and_restores():
    model = classifier(optimizer=keras.optimizers.SGD(1e3))  # so large that the first epoch was the best
    stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True, start_from_epoch=0)
    validation = (PHOTOS[:4], np.full(4, 7 % 3))
    history = unfreeze.fit(model, PHOTOS, LABELS, epochs=9, validation_data=validation, callbacks=stopping, **QUIET)
    assert len(history.epoch) == stopping.stopped_epoch + 1 < 9
    best = max(history.history["val_accuracy"])
    assert model.evaluate(*validation, verbose=0)[1] == pytest.approx(best)


def test_a_callback_can_stop_after_any_batch():
    model, notes = classifier(), Notes(stop_at=2)
    unfreeze.fit(model, PHOTOS, LABELS, epochs=3, callbacks=[notes], **QUIET)
    assert notes.batches == 2
    unfreeze.fit(model, PHOTOS, LABELS, epochs=1, callbacks=[notes], **QUIET)  # the stop is over
    assert notes.batches == 5


def test_an_interrupted_training_goes_on(tmp_path):
    def interrupted(epochs):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        model = classifier()
        return model, unfreeze.fit(model, PHOTOS, LABELS, epochs=epochs, callbacks=[backup], **QUIET)

    interrupted(2)
    resumed, history = interrupted(4)
    whole = classifier()
    unfreeze.fit(whole, PHOTOS, LABELS, epochs=4, **QUIET)
    assert history.epoch == [2, 3]
    np.testing.assert_allclose(
        resumed.get_layer("head").kernel.numpy(), whole.get_layer("head").kernel.numpy(), atol=1e-6
    )


# Data


def trained(data, *labels, **settings):
    model = classifier(**settings.pop("model", {}))
    unfreeze.fit(model, data, *labels, **{"epochs": 2, "shuffle": False, **QUIET} | settings)
    return model.get_layer("head").kernel.numpy()


def batches_of_eight():
    return [(PHOTOS[start : start + 8], LABELS[start : start + 8]) for start in range(0, 20, 8)]


def test_every_form_of_the_same_data_gives_the_same_model():
    expected = trained(PHOTOS, LABELS)
    np.testing.assert_array_equal(trained((PHOTOS, LABELS)), expected)
    np.testing.assert_array_equal(trained([PHOTOS, LABELS]), expected)
    np.testing.assert_array_equal(trained(batches_of_eight()), expected)
    np.testing.assert_array_equal(trained(PairsOfEight()), expected)
    np.testing.assert_array_equal(trained(PHOTOS, LABELS, validation_data=batches_of_eight()), expected)


class PairsOfEight(keras.utils.PyDataset):
    epochs = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return batches_of_eight()[index]

    def on_epoch_end(self):
        self.epochs += 1


def test_a_tf_dataset():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices((PHOTOS.astype("float32"), LABELS)).batch(8)
    compare(classifier, dataset, validation_data=dataset.take(1))
    shuffled = dataset.unbatch().shuffle(20, seed=3, reshuffle_each_iteration=True).batch(8)
    assert not np.array_equal(trained(shuffled), trained(dataset))


def test_numbers_with_a_point_become_keras_own():
    np.testing.assert_array_equal(trained(PHOTOS.astype("float64"), LABELS), trained(PHOTOS.astype("float32"), LABELS))


def test_weights_and_one_hot_labels():
    weights = np.linspace(0, 2, 20)
    compare(classifier, (PHOTOS, LABELS, weights))
    compare(classifier, class_weight={0: 1.0, 1: 3.0, 2: 0.5})
    compare(lambda: classifier(loss="categorical_crossentropy"), (PHOTOS, np.eye(3)[LABELS]))
    compare(lambda: classifier(outputs=1, loss="binary_crossentropy"), (PHOTOS, (LABELS == 1).astype("float32")))
    np.testing.assert_array_equal(trained(PHOTOS, LABELS, sample_weight=weights), trained((PHOTOS, LABELS, weights)))


def test_the_order_is_drawn_from_the_seed():
    first = trained(PHOTOS, LABELS, shuffle=True, seed=1)
    np.testing.assert_array_equal(trained(PHOTOS, LABELS, shuffle=True, seed=1), first)
    assert not np.array_equal(trained(PHOTOS, LABELS, shuffle=True, seed=2), first)
    assert not np.array_equal(trained(PHOTOS, LABELS, shuffle=False), first)


def test_a_folder(solar_cells, tmp_path):
    def model(loss, outputs):
        return classifier(loss=loss, outputs=outputs)

    for loss, outputs in (
        ("sparse_categorical_crossentropy", 2),
        (keras.losses.CategoricalCrossentropy(), 2),
        ("binary_crossentropy", 1),
    ):
        history = unfreeze.fit(model(loss, outputs), solar_cells, epochs=3, validation_data=solar_cells, **QUIET)
        assert history.history["loss"][-1] < history.history["loss"][0]
        assert history.params["steps"] == 10  # all eighty photos

    for split, start, stop in (("train", 0, 12), ("val", 12, 16), ("test", 16, 20)):
        for label in ("defective", "functional"):
            (tmp_path / split / label).mkdir(parents=True)
            for file in sorted((solar_cells / label).iterdir())[start:stop]:
                (tmp_path / split / label / file.name).write_bytes(file.read_bytes())
    ours = model("sparse_categorical_crossentropy", 2)
    history = unfreeze.fit(ours, str(tmp_path), validation_data=tmp_path, **QUIET)
    assert history.params["steps"] == 3
    files = [file for label in ("defective", "functional") for file in sorted((tmp_path / "val" / label).iterdir())]
    photos = np.stack([np.asarray(Image.open(file).convert("RGB").resize((SIZE, SIZE))) for file in files])
    expected = ours.evaluate(photos, np.arange(8) // 4, verbose=0)  # Pillow's resizing differs a little from ours
    assert history.history["val_loss"][0] == pytest.approx(expected[0], rel=0.05)


# What is kept


def test_a_second_call_finds_what_frozen_layers_gave(own_cache, runs):
    trained(PHOTOS, LABELS, validation_data=(PHOTOS[:4], LABELS[:4]))
    computed = sum(runs)
    assert computed >= 20
    trained(PHOTOS, LABELS, epochs=5, model={"outputs": 4})
    trained(batches_of_eight())
    assert sum(runs) == computed
    trained(PHOTOS.astype("float32"), LABELS)  # other bytes
    assert sum(runs) > computed


def test_frozen_layers_run_once_a_photo_whatever_the_epochs(own_cache, runs):
    trained(batches_of_eight(), epochs=1)
    computed = sum(runs)
    runs.clear()
    trained([(photos + np.uint8(1), labels) for photos, labels in batches_of_eight()], epochs=6)
    assert sum(runs) == 20 < computed  # the first time, some ran for comparison with Keras


class Flipping:
    """Batches that are mirrored in every other epoch."""

    def __init__(self):
        self.epoch = 0

    def __iter__(self):
        self.epoch += 1
        for photos, labels in batches_of_eight():
            yield (photos[:, :, ::-1] if self.epoch % 2 else photos), labels


def test_photos_that_change_from_epoch_to_epoch_are_seen_as_they_are(own_cache, runs):
    said = Said()
    with reporting_to(said):
        flipped = trained(Flipping(), epochs=4)
    assert sum(runs) >= 40
    assert sum("others than in the epoch before" in line for line in said.lines) == 1  # third and fourth are known
    theirs = classifier()
    for _ in range(2):
        for photos in (PHOTOS[:, :, ::-1], PHOTOS):
            theirs.fit(photos, LABELS, shuffle=False, **QUIET)
    np.testing.assert_allclose(flipped, theirs.get_layer("head").kernel.numpy(), atol=1e-5)


def test_half_precision_takes_half_the_disk(tmp_path, monkeypatch):
    def size(precision):
        monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / precision))
        kernel = trained(PHOTOS, LABELS, precision=precision)
        [rows] = (tmp_path / precision / "activations").rglob("*.npy")
        return kernel, rows.stat().st_size - 128  # its header

    (whole, whole_size), (half, half_size) = size("float32"), size("float16")
    assert whole_size == 2 * half_size
    assert 0 < np.abs(whole - half).max() < 0.01


# What can't be cut


class Said:
    """Notes what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)

    def task(self, title, total):
        from contextlib import nullcontext

        return nullcontext(lambda steps: None)


def augmented_first():
    photo = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(frozen_backbone()(layers.RandomFlip("horizontal", name="flip")(photo), training=False))
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x), name="own"))


def trained_first():
    backbone = frozen_backbone()
    backbone.get_layer("conv1").trainable = True
    x = layers.Flatten()(backbone.output)
    return compiled(keras.Model(backbone.input, layers.Dense(3, activation="softmax")(x), name="own"))


def not_frozen():
    return classifier(unfrozen=7)


def nothing_trained():
    model = classifier()
    model.trainable = False
    return compiled(model)


def of_any_size():
    photo = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, trainable=False)(photo)
    x = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(photo, x, name="own"))


def subclassed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.features, self.head = frozen_backbone(), layers.Dense(3, activation="softmax")

        def call(self, photo):
            return self.head(keras.ops.mean(self.features(photo), (1, 2)))

    return compiled(Own())


def own_train_step():
    class Own(keras.Model):
        def train_step(self, *args):
            return super().train_step(*args)

    backbone = frozen_backbone()
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(backbone.output))
    return compiled(Own(backbone.input, x, name="own"))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (augmented_first, r"'flip' \(RandomFlip\) does something else in training than in inference and comes before"),
        (trained_first, r"'conv1' \(Conv2D\) is trained and comes before its frozen layers\."),
        (
            not_frozen,
            r"none of its layers is frozen; set `trainable = False` for those to keep, and compile it again\.",
        ),
        (of_any_size, r"its input has no fixed size: \(None, None, 3\)\."),
        (subclassed, r"it is no Functional or Sequential model\."),
        (own_train_step, r"its class has its own train_step\."),
    ],
)
def test_what_cannot_be_cut_is_said_and_trained_plainly(build, reason):
    model = build()
    with pytest.warns(UserWarning, match=rf"^{model.name} is trained by Keras's own fit, because {reason}"):
        history = unfreeze.fit(model, PHOTOS, LABELS, epochs=2, validation_data=(PHOTOS, LABELS), **QUIET)
    assert len(history.history["val_loss"]) == 2
    assert float(model.optimizer.iterations) == 6


def test_several_inputs_and_nothing_trained():
    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((2,))
    x = layers.Concatenate()([layers.Flatten()(frozen_backbone()(first)), second])
    model = compiled(keras.Model([first, second], layers.Dense(3, activation="softmax")(x)))
    with pytest.warns(UserWarning, match="because it has 2 inputs"):
        unfreeze.fit(model, [PHOTOS, np.zeros((20, 2))], LABELS, **QUIET)
    with pytest.warns(UserWarning) as warned:
        unfreeze.fit(nothing_trained(), PHOTOS, LABELS, **QUIET)
    assert "because nothing in it is trained." in str(warned[0].message)


@pytest.mark.parametrize(
    ("data", "settings", "reason"),
    [
        ((PHOTOS, LABELS), {"validation_split": 0.5}, "the argument validation_split was given"),
        (lambda: iter(batches_of_eight()), {}, r"its data \(list_iterator\) can't be read a second time"),
        (lambda: [{"x": PHOTOS}], {}, "its data doesn't come in pairs of photos and labels, but as dict"),
        ((PHOTOS, LABELS[:3]), {}, r"there are 20 photos, but labels or weights of shape \(3,\)"),
        ((PHOTOS[:, :8], LABELS), {}, r"the photos are \(8, 16, 3\), but its input is \(16, 16, 3\)"),
        (PHOTOS, {}, "its photos have no labels"),
    ],
)
def test_data_that_only_keras_can_take(data, settings, reason, monkeypatch):
    called = []
    monkeypatch.setattr(keras.Model, "fit", lambda model, **arguments: called.append(arguments))
    with pytest.warns(UserWarning, match=reason):
        unfreeze.fit(classifier(), data() if callable(data) else data, **settings, **QUIET)
    assert called[0].items() >= settings.items()
    assert called[0]["epochs"] == 1


def test_a_folder_is_trained_plainly_where_nothing_can_be_cut(solar_cells):
    photo = keras.Input((SIZE, SIZE, 3))
    model = compiled(keras.Model(photo, layers.Dense(2, activation="softmax")(layers.Flatten()(photo)), name="own"))
    with pytest.warns(UserWarning, match="none of its layers is frozen"):
        history = unfreeze.fit(model, solar_cells, validation_data=solar_cells, **QUIET)
    assert history.params["steps"] == 10


def test_frozen_layers_behind_dropout_are_said():
    photo = keras.Input((SIZE, SIZE, 3))
    backbone = frozen_backbone()
    x = layers.Dropout(0.5, name="drop")(backbone.get_layer("relu1").output)
    for name in ("conv2", "bn2", "relu2"):
        x = backbone.get_layer(name)(x)
    dropping = keras.Model(backbone.input, x, name="dropping")
    model = compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(layers.Flatten()(dropping(photo)))))
    said = Said()
    with reporting_to(said):
        unfreeze.fit(model, PHOTOS, LABELS, **QUIET)
    assert said.lines[0].startswith("Frozen layers behind 'drop' (Dropout) run in every epoch")
    assert said.lines[0].endswith("call the model that it belongs to with training=False.")


# Wrong calls


def test_a_model_that_is_not_compiled():
    with pytest.raises(UnfreezeError, match=r"^tiny isn't compiled\. Call model\.compile\(optimizer=\.\.\., loss="):
        unfreeze.fit(tiny_backbone(), PHOTOS, LABELS)


def test_an_unknown_precision():
    with pytest.raises(UnfreezeError, match=r"precision is 'int8'\. It can be 'float32' or 'float16'\."):
        unfreeze.fit(classifier(), PHOTOS, LABELS, precision="int8")


def test_folders_that_do_not_fit_the_model(solar_cells, tmp_path):
    with pytest.raises(DataError, match="nowhere is no folder. Give a folder of class folders, arrays"):
        unfreeze.fit(classifier(), tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"2 classes \(defective, functional\), but classifier gives \(None, 1\)\. Build"
    ):
        unfreeze.fit(classifier(outputs=1), three_classes(solar_cells, tmp_path))
    with pytest.raises(DataError, match="has classes that the training photos don't have: other"):
        unfreeze.fit(classifier(), solar_cells, validation_data=three_classes(solar_cells, tmp_path), **QUIET)
    with pytest.raises(DataError, match=r"own takes \(None, None, 3\), but photos of a folder become RGB squares"):
        unfreeze.fit(of_any_size(), solar_cells)


def three_classes(solar_cells, tmp_path):
    folder = tmp_path / "three"
    for number, label in enumerate(("defective", "functional", "other")):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for file in sorted((solar_cells / "defective").iterdir())[3 * number : 3 * number + 3]:
            (folder / label / file.name).write_bytes(file.read_bytes())
    return folder


def test_silence_and_progress(capsys, own_cache):
    unfreeze.fit(classifier(), PHOTOS, LABELS, **QUIET)
    assert capsys.readouterr().out == ""
    unfreeze.fit(classifier(), PHOTOS[:, ::-1], LABELS, epochs=2)
    shown = capsys.readouterr().out
    assert "Running frozen layers" in shown
    assert "Epoch 2/2" in shown
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unfreeze.fit(classifier(), PHOTOS, LABELS, **QUIET)
