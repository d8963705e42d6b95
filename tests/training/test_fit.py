"""`unfreeze.fit` does what Keras's `fit` does: histories and weights are compared with it, to rounding."""

from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tests.networks import run
from tests.tiny import SIZE, tiny_backbone, tiny_photos

import unfreeze
from unfreeze.data.photos import decode, resize
from unfreeze.errors import UnfreezeError
from unfreeze.features.engine import Engine
from unfreeze.models.backbones import build_backbone
from unfreeze.progress import reporting_to

layers = keras.layers

PHOTOS, LABELS = tiny_photos(20)
QUIET = {"verbose": 0, "batch_size": 8}


def compiled(model, optimizer=None, loss="sparse_categorical_crossentropy"):
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def frozen_backbone(unfrozen=0):
    backbone = tiny_backbone()
    backbone.trainable = False
    for layer in backbone.layers[len(backbone.layers) - unfrozen :]:
        layer.trainable = True
    return backbone


def classifier(unfrozen=0, training=False, optimizer=None):
    """The form of Keras's guide to transfer learning."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((SIZE, SIZE, 3))
    features = layers.Flatten(name="flatten")(frozen_backbone(unfrozen)(photo, training=training))
    x = layers.Dense(8, activation="relu", kernel_regularizer="l2", name="hidden")(features)
    x = layers.Dense(3, activation="softmax", name="head")(x)
    return compiled(keras.Model(photo, x, name="classifier"), optimizer)


def head(model):
    return model.get_layer("head").kernel.numpy()


def trained(data, labels=None, **settings):
    """Train the classifier; gives its head."""
    model = classifier()
    unfreeze.fit(model, data, labels, **{"epochs": 2, "shuffle": False, **QUIET} | settings)
    return head(model)


def compare(build, data=(PHOTOS, LABELS), **settings):
    """Train a model by both, in the photos' own order; gives ours and Keras's."""
    ours, theirs = build(), build()
    settings = {"epochs": 2, "shuffle": False, "verbose": 0} | settings
    our_history = unfreeze.fit(ours, data, batch_size=8, **settings)
    arrays = dict(zip(("x", "y", "sample_weight"), data, strict=False))
    their_history = theirs.fit(**arrays, batch_size=8, **settings)
    assert our_history.history.keys() == their_history.history.keys()
    for name, values in their_history.history.items():
        np.testing.assert_allclose(our_history.history[name], values, rtol=1e-4, err_msg=name)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), atol=1e-5, err_msg=mine.path)
    return ours, theirs


class Said:
    """Notes what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message):
        self.lines.append(message)

    def task(self, title, total):
        return nullcontext(lambda steps: None)


@pytest.fixture
def said():
    said = Said()
    with reporting_to(said):
        yield said.lines


@pytest.fixture
def rows_run(monkeypatch, tmp_path):
    """How many rows each call of an engine ran, from an empty cache on."""
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    seen = []
    run_rows = Engine.run
    monkeypatch.setattr(Engine, "run", lambda engine, rows: seen.append(len(rows)) or run_rows(engine, rows))
    return seen


# Real weights and photos


def test_efficientnet_lite0_with_its_last_layers_unfrozen(solar_cells: Path):
    files = [file for name in ("defective", "functional") for file in sorted((solar_cells / name).iterdir())[:8]]
    order = np.random.default_rng(0).permutation(16)
    photos = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files])[order]
    labels = (order >= 8).astype("int32")

    def build():
        keras.utils.set_random_seed(0)
        network = build_backbone("efficientnet_lite0", 64)
        network.trainable = False
        for layer in network.layers[-10:]:
            layer.trainable = not isinstance(layer, layers.BatchNormalization)
        photo = keras.Input((64, 64, 3))
        x = layers.GlobalAveragePooling2D()(network(photo, training=False))
        return compiled(keras.Model(photo, layers.Dense(2, activation="softmax")(x)), keras.optimizers.SGD(0.001))

    ours, theirs = compare(build, (photos, labels))
    np.testing.assert_allclose(run(ours, photos), run(theirs, photos), atol=1e-4)


def test_a_network_of_keras_applications_with_its_own_preprocessing():
    def build():
        keras.utils.set_random_seed(0)
        photo = keras.Input((32, 32, 3))
        x = keras.applications.mobilenet.preprocess_input(photo)
        network = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
        network.trainable = False
        for layer in network.layers[-9:]:  # with BatchNormalization, which keeps new statistics here
            layer.trainable = True
        x = layers.GlobalAveragePooling2D()(network(x))
        return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x)), keras.optimizers.SGD(0.01))

    photos = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3)).astype("uint8")
    ours, _ = compare(build, (photos, LABELS[:16]))
    variances = [weight.numpy() for weight in ours.weights if weight.path.endswith("moving_variance")]
    assert [not np.all(values == 1) for values in variances].count(True) == 3


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
    x = normalization(layers.Rescaling(0.5, 30.0)(photo)) * 60.0 + keras.ops.convert_to_tensor([128.0, 120.0, 110.0])
    x = layers.Flatten()(frozen_backbone()(x, training=False))
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x)))


def nested_twice_with_equal_names():
    inner_photo, photo = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    inner = keras.Model(inner_photo, layers.GlobalAveragePooling2D()(frozen_backbone()(inner_photo)), name="inner")
    head = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="softmax", name="conv1")])
    return compiled(keras.Model(photo, head(inner(photo, training=False))))


def two_tensors_cross_the_cut():
    photo = keras.Input((SIZE, SIZE, 3))
    frozen = frozen_backbone()(photo, training=False)
    more = layers.Conv2D(6, 3, padding="same", trainable=False)(frozen)
    x = layers.Add()([frozen, layers.Conv2D(6, 3, padding="same")(layers.ReLU()(more))])
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(layers.GlobalMaxPooling2D()(x))))


def batch_normalization_in_backbone_and_head():
    photo = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(frozen_backbone(unfrozen=3)(photo))
    x = layers.Dropout(0.0)(layers.BatchNormalization()(x))
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x)), keras.optimizers.SGD(0.01))


def averaging_optimizer():
    return classifier(optimizer=keras.optimizers.Adam(1e-3, use_ema=True))


@pytest.mark.parametrize(
    "build",
    [
        flat_graph,
        sequential,
        preprocessed,
        nested_twice_with_equal_names,
        two_tensors_cross_the_cut,
        batch_normalization_in_backbone_and_head,
        averaging_optimizer,
    ],
)
def test_any_form_of_model_trains_as_in_keras(build):
    def seeded():
        keras.utils.set_random_seed(0)
        return build()

    compare(seeded)


def test_the_model_can_go_on_with_keras_afterwards():
    ours, theirs = compare(lambda: classifier(optimizer=keras.optimizers.Adam(1e-3)), validation_data=(PHOTOS, LABELS))
    assert float(ours.optimizer.iterations) == 6
    evaluated = [model.evaluate(PHOTOS, LABELS, verbose=0) for model in (ours, theirs)]
    np.testing.assert_allclose(*evaluated, rtol=1e-4)
    for model in (ours, theirs):
        model.fit(PHOTOS, LABELS, shuffle=False, **QUIET)  # with the optimizer's moments from before
    np.testing.assert_allclose(head(ours), head(theirs), atol=1e-5)


def test_named_outputs_and_losses():
    def build():
        keras.utils.set_random_seed(0)
        photo = keras.Input((SIZE, SIZE, 3))
        x = layers.GlobalAveragePooling2D()(frozen_backbone()(photo))
        kind, light = layers.Dense(3, activation="softmax", name="kind")(x), layers.Dense(1, name="light")(x)
        model = keras.Model(photo, {"kind": kind, "light": light})
        losses = {"kind": "sparse_categorical_crossentropy", "light": "mse"}
        model.compile("sgd", losses, metrics={"kind": ["accuracy"]}, loss_weights={"kind": 1.0, "light": 0.01})
        return model

    compare(build, (PHOTOS, {"kind": LABELS, "light": PHOTOS.mean((1, 2, 3))[:, None] / 255}))


def test_weights_of_photos_and_classes():
    weights = np.linspace(0, 2, 20)
    compare(classifier, (PHOTOS, LABELS, weights))
    compare(classifier, class_weight={0: 1.0, 1: 3.0, 2: 0.5})


def test_what_was_called_with_training_false_stays_in_inference_mode(said):
    model = classifier(unfrozen=3, training=False)
    normalization = model.get_layer("tiny").get_layer("bn2")
    before = normalization.get_weights()
    unfreeze.fit(model, PHOTOS, LABELS, **QUIET)
    gamma, beta, mean, variance = normalization.get_weights()
    assert np.array_equal(mean, before[2])
    assert np.array_equal(variance, before[3])
    assert not np.array_equal(gamma, before[0])  # it is trained all the same
    assert not np.array_equal(beta, before[1])
    assert said[0].startswith("'bn2' (BatchNormalization) runs in inference mode, having been called with training=")


def test_dropout_of_the_head_drops():
    def losses(rate):
        keras.utils.set_random_seed(0)
        photo = keras.Input((SIZE, SIZE, 3))
        x = layers.Flatten(name="flatten")(frozen_backbone()(photo, training=False))
        x = layers.BatchNormalization(name="normalization")(layers.Dropout(rate, name="dropout")(x))
        x = layers.Dense(3, activation="softmax", name="head")(x)
        model = compiled(keras.Model(photo, x), keras.optimizers.SGD(0.0))
        return unfreeze.fit(model, PHOTOS, LABELS, epochs=3, shuffle=False, **QUIET).history["loss"]

    assert np.ptp(losses(0.0)) == 0  # nothing learns
    assert np.ptp(losses(0.5)) > 0.02


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
    np.testing.assert_array_equal(run(saved, PHOTOS), run(model, PHOTOS))
    assert float(saved.optimizer.iterations) == 9
    assert not np.array_equal(head(keras.models.load_model(tmp_path / "1.keras")), head(model))


def test_early_stopping_stops_and_restores():
    model = classifier(optimizer=keras.optimizers.SGD(1e3))  # so large that the first epoch stays the best
    stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=1, restore_best_weights=True)
    validation = (PHOTOS[:4], np.ones(4))
    history = unfreeze.fit(model, PHOTOS, LABELS, epochs=9, validation_data=validation, callbacks=stopping, **QUIET)
    assert len(history.epoch) == stopping.stopped_epoch + 1 < 9
    best = max(history.history["val_accuracy"])
    assert model.evaluate(*validation, verbose=0)[1] == pytest.approx(best)


def test_a_callback_can_stop_after_any_batch():
    model, notes = classifier(), Notes(stop_at=2)
    unfreeze.fit(model, PHOTOS, LABELS, epochs=3, callbacks=[notes], **QUIET)
    assert notes.batches == 2
    unfreeze.fit(model, PHOTOS, LABELS, epochs=1, callbacks=[notes], **QUIET)
    assert notes.batches == 5


def test_an_interrupted_training_goes_on(tmp_path):
    def interrupted(epochs):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
        model = classifier()
        return model, unfreeze.fit(model, PHOTOS, LABELS, epochs=epochs, callbacks=[backup], **QUIET)

    interrupted(2)
    resumed, history = interrupted(4)
    assert history.epoch == [2, 3]
    np.testing.assert_allclose(head(resumed), trained(PHOTOS, LABELS, epochs=4, shuffle=True), atol=1e-6)


# What is kept


def pairs(photos=PHOTOS):
    return [(photos[start : start + 8], LABELS[start : start + 8]) for start in range(0, 20, 8)]


def test_a_second_call_finds_what_frozen_layers_gave(rows_run):
    first = trained(PHOTOS, LABELS, validation_data=(PHOTOS[:4], LABELS[:4]))
    assert sum(rows_run) == 20
    np.testing.assert_array_equal(trained(pairs(), epochs=2), first)
    assert sum(rows_run) == 20
    trained(PHOTOS.astype("float32"), LABELS, epochs=1)  # other bytes
    assert sum(rows_run) == 40


class Mirrored:
    """Batches that are mirrored in every other epoch."""

    def __init__(self):
        self.epochs = 0

    def __iter__(self):
        self.epochs += 1
        return iter(pairs(PHOTOS[:, :, ::-1] if self.epochs % 2 else PHOTOS))


def test_photos_that_change_from_epoch_to_epoch_are_seen_as_they_are(rows_run, said):
    mirrored = trained(Mirrored(), epochs=2)
    assert sum(rows_run) == 40
    assert said[-1].startswith("The photos are others than in the epoch before")
    theirs = classifier()
    for photos in (PHOTOS[:, :, ::-1], PHOTOS):
        theirs.fit(photos, LABELS, shuffle=False, **QUIET)
    np.testing.assert_allclose(mirrored, head(theirs), atol=1e-5)


def test_a_tf_dataset():
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices((PHOTOS, LABELS)).batch(8)
    np.testing.assert_array_equal(trained(dataset, validation_data=dataset.take(1)), trained(PHOTOS, LABELS))


def test_a_folder(solar_cells):
    model = two_classes()
    history = unfreeze.fit(model, solar_cells, validation_data=solar_cells, **QUIET)
    assert history.params["steps"] == 10  # all eighty photos
    files = [file for name in ("defective", "functional") for file in sorted((solar_cells / name).iterdir())]
    photos = np.stack([resize(decode(file.read_bytes()), SIZE, "squash") for file in files])
    loss, accuracy = model.evaluate(photos, np.arange(80) // 40, verbose=0)
    assert history.history["val_loss"] == [pytest.approx(loss, rel=1e-4)]
    assert history.history["val_accuracy"] == [pytest.approx(accuracy)]


def two_classes():
    backbone = frozen_backbone()
    x = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(backbone.output))
    return compiled(keras.Model(backbone.input, x))


def test_half_precision_takes_half_the_disk(tmp_path, monkeypatch):
    def rows_and_head(precision):
        monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / precision))
        kernel = trained(PHOTOS, LABELS, precision=precision)
        [file] = (tmp_path / precision / "activations").rglob("*.npy")
        return np.load(file), kernel

    (whole, whole_head), (half, half_head) = rows_and_head("float32"), rows_and_head("float16")
    assert (whole.dtype, half.dtype) == ("float32", "float16")
    np.testing.assert_array_equal(whole.astype("float16"), half)
    assert 0 < np.abs(whole_head - half_head).max() < 0.01


def test_progress_is_shown_where_keras_shows_its_own(capsys, rows_run):
    unfreeze.fit(classifier(), PHOTOS, LABELS, **QUIET)
    assert capsys.readouterr().out == ""
    unfreeze.fit(classifier(), PHOTOS[:, ::-1], LABELS, epochs=2)
    shown = capsys.readouterr().out
    assert "Running frozen layers" in shown
    assert "Epoch 2/2" in shown


# What can't be cut


def augmented_first():
    photo = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(frozen_backbone()(layers.RandomFlip("horizontal", name="flip")(photo), training=False))
    return compiled(keras.Model(photo, layers.Dense(3, activation="softmax")(x), name="own"))


def several_inputs():
    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    backbone = frozen_backbone()
    x = layers.Flatten()(layers.Add()([backbone(first), backbone(second)]))
    return compiled(keras.Model([first, second], layers.Dense(3, activation="softmax")(x), name="own"))


def subclassed():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own")
            self.features, self.head = frozen_backbone(), layers.Dense(3, activation="softmax")

        def call(self, photo):
            return self.head(keras.ops.mean(self.features(photo), (1, 2)))

    return compiled(Own())


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (augmented_first, r"'flip' \(RandomFlip\) does something else in training than in inference and comes before"),
        (several_inputs, r"it has 2 inputs\."),
        (subclassed, r"it is no Functional or Sequential model\."),
    ],
)
def test_what_cannot_be_cut_is_said_and_trained_plainly(build, reason):
    model = build()
    photos = [PHOTOS, PHOTOS] if build is several_inputs else PHOTOS
    with pytest.warns(UserWarning, match=rf"^own is trained by Keras's own fit, because {reason}"):
        history = unfreeze.fit(model, photos, LABELS, epochs=2, validation_data=(photos, LABELS), **QUIET)
    assert len(history.history["val_loss"]) == 2
    assert float(model.optimizer.iterations) == 6


@pytest.mark.parametrize(
    ("data", "settings", "reason"),
    [
        ((PHOTOS, LABELS), {"validation_split": 0.5}, "the argument validation_split was given"),
        (lambda: iter(pairs()), {}, r"its data \(list_iterator\) can't be read a second time"),
        (lambda: [{"x": PHOTOS}], {}, "its data doesn't come in pairs of photos and labels, but as dict"),
        ((PHOTOS[:, :8], LABELS), {}, r"the photos are \(8, 16, 3\), but its input is \(16, 16, 3\)"),
    ],
)
def test_data_that_only_keras_can_take(data, settings, reason, monkeypatch):
    called = []
    monkeypatch.setattr(keras.Model, "fit", lambda model, *data, **arguments: called.append((data, arguments)))
    with pytest.warns(UserWarning, match=reason):
        unfreeze.fit(classifier(), data() if callable(data) else data, **settings, **QUIET)
    [(given, arguments)] = called
    assert arguments.items() >= {"epochs": 1, "shuffle": True, **settings}.items()
    assert len(given) == (3 if isinstance(data, tuple) else 1)  # Keras refuses a batch size beside batches


def test_a_folder_is_trained_plainly_where_nothing_can_be_cut(solar_cells):
    model = two_classes()
    for layer in model.layers:
        layer.trainable = True
    with pytest.warns(UserWarning, match="none of its layers is frozen"):
        history = unfreeze.fit(compiled(model), solar_cells, validation_data=solar_cells, **QUIET)
    assert history.params["steps"] == 10
    assert "val_loss" in history.history


# Wrong calls


def test_a_model_that_is_not_compiled():
    with pytest.raises(UnfreezeError, match=r"^tiny isn't compiled\. Call model\.compile\(optimizer=\.\.\., loss="):
        unfreeze.fit(tiny_backbone(), PHOTOS, LABELS)


def test_an_unknown_precision():
    with pytest.raises(UnfreezeError, match=r"precision is 'int8'\. It can be 'float32' or 'float16'\."):
        unfreeze.fit(classifier(), PHOTOS, LABELS, precision="int8")
