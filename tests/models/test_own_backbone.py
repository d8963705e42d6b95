"""A network of one's own as a backbone: what it may be, what is refused, and that its content is known."""

import json

import keras
import numpy as np
import pytest
import yaml
from tests.contract import check_backbone
from tests.networks import run
from tests.tiny import SIZE, tiny_backbone, tiny_photos

import unfreeze
from unfreeze.errors import BackboneError, RunError
from unfreeze.models.backbones import build_backbone, default_image_size, pretrained_backbone
from unfreeze.models.weights import weights_sha256

layers = keras.layers


def saved(model, folder):
    file = folder / "mine.keras"
    model.save(file)
    return str(file)


def model_to(output, photo=None):
    """Build a model that puts a layer or two behind a convolution."""
    photo = keras.Input((SIZE, SIZE, 3)) if photo is None else photo
    return keras.Model(photo, output(layers.Conv2D(4, 5, strides=4, padding="same", name="conv")(photo)))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "model",
    [
        tiny_backbone,
        lambda: model_to(layers.GlobalMaxPooling2D(name="pooling")),
        lambda: keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]),
        lambda: model_to(lambda x: tiny_backbone()(layers.UpSampling2D(4)(layers.Conv2D(3, 1)(x)))),
    ],
    ids=["feature map", "vector", "sequential", "nested"],
)
def test_holds_the_contract(model, tmp_path):
    keras.utils.set_random_seed(1)  # some random weights give the same for every photo: ReLU's zero
    check_backbone(build_backbone(saved(model(), tmp_path)), tmp_path)


def test_has_the_files_weights_and_layers(tmp_path):
    model = tiny_backbone()
    file = saved(model, tmp_path)
    backbone = build_backbone(file)
    photos = tiny_photos(4)[0].astype("float32")
    np.testing.assert_array_equal(run(backbone, photos), run(model, photos))
    assert [layer.name for layer in backbone.layers] == [layer.name for layer in model.layers]
    assert default_image_size(file) == SIZE


def test_a_vector_is_what_a_classifier_gets(tmp_path):
    model = model_to(layers.GlobalMaxPooling2D(name="pooling"))
    backbone = build_backbone(saved(model, tmp_path))
    photos = tiny_photos(4)[0].astype("float32")
    assert backbone.output_shape == (None, 1, 1, 4)
    np.testing.assert_array_equal(run(backbone, photos)[:, 0, 0], run(model, photos))
    assert [layer.name for layer in backbone.layers[-2:]] == ["own_pooling", "feature_map"]


def test_of_tokens_the_class_token_or_the_grid_is_pooled(tmp_path):
    photos = tiny_photos(2)[0].astype("float32")
    grid = model_to(layers.Reshape((16, 4)))
    np.testing.assert_array_equal(
        run(build_backbone(saved(grid, tmp_path)), photos), run(grid, photos).reshape(2, 4, 4, 4)
    )
    tokens = model_to(lambda x: layers.ZeroPadding1D((0, 2))(layers.Reshape((16, 4))(x)))
    np.testing.assert_array_equal(
        run(build_backbone(saved(tokens, tmp_path)), photos)[:, 0], run(tokens, photos)[:, :1]
    )


def test_other_models_are_refused(tmp_path):
    two = keras.Input((SIZE, SIZE, 3)), keras.Input((4,))
    for model, message in (
        (keras.Model(two, layers.Flatten()(two[0])), "its model has 2 inputs and 1 outputs. It must have one of each"),
        (model_to(lambda x: [x, x + 1]), "its model has 1 inputs and 2 outputs"),
        (
            model_to(lambda x: x, keras.Input((None, None, 3))),
            r"its input is \(None, None, None, 3\). It must be square",
        ),
        (model_to(lambda x: x, keras.Input((SIZE, 8, 3))), rf"its input is \(None, {SIZE}, 8, 3\)"),
        (model_to(lambda x: x, keras.Input((SIZE, SIZE, 1))), rf"its input is \(None, {SIZE}, {SIZE}, 1\)"),
        (model_to(lambda x: layers.Reshape((2, 2, 4, 4))(x)), r"its output is \(None, 2, 2, 4, 4\). It must be a feat"),
        (model_to(layers.Lambda(lambda x: x + 1)), "can't be loaded safely as a Keras model: .*no Lambda"),
    ):
        with pytest.raises(BackboneError, match=message):
            build_backbone(saved(model, tmp_path))


@keras.saving.register_keras_serializable("tests")
class OwnLayer(layers.Layer):
    def call(self, inputs):
        return inputs


def test_classes_of_ones_own_and_damaged_files_are_refused(tmp_path, monkeypatch):
    file = saved(model_to(OwnLayer()), tmp_path)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "tests>OwnLayer")
    with pytest.raises(BackboneError, match=r"mine.keras can't be loaded safely .*OwnLayer.* no classes of your own\."):
        build_backbone(file)
    (tmp_path / "mine.keras").write_bytes(b"nonsense")
    with pytest.raises(BackboneError, match=r"mine.keras can't be loaded safely as a Keras model: .*model.save"):
        build_backbone(file)
    with pytest.raises(BackboneError, match=r"There is no file .*nowhere.keras. A backbone of your own is a model"):
        default_image_size(str(tmp_path / "nowhere.keras"))


def test_another_image_size_is_refused(tmp_path):
    file = saved(tiny_backbone(), tmp_path)
    assert build_backbone(file, SIZE).input_shape == (None, SIZE, SIZE, 3)
    with pytest.raises(BackboneError, match=f"takes photos of {SIZE} x {SIZE} pixels, and image_size is 224. Leave"):
        build_backbone(file, 224)


def test_new_content_under_the_same_name_is_seen(tmp_path):
    file = saved(tiny_backbone(seed=0), tmp_path)
    first = weights_sha256(pretrained_backbone(file, SIZE))
    assert weights_sha256(pretrained_backbone(file, SIZE)) == first
    saved(tiny_backbone(seed=1), tmp_path)
    assert weights_sha256(pretrained_backbone(file, SIZE)) == weights_sha256(build_backbone(file)) != first


def test_a_series_knows_the_content_of_its_file(solar_cells, tmp_path, monkeypatch):
    """Feature extraction and fine-tuning from it, called from one folder and then from another."""
    photo = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(photo)
    for name in ("first", "second"):
        x = layers.Conv2D(8, 3, strides=2, activation="relu", name=name)(x)
    file = saved(keras.Model(photo, x), tmp_path)
    (tmp_path / "recipe.yaml").write_text(
        "{name: own, backbone: mine.keras, fraction: 0.2, epochs: 1,"
        " experiments: {a: {}, b: {from: a, unfreeze: second}}}"
    )
    monkeypatch.chdir(tmp_path)
    unfreeze.run("recipe.yaml", data=solar_cells, out="out")
    config = yaml.safe_load((tmp_path / "out/experiments/b/seed-0/config.yaml").read_text())
    assert (config["backbone"], config["image_size"]) == (file, 32)
    lineage = json.loads((tmp_path / "out/experiments/b/seed-0/lineage.json").read_text())
    assert lineage["phases"][0]["unfrozen_layers"] == ["second"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    unfreeze.run("../out/recipe.yaml", data=solar_cells, out="../out")

    saved(keras.Model(photo, layers.ReLU()(x)), tmp_path)
    with pytest.raises(RunError, match="holds a run with other settings:\n  backbone_sha256: there"):
        unfreeze.run("../out/recipe.yaml", data=solar_cells, out="../out")
