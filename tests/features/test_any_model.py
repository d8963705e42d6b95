"""Anybody's model in two: the halves give what the whole gives, and nothing that acts in training is in the first."""

from contextlib import nullcontext

import keras
import numpy as np
import pytest
from tests.networks import SIZE, assert_close, network, photos, run

from unfreeze.features.any_model import CutError, halve
from unfreeze.features.flatten import Stand, acts_in_training, flatten
from unfreeze.features.graph import calls
from unfreeze.progress import reporting_to

layers = keras.layers


def freeze(backbone, unfrozen=0):
    for place, layer in enumerate(backbone.layers):
        layer.trainable = place >= len(backbone.layers) - unfrozen
    return backbone


def classifier(backbone, **called):
    photo = keras.Input((SIZE, SIZE, 3))
    x = layers.GlobalAveragePooling2D(name="pooling")(backbone(photo, **called))
    return keras.Model(photo, layers.Dense(3, name="own_head")(x), name="own")


class Said(list):
    say = list.append

    def task(self, title, total):
        return nullcontext(lambda steps: None)


@pytest.fixture
def said():
    said = Said()
    with reporting_to(said):
        yield said


# The halves


@pytest.mark.parametrize("unfrozen", [0, 12])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenetv3small", "densenet121"])
def test_the_halves_are_the_whole(name, unfrozen):
    model = classifier(freeze(network(name), unfrozen), training=False)
    halves = halve(model)
    assert_close(run(halves.suffix, halves.prefix(photos(), training=False)), run(model, photos()))
    trained = [id(variable) for variable in model.trainable_variables]
    assert [id(variable) for variable in halves.suffix.trainable_variables] == trained
    assert not halves.prefix.trainable_variables
    if not unfrozen:
        assert halves.prefix.output_shape == (None, network(name).output_shape[-1])


def test_the_model_is_left_as_it_was(tmp_path):
    model = classifier(freeze(network("efficientnet_lite0"), 5), training=False)
    config, output = model.get_config(), run(model, photos())
    halve(model)
    assert model.get_config() == config
    model.save(tmp_path / "own.keras")
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "own.keras"), photos()), output)


def test_dropout_in_the_backbone_holds_the_cut_back_unless_it_was_called_in_inference_mode(said):
    backbone = freeze(keras.applications.EfficientNetB0(False, None, input_shape=(SIZE, SIZE, 3)))
    pinned = halve(classifier(backbone, training=False))
    assert pinned.prefix.output_shape == (None, 1280)
    assert said[0].startswith("'block2b_drop' (Dropout) and 8 more layers run in inference mode, having been called")
    said.clear()
    free = halve(classifier(backbone))
    names = [layer.name for layer in free.prefix.layers]
    assert "block2a_project_conv" in names
    assert not any("drop" in name for name in names)
    assert said == [
        "Frozen layers behind 'block2b_drop' (Dropout) run in every epoch: it does something else in training than in "
        "inference. If it should not, call the model that it belongs to with training=False."
    ]


def test_what_is_in_inference_mode_stays_there_in_training():
    photo, inner_photo = keras.Input((4,)), keras.Input((4,))
    inner = keras.Model(inner_photo, layers.Dropout(0.5)(layers.BatchNormalization(momentum=0.0)(inner_photo)))
    model = keras.Model(photo, layers.Dense(1)(inner(photo, training=False)))
    numbers = np.random.default_rng(0).normal(5, 1, (8, 4)).astype("float32")
    flat = flatten(model)
    in_training = keras.ops.convert_to_numpy(keras.ops.stop_gradient(flat(numbers, training=True)))
    np.testing.assert_array_equal(in_training, run(model, numbers))
    assert not inner.layers[1].moving_mean.numpy().any()
    model(numbers, training=True)  # Keras's own way with it: as soon as it does otherwise, ours can go
    assert inner.layers[1].moving_mean.numpy().all()


# Flat graphs


def test_a_flat_graph_has_no_models_in_it_and_names_of_its_own():
    photo, inner_photo, deepest_photo = (keras.Input((2, 2, 3)) for _ in range(3))
    deepest = keras.Model(deepest_photo, layers.Conv2D(3, 1, name="conv")(deepest_photo), name="deepest")
    inner = keras.Sequential([inner_photo, deepest, layers.Conv2D(3, 1, name="conv_1")], name="inner")
    x = layers.Conv2D(3, 1, name="conv")(inner(photo))
    model = keras.Model(photo, keras.ops.concatenate([x, deepest(x)]))
    flat = flatten(model)
    assert [call.layer.name for call in calls(flat)][:4] == ["conv", "conv_1", "conv_2", "conv"]  # conv is shared
    assert not any(isinstance(layer, keras.Model) for layer in flat.layers)
    numbers = np.random.default_rng(0).random((2, 2, 2, 3), "float32")
    np.testing.assert_array_equal(run(flat, numbers), run(model, numbers))
    assert {id(weight) for weight in flat.weights} == {id(weight) for weight in model.weights}


def test_a_model_that_cannot_be_opened_stays_one_layer():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="own_features")
            self.conv = layers.Conv2D(4, 3)

        def call(self, photo):
            return self.conv(photo)

    photo = keras.Input((SIZE, SIZE, 3))
    features = Own()
    x = layers.Dense(2)(layers.GlobalAveragePooling2D()(features(photo)))
    features.trainable = False
    halves = halve(keras.Model(photo, x))
    assert features in halves.prefix.layers
    assert halves.prefix.output_shape == (None, 4)


def test_normalization_becomes_rescaling():
    normalization = layers.Normalization(mean=[100.0, 110.0, 120.0], variance=[900.0, 1600.0, 0.0])
    photo = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(photo, normalization(photo))
    flat = flatten(model)
    assert type(flat.layers[1]) is layers.Rescaling
    assert_close(run(flat, photos()), run(model, photos()), 1e-6)
    along_the_height = layers.Normalization(axis=1, mean=np.arange(SIZE), variance=np.ones(SIZE))
    assert type(flatten(keras.Model(photo, along_the_height(photo))).layers[1]) is layers.Normalization


# What acts in training


class Own(keras.layers.Layer):
    def call(self, x, training=False):
        return x


def built(layer, trainable=True):
    layer(keras.Input((4, 4, 3)))
    layer.trainable = trainable
    return layer


@pytest.mark.parametrize(
    ("layer", "acts"),
    [
        (layers.Dropout(0.5), True),
        (layers.Dropout(0.0), False),
        (layers.SpatialDropout2D(0.1), True),
        (layers.GaussianNoise(0.1), True),
        (layers.RandomFlip(), True),
        (layers.RandomRotation(0.1), True),
        (layers.BatchNormalization(), True),
        (layers.SpectralNormalization(layers.Conv2D(2, 1)), True),
        (keras.Sequential([layers.Conv2D(2, 1), layers.Dropout(0.1)]), True),
        (layers.Conv2D(2, 1, activity_regularizer="l2"), True),
        (Own(), True),
        (layers.Conv2D(2, 1, kernel_regularizer="l2"), False),
        (layers.LayerNormalization(), False),
        (layers.Rescaling(2), False),
        (keras.Sequential([layers.Conv2D(2, 1), layers.ReLU()]), False),
        (layers.MultiHeadAttention(1, 2, dropout=0.1), True),
        (layers.MultiHeadAttention(1, 2), False),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_acts_in_training(layer, acts):
    if isinstance(layer, layers.MultiHeadAttention):
        layer(keras.Input((4, 3)), keras.Input((4, 3)))
    else:
        built(layer)
    assert acts_in_training(layer) is acts
    assert not acts_in_training(Stand(layer, "stand", inference=True))
    assert acts_in_training(Stand(layer, "stand", inference=False)) is acts


def test_frozen_batch_normalization_does_not_act():
    assert not acts_in_training(built(layers.BatchNormalization(), trainable=False))
    assert acts_in_training(built(layers.Dropout(0.5), trainable=False))


# What can't be cut


def chain(*middle, size=SIZE):
    photo = x = keras.Input((size, size, 3))
    for layer in middle:
        x = layer(x)
    return keras.Model(photo, layers.Dense(2, name="own_head")(layers.GlobalAveragePooling2D()(x)), name="own")


def frozen_conv(name="conv", filters=8, size=3):
    return layers.Conv2D(filters, size, trainable=False, name=name)


def without_training():
    model = chain(frozen_conv())
    model.get_layer("own_head").trainable = False
    return model


def own_step():
    class Stepping(keras.Model):
        def train_step(self, *args):
            return super().train_step(*args)

    model = chain(frozen_conv())
    return Stepping(model.input, model.output)


def weights_beside_the_graph():
    model = chain(frozen_conv(size=9))
    model.extra = layers.Dense(2)
    model.extra.build((None, 2))
    return model


class Unsized(keras.layers.Layer):
    def call(self, x):
        return x

    def compute_output_spec(self, x):
        return keras.KerasTensor((None, None, None, x.shape[-1]))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: chain(layers.Conv2D(8, 3)), "none of its layers is frozen; set `trainable = False` for those to keep"),
        (lambda: chain(layers.Conv2D(8, 3, name="first"), frozen_conv()), r"'first' \(Conv2D\) is trained and comes"),
        (lambda: chain(layers.RandomZoom(0.1, name="zoom"), frozen_conv()), r"'zoom' \(RandomZoom\) does something"),
        (lambda: chain(frozen_conv(size=1), layers.Conv2D(9, 3)), "its frozen layers before the trained ones take"),
        (lambda: chain(frozen_conv(), size=None), r"its input has no fixed size: \(None, None, 3\)$"),
        (lambda: chain(frozen_conv(), Unsized(name="unsized")), r"what 'unsized' \(Unsized\) gives has no fixed size$"),
        (lambda: keras.Sequential([frozen_conv()]), "it is not built$"),
        (without_training, "nothing in it is trained$"),
        (own_step, "its class has its own train_step$"),
        (weights_beside_the_graph, "some of its trained weights don't belong to layers between"),
    ],
)
def test_what_cannot_be_cut(build, reason):
    with pytest.raises(CutError, match=f"^{reason}"):
        halve(build())
