"""Cutting networks in two: prefix and suffix together must be the whole, in outputs and in gradients."""

import functools
import itertools
import math
from collections.abc import Iterator

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.networks import SIZE, assert_close, network, photos, run

from unfreeze.errors import LayerError
from unfreeze.features.cut import ACTIVATION_BYTES, MACS_PER_BYTE, Cut, find_cut, split
from unfreeze.features.graph import calls
from unfreeze.models.applications import APPLICATIONS
from unfreeze.models.backbones import build_backbone
from unfreeze.models.unfreezing import freeze, unfrozen_layers

FAMILIES = [
    "densenet121",
    "efficientnet_lite0",
    "efficientnetb0",
    "inceptionv3",
    "mobilenetv3small",
    "nasnetmobile",
    "resnet50",
    "xception",
]
SLOW = pytest.mark.slow


@functools.cache
def full_size(name: str) -> keras.Model:
    return build_backbone(name, 224, weights=None)


def check_cut(model: keras.Model, unfrozen: list[str], cut: Cut) -> None:
    """Check by the definition that a cut is one, and that its figures are right."""
    before, after = set(cut.prefix), set(cut.suffix)
    assert before.isdisjoint(after)
    assert before | after == {call.layer.name for call in calls(model)}
    assert not any(model.get_layer(name).weights for name in before & set(unfrozen))
    made = {id(tensor) for call in calls(model) if call.layer.name in before for tensor in call.outputs}
    made |= {id(tensor) for tensor in model.inputs}
    for call in calls(model):
        if call.layer.name in before:
            assert all(id(tensor) in made for tensor in call.inputs)
    needed = {id(tensor) for call in calls(model) if call.layer.name in after for tensor in call.inputs}
    needed |= {id(tensor) for tensor in model.outputs}
    assert len(cut.tensors) == len(cut.shapes) == len(made & needed)
    assert cut.prefix_macs + cut.suffix_macs == sum(call.macs for call in calls(model))
    for call in calls(model):  # an unfrozen layer's gradients need all layers after it
        if call.layer.name in before:
            assert call.layer.name not in unfrozen or not call.weights


def through_the_cut(model: keras.Model, cut: Cut, pixels: np.ndarray) -> np.ndarray:
    prefix, suffix = split(model, cut)
    between = prefix(pixels, training=False) if prefix else pixels
    return keras.ops.convert_to_numpy(suffix(between, training=False) if suffix else between)


def gradients(forward, weights, projection: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Give what `forward` gives, and the gradients of a projection of it; TensorFlow only."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        outputs = forward()
        value = tf.reduce_sum(outputs * projection)
    slopes = tape.gradient(value, [weight.value for weight in weights])
    return outputs.numpy(), [tf.convert_to_tensor(slope).numpy() for slope in slopes]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("share", [1 / 3, pytest.param(0.9, marks=SLOW)])
def test_prefix_then_suffix_is_the_whole_model(name, share):
    model = network(name)
    cut = find_cut(model, unfrozen_layers(model, round(share * len(model.layers))))
    assert_close(through_the_cut(model, cut, photos()), run(model, photos()))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_cut_is_valid(name):
    model = network(name)
    for n in range(0, len(model.layers) + 1, max(1, len(model.layers) // 40)):
        unfrozen = unfrozen_layers(model, n)
        check_cut(model, unfrozen, find_cut(model, unfrozen))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients with TensorFlow")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("n", [15, pytest.param(60, marks=SLOW)])
def test_gradients_are_those_of_the_whole_model(name, n):
    model = network(name)
    unfrozen = unfrozen_layers(model, n)
    freeze(model, unfrozen)
    weights = model.trainable_weights
    prefix, suffix = split(model, find_cut(model, unfrozen))
    assert prefix is not None
    assert suffix is not None
    assert {id(weight) for weight in suffix.trainable_weights} == {id(weight) for weight in weights}

    projection = np.random.default_rng(1).normal(size=(2, *model.output_shape[1:])).astype("float32")
    between = prefix(photos(), training=False)
    whole, expected = gradients(lambda: model(photos(), training=False), weights, projection)
    parts, actual = gradients(lambda: suffix(between, training=False), weights, projection)
    assert_close(parts, whole)
    assert len(expected) > 2
    for weight, a, e in zip(weights, actual, expected, strict=True):
        scale = max(np.abs(e).max(), 1e-6)
        np.testing.assert_allclose(a / scale, e / scale, rtol=0, atol=1e-4, err_msg=weight.path)
    freeze(model, unfrozen_layers(model, "all"))


@SLOW
@pytest.mark.parametrize("name", [name for name in APPLICATIONS if name not in FAMILIES])
def test_every_other_network(name):
    test_prefix_then_suffix_is_the_whole_model(name, 1 / 3)
    test_every_cut_is_valid(name)
    test_gradients_are_those_of_the_whole_model(name, 15)


@pytest.mark.parametrize(
    ("name", "unfreeze", "tensor", "shape"),
    [
        ("efficientnetb0", 10, "block6d_add", (7, 7, 192)),  # begins inside a squeeze-and-excitation branch
        ("efficientnet_lite0", 10, "block14_add", (7, 7, 192)),
        ("efficientnet_lite0", "block15", "block14_add", (7, 7, 192)),
        ("resnet50", "conv5_block3", "conv5_block2_out", (7, 7, 2048)),
        ("efficientnet_lite0", "head", "block15_project_bn", (7, 7, 320)),
    ],
)
def test_known_cuts_at_full_size(name, unfreeze, tensor, shape):
    model = full_size(name)
    cut = find_cut(model, unfrozen_layers(model, unfreeze))
    assert cut.tensors == (tensor,)
    assert cut.shapes == (shape,)
    assert cut.bytes_per_photo == 2 * np.prod(shape)


def test_nothing_unfrozen_is_cut_at_the_output():
    model = network("efficientnet_lite0")
    cut = find_cut(model, [])
    assert cut.at_output
    assert cut.tensors == ("head_relu",)
    assert cut.suffix_macs == 0
    assert split(model, cut) == (model, None)
    assert find_cut(model, ["head_relu", "block3_relu"]) == cut  # no weights, so nothing is trained


def test_everything_unfrozen_is_cut_at_the_pixels():
    model = network("efficientnet_lite0")
    cut = find_cut(model, unfrozen_layers(model, "all"))
    assert cut.at_pixels
    assert cut.tensors == ("pixels",)
    assert cut.bytes_per_photo == SIZE * SIZE * 3
    assert cut.prefix_macs == 0
    assert split(model, cut) == (None, model)


@pytest.mark.parametrize(
    ("name", "published", "tolerance"),
    [
        ("resnet50", 3.8e9, 0.02),  # He et al. 2015, table 1
        ("mobilenetv2", 300e6, 0.02),  # Sandler et al. 2018, table 4
        ("efficientnetb0", 0.39e9, 0.02),  # Tan and Le 2019, table 2
    ],
)
def test_arithmetic_is_the_published_one(name, published, tolerance):
    model = full_size(name)
    classifier = 1000 * model.output_shape[-1]
    assert find_cut(model, []).prefix_macs + classifier == pytest.approx(published, rel=tolerance)


def test_no_single_tensor_is_cheaper():
    model = network("inceptionv3")
    unfrozen = unfrozen_layers(model, 40)
    cut = find_cut(model, unfrozen)
    block_ends = [f"mixed{i}" for i in range(9)]
    assert set(block_ends) & set(cut.prefix)
    for end in block_ends:
        tensor = model.get_layer(end).output
        after = keras.Model(tensor, model.output)
        macs = sum(call.macs for call in calls(after))
        stored = ACTIVATION_BYTES * math.prod(tensor.shape[1:])
        assert cost(cut.suffix_macs, cut.bytes_per_photo) <= cost(macs, stored)


def test_layers_and_weights_are_shared():
    model = network("efficientnet_lite0")
    prefix, suffix = split(model, find_cut(model, unfrozen_layers(model, 10)))
    assert prefix is not None
    assert suffix is not None
    assert suffix.get_layer("head_conv") is model.get_layer("head_conv")
    assert prefix.get_layer("stem_conv") is model.get_layer("stem_conv")
    assert len(prefix.weights) + len(suffix.weights) == len(model.weights)


def test_unknown_layer():
    with pytest.raises(LayerError, match="efficientnet_lite0 has no layer named 'block99'"):
        find_cut(network("efficientnet_lite0"), ["block99"])


def test_photos_of_any_size():
    photo = keras.Input((None, None, 3))
    model = keras.Model(photo, keras.layers.Conv2D(2, 3, name="convolution")(photo), name="tiny")
    with pytest.raises(LayerError, match=r"tiny takes inputs of any size.*Build it with a fixed image size"):
        find_cut(model, ["convolution"])


# Graphs that no network of keras.applications has. Their inputs are wide, for an early cut to be no bargain.
WIDE = 64


def dense(name: str) -> keras.layers.Dense:
    return keras.layers.Dense(3, name=name, kernel_initializer=keras.initializers.HeNormal(seed=len(name)))


def test_shared_layer_frozen_and_trained():
    left, right = keras.Input((WIDE,), name="left"), keras.Input((WIDE,), name="right")
    tower = dense("tower")
    merged = keras.layers.Add(name="merged")([tower(left), dense("own")(tower(right))])
    model = keras.Model([left, right], dense("head")(merged))
    inputs = [np.ones((2, WIDE), "float32"), np.full((2, WIDE), 2, "float32")]

    cut = find_cut(model, ["head"])
    assert cut.tensors == ("merged",)
    np.testing.assert_allclose(through_the_cut(model, cut, inputs), run(model, inputs), rtol=1e-5)

    cut = find_cut(model, ["own"])
    assert set(cut.tensors) == {"tower", "tower:1"}
    np.testing.assert_allclose(through_the_cut(model, cut, inputs), run(model, inputs), rtol=1e-5)

    assert find_cut(model, ["tower"]).at_pixels


def test_early_output_is_in_the_suffix():
    photo = keras.Input((WIDE,), name="photo")
    early = dense("early")(dense("base")(photo))
    model = keras.Model(photo, {"early": early, "late": dense("late")(dense("middle")(early))})
    cut = find_cut(model, ["late"])
    assert cut.tensors == ("base",)
    prefix, suffix = split(model, cut)
    assert prefix is not None
    assert suffix is not None
    pixels = np.ones((2, WIDE), "float32")
    actual, expected = suffix(prefix(pixels)), model(pixels)
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=1e-6)
    assert find_cut(model, []).at_output


def test_nested_model_is_one_layer():
    photo = keras.Input((WIDE,), name="photo")
    inner = keras.Sequential([keras.Input((WIDE,)), dense("a"), dense("b")], name="inner")
    model = keras.Model(photo, dense("head")(inner(photo)))
    assert find_cut(model, ["head"]).tensors == ("inner",)
    assert find_cut(model, ["head"]).prefix_macs == WIDE * 3 + 3 * 3
    assert find_cut(model, ["inner"]).at_pixels


@st.composite
def random_models(draw: st.DrawFn) -> keras.Model:
    """Draw a graph of up to seven layers, each on one or two earlier tensors."""
    photo = keras.Input((WIDE,), name="photo")
    tensors = [dense("stem")(photo)]
    for i in range(draw(st.integers(2, 7))):
        first = tensors[draw(st.integers(0, len(tensors) - 1))]
        second = tensors[draw(st.integers(0, len(tensors) - 1))]
        if draw(st.booleans()) and first is not second:
            tensors.append(keras.layers.Add(name=f"layer{i}")([first, second]))
        else:
            tensors.append(dense(f"layer{i}")(tensors[-1]))
    return keras.Model(photo, tensors[-1])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(random_models(), st.data())
def test_random_graphs(model, data):
    names = [call.layer.name for call in calls(model)]
    unfrozen = data.draw(st.lists(st.sampled_from(names), unique=True))
    cut = find_cut(model, unfrozen)
    check_cut(model, unfrozen, cut)
    pixels = np.random.default_rng(0).normal(size=(2, WIDE)).astype("float32")
    np.testing.assert_allclose(through_the_cut(model, cut, pixels), run(model, pixels), rtol=1e-4, atol=1e-5)
    trained = [name for name in unfrozen if model.get_layer(name).weights]
    assert cut.at_output == (not trained)
    if trained:
        assert cost(cut.suffix_macs, cut.bytes_per_photo) == min(all_costs(model, unfrozen))


def cost(macs: int, stored: int) -> int:
    return macs + MACS_PER_BYTE * stored


def all_costs(model: keras.Model, unfrozen: list[str]) -> Iterator[int]:
    """Try every set of layers as a prefix."""
    graph = calls(model)
    for choice in itertools.product([True, False], repeat=len(graph)):
        prefix = [call for call, chosen in zip(graph, choice, strict=True) if chosen]
        suffix = [call for call, chosen in zip(graph, choice, strict=True) if not chosen]
        made = {id(tensor): tensor for call in prefix for tensor in call.outputs}
        pixels = {id(tensor): tensor for tensor in model.inputs}
        needed = {id(tensor) for call in suffix for tensor in call.inputs}
        if any(call.layer.name in unfrozen and call.weights for call in prefix) or any(
            id(tensor) not in made | pixels for call in prefix for tensor in call.inputs
        ):
            continue
        stored = sum(2 * math.prod(tensor.shape[1:]) for key, tensor in made.items() if key in needed)
        stored += sum(math.prod(tensor.shape[1:]) for key, tensor in pixels.items() if key in needed)
        yield cost(sum(call.macs for call in suffix), stored)
