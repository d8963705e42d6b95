"""Networks of KerasHub, from folders that its own classes wrote; the hub itself is out of reach here."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from tests.contract import check_backbone
from tests.networks import assert_close, run

import unfreeze
from unfreeze.errors import BackboneError
from unfreeze.models import hub
from unfreeze.models.backbone_files import backbone_sha256
from unfreeze.models.backbones import build_backbone, default_image_size

SIZE = 32
SCALE, OFFSET = [1 / 255 / 0.2, 1 / 255 / 0.3, 1 / 255], [-2.0, -1.5, -1.0]
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("DINOV2", "SwinTransformer")]
KINDS = ["ResNet", "ViT", *SLOW]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub")


@pytest.fixture
def preset(keras_hub, tmp_path):
    """Save a small network of a kind with random weights, as KerasHub saves presets; gives it and its folder."""

    def save(kind):
        made = {
            "ResNet": lambda: keras_hub.models.ResNetBackbone([64], [3], [64, 128], [1, 1], [1, 2], "basic_block"),
            "ViT": lambda: keras_hub.models.ViTBackbone((SIZE, SIZE, 3), 8, 2, 2, 16, 32),
            "DINOV2": lambda: keras_hub.models.DINOV2Backbone(
                8, 2, 16, 2, 32, num_register_tokens=2, image_shape=(SIZE, SIZE, 3)
            ),
            "SwinTransformer": lambda: keras_hub.models.SwinTransformerBackbone(
                (SIZE, SIZE, 3), embed_dim=8, depths=(1, 1), num_heads=(1, 2), window_size=4
            ),
        }
        network = made[kind]()
        converter = getattr(keras_hub.layers, f"{kind}ImageConverter")
        network.save_to_preset(str(tmp_path / kind))
        converter((SIZE, SIZE), scale=SCALE, offset=OFFSET).save_to_preset(str(tmp_path / kind))
        return network, tmp_path / kind

    return save


@pytest.mark.parametrize("kind", KINDS)
def test_holds_the_contract(preset, kind, tmp_path):
    _, folder = preset(kind)
    check_backbone(build_backbone(f"keras_hub:{folder}"), tmp_path, in_onnx=kind in ("ResNet", "DINOV2"))


@pytest.mark.parametrize("kind", KINDS)
def test_equals_kerashub_with_its_own_preprocessing(keras_hub, preset, kind):
    theirs, folder = preset(kind)
    ours = build_backbone(f"keras_hub:{folder}")
    photos = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3)).astype("float32")
    pixels = keras_hub.layers.ImageConverter.from_preset(str(folder))(photos)
    expected = run(theirs, keras.tree.pack_sequence_as(theirs.input, [pixels]))
    if kind in ("ViT", "DINOV2"):
        expected = expected[:, :1, None]  # the class token
    assert_close(run(ours, photos), expected.reshape(2, *ours.output_shape[1:]))
    assert default_image_size(f"keras_hub:{folder}") == SIZE


def test_layers_of_keras_can_be_unfrozen_one_by_one(preset):
    network, folder = preset("ResNet")
    ours = build_backbone(f"keras_hub:{folder}")
    assert [layer.name for layer in ours.layers] == ["pixels", "rescaling", *(x.name for x in network.layers[1:])]
    _, folder = preset("ViT")
    names = ["pixels", "rescaling", "network", "class_token", "feature_map"]
    for _ in range(2):
        assert [layer.name for layer in build_backbone(f"keras_hub:{folder}").layers] == names


def test_other_image_sizes(preset):
    _, folder = preset("ResNet")
    assert build_backbone(f"keras_hub:{folder}", 64).output_shape == (None, 8, 8, 128)
    _, folder = preset("DINOV2")  # it interpolates its positions
    assert build_backbone(f"keras_hub:{folder}", 64).input_shape == (None, 64, 64, 3)
    _, folder = preset("ViT")
    with pytest.raises(BackboneError, match="ViT can't be built for photos of 64 x 64 pixels: "):
        build_backbone(f"keras_hub:{folder}", 64)


def test_without_weights_it_is_the_same_network(preset):
    _, folder = preset("ResNet")
    ours, other = (build_backbone(f"keras_hub:{folder}", weights=weights) for weights in ("imagenet", None))
    assert [layer.name for layer in ours.layers] == [layer.name for layer in other.layers]
    assert any((a != b).any() for a, b in zip(ours.get_weights(), other.get_weights(), strict=True))


def test_a_folder_that_does_not_say_how_it_wants_its_pixels(preset):
    _, folder = preset("ResNet")
    (folder / "image_converter.json").unlink()
    with pytest.raises(BackboneError, match=r"has no image_converter.json, .*save_to_preset\."):
        build_backbone(f"keras_hub:{folder}")


def test_a_folder_without_an_image_size(keras_hub, preset):
    _, folder = preset("ResNet")
    keras_hub.layers.ResNetImageConverter(scale=SCALE).save_to_preset(str(folder))
    assert build_backbone(f"keras_hub:{folder}", SIZE).input_shape == (None, SIZE, SIZE, 3)
    with pytest.raises(BackboneError, match=r"doesn't say how large its photos are. Set image_size, such as 224"):
        default_image_size(f"keras_hub:{folder}")


def test_the_hash_is_of_all_files(preset):
    _, folder = preset("ResNet")
    before = backbone_sha256(f"keras_hub:{folder}")
    converter = json.loads((folder / "image_converter.json").read_text())
    converter["config"]["scale"] = 1.0
    (folder / "image_converter.json").write_text(json.dumps(converter))
    assert backbone_sha256(f"keras_hub:{folder}") != before
    assert backbone_sha256("keras_hub:resnet_50_imagenet") is None


def test_unknown_presets(keras_hub, tmp_path):
    with pytest.raises(BackboneError, match=r"no preset 'resnet_51_imagenet' in KerasHub. Did you mean resnet_50_im"):
        default_image_size("keras_hub:resnet_51_imagenet")
    with pytest.raises(BackboneError, match=r"keras_hub:.* can't be loaded: .*no config.json"):
        default_image_size(f"keras_hub:{tmp_path}")


def test_a_failing_download_names_what_is_at_hand(keras_hub, monkeypatch):
    def fail(*arguments, **settings):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("keras_hub.src.utils.preset_utils.get_file", fail)
    with pytest.raises(BackboneError) as error:
        build_backbone("keras_hub:resnet_50_imagenet")
    assert str(error.value).startswith(
        "keras_hub:resnet_50_imagenet can't be fetched: no route to host. Try again when"
    )
    assert "take a backbone whose weights are: efficientnet_lite0" in str(error.value)


def test_without_kerashub(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(BackboneError, match=r"KerasHub can't be imported: .* Run: pip install 'unfreeze\[keras-hub\]'"):
        build_backbone("keras_hub:resnet_50_imagenet")
    assert hub.model_name("hf://timm/resnet18.a1_in1k") == "keras_hub_resnet18_a1_in1k"


@pytest.mark.slow
def test_a_series_whose_model_a_fresh_process_loads(preset, solar_cells, tmp_path):
    _, folder = preset("ViT")
    experiments = {"a": {"fraction": 0.2}, "b": {"from": "a", "fraction": 0.2, "unfreeze": "network"}}
    (tmp_path / "recipe.yaml").write_text(
        json.dumps({"name": "hub", "backbone": f"keras_hub:{folder}", "epochs": 1, "experiments": experiments})
    )
    unfreeze.run(tmp_path / "recipe.yaml", data=solar_cells, out=tmp_path / "out")
    code = (
        "import sys, unfreeze, keras; predictor = unfreeze.load(sys.argv[1]); "
        "print(predictor.model.layers[1].layers[2].name)"
    )
    run_folder = tmp_path / "out" / "experiments" / "b" / "seed-0"
    done = subprocess.run([sys.executable, "-c", code, run_folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "network"
