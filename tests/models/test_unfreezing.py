"""Which layers `unfreeze` means, on a network of each naming scheme, and freezing them."""

from itertools import pairwise

import keras
import pytest
from tests.networks import network

from unfreeze.config import Blocks
from unfreeze.errors import LayerError
from unfreeze.models.blocks import find_blocks
from unfreeze.models.unfreezing import cut_block, freeze, unfrozen_layers

LITE = "efficientnet_lite0"


def first_unfrozen(name: str, unfreeze: int | str | Blocks) -> str:
    layers = unfrozen_layers(network(name), unfreeze)
    names = [layer.name for layer in network(name).layers]
    assert layers == names[len(names) - len(layers) :]
    return layers[0]


def test_last_layers_count_those_without_weights():
    layers = unfrozen_layers(network(LITE), 10)
    assert layers[0] == "block15_expand_bn"
    assert layers[-3:] == ["head_conv", "head_bn", "head_relu"]
    assert len(layers) == 10
    assert unfrozen_layers(network(LITE), 0) == []


def test_all():
    names = [layer.name for layer in network(LITE).layers]
    assert unfrozen_layers(network(LITE), "all") == names
    assert unfrozen_layers(network(LITE), len(names)) == names


@pytest.mark.parametrize(
    ("name", "unfreeze", "first"),
    [
        (LITE, "block15", "block15_expand_conv"),
        (LITE, "block1", "block1_expand_conv"),  # not block15
        (LITE, "block15_dwconv", "block15_dwconv"),
        (LITE, "head", "head_conv"),
        (LITE, Blocks(blocks=1), "block15_expand_conv"),
        (LITE, Blocks(blocks=16), "block0_dwconv"),
        ("efficientnetb0", "block6", "block6a_expand_conv"),
        ("efficientnetb0", "block6d", "block6d_expand_conv"),
        ("efficientnetb0", Blocks(blocks=2), "block6d_expand_conv"),
        ("mobilenetv3small", "expanded_conv_10", "expanded_conv_10_expand"),
        ("mobilenetv3small", Blocks(blocks=11), "expanded_conv_depthwise_pad"),
        ("resnet50", "conv5", "conv5_block1_1_conv"),
        ("resnet50", Blocks(blocks=2), "conv5_block2_1_conv"),
        ("vgg16", "block5", "block5_conv1"),
        ("densenet121", Blocks(blocks=1), "conv5_block16_0_bn"),
        ("inceptionv3", "mixed1", "conv2d_15"),  # where the block begins, not the layer that ends it
        ("inceptionv3", "mixed10", "conv2d_89"),
        ("inceptionv3", Blocks(blocks=11), "conv2d_8"),
        ("xception", Blocks(blocks=2), "block13_sepconv1_act"),
        ("convnexttiny", Blocks(blocks=1), "convnext_tiny_stage_3_block_2_depthwise_conv"),
        pytest.param("nasnetmobile", "cell_12", "adjust_conv_projection_12", marks=pytest.mark.slow),
        pytest.param("nasnetmobile", Blocks(blocks=2), "adjust_conv_projection_11", marks=pytest.mark.slow),
    ],
)
def test_names_and_blocks(name, unfreeze, first):
    assert first_unfrozen(name, unfreeze) == first


@pytest.mark.parametrize(
    ("name", "count"),
    # Blocks as the papers count them: MBConv blocks, residual units, dense layers, Inception modules, cells.
    [
        (LITE, 16),
        ("efficientnetb0", 16),
        ("mobilenetv3small", 11),
        ("resnet50", 3 + 4 + 6 + 3),
        ("densenet121", 6 + 12 + 24 + 16),
        ("vgg16", 5),
        ("inceptionv3", 11),
        ("xception", 14),
        ("convnexttiny", 3 + 3 + 9 + 3),
        pytest.param("nasnetmobile", 2 + 3 * 4 + 2, marks=pytest.mark.slow),
    ],
)
def test_blocks_are_all_found(name, count):
    blocks = find_blocks(network(name))
    assert len(blocks) == len({block.name for block in blocks}) == count
    for block, following in pairwise(blocks):
        assert block.first <= block.last < following.first


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("xception", set()),
        ("resnet50", {"conv1_conv", "conv1_bn"}),
        pytest.param("nasnetmobile", {"stem_conv1", "stem_bn1"}, marks=pytest.mark.slow),
        ("efficientnetb0", {"stem_conv", "stem_bn", "top_conv", "top_bn"}),
    ],
)
def test_all_weights_but_stem_and_head_are_in_blocks(name, outside):
    layers = network(name).layers
    inside = {layer for block in find_blocks(network(name)) for layer in layers[block.first : block.last + 1]}
    assert {layer.name for layer in layers if layer.weights and layer not in inside} == outside


@pytest.mark.parametrize(
    ("name", "unfreeze", "block"),
    [
        (LITE, 10, "block15"),
        (LITE, 11, None),
        (LITE, 3, None),
        (LITE, 0, None),
        (LITE, "all", None),
        (LITE, "block15", None),
        (LITE, "block15_expand_bn", "block15"),
        (LITE, "block15_project_bn", "block15"),
        ("efficientnetb0", 10, "block7a"),
        ("vgg16", 2, "block5"),
        ("vgg16", 1, None),  # a pooling layer alone has no weights to train
    ],
)
def test_cut_through_a_block_is_told(name, unfreeze, block):
    assert cut_block(network(name), unfrozen_layers(network(name), unfreeze)) == block


@pytest.mark.parametrize(
    ("unfreeze", "message"),
    [
        ("blok15", "efficientnet_lite0 has no layer or block named 'blok15'. Did you mean block15"),
        ("block16", "efficientnet_lite0 has no layer or block named 'block16'."),
        ("block", "efficientnet_lite0 has no layer or block named 'block'."),
        ("", "efficientnet_lite0 has no layer or block named ''."),
        (143, "unfreeze: 143 asks for more layers than efficientnet_lite0 has: there are 142."),
        (
            Blocks(blocks=17),
            "asks for more blocks than efficientnet_lite0 has: there are 16, block0 to block15.",
        ),
    ],
)
def test_what_is_not_there(unfreeze, message):
    with pytest.raises(LayerError) as error:
        unfrozen_layers(network(LITE), unfreeze)
    assert message in str(error.value)
    assert "`all`" in str(error.value)


def test_network_without_blocks():
    photo = keras.Input((8, 8, 3))
    model = keras.Model(photo, keras.layers.Conv2D(4, 3, name="only")(photo), name="tiny")
    with pytest.raises(LayerError, match=r"tiny's layers don't tell its blocks. Give the number of layers"):
        unfrozen_layers(model, Blocks(blocks=1))
    assert unfrozen_layers(model, "only") == ["only"]


@pytest.mark.parametrize("name", ["convnexttiny", "vgg16"])
@pytest.mark.parametrize("unfreeze", [0, 5, "all", 2])
def test_freeze_makes_exactly_these_layers_trainable(name, unfreeze):
    backbone = network(name)
    backbone.trainable = False
    unfrozen = unfrozen_layers(backbone, unfreeze)
    freeze(backbone, unfrozen)
    layers = [layer for layer in backbone.layers if layer.name in unfrozen]
    expected = {weight.path for layer in layers for weight in layer.weights if "moving" not in weight.path}
    assert {weight.path for weight in backbone.trainable_weights} == expected
    assert [layer.name for layer in backbone.layers if layer.trainable] == unfrozen
    freeze(backbone, unfrozen_layers(backbone, "all"))


def test_batch_normalization_statistics_are_never_trainable():
    backbone = network(LITE)
    freeze(backbone, ["head_bn"])
    assert {weight.path for weight in backbone.trainable_weights} == {"head_bn/gamma", "head_bn/beta"}
    freeze(backbone, unfrozen_layers(backbone, "all"))


def test_freeze_refuses_unknown_layers():
    with pytest.raises(LayerError, match="efficientnet_lite0 has no layer named 'block99', 'nose'"):
        freeze(network(LITE), ["head_bn", "nose", "block99"])


def test_frozen_layers_stay_frozen_in_a_saved_model(tmp_path):
    photo = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="first")(photo)
    x = keras.layers.BatchNormalization(name="bn")(x)
    model = keras.Model(photo, keras.layers.Conv2D(4, 3, name="last")(x))
    freeze(model, ["last"])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [weight.path for weight in again.trainable_weights] == ["last/kernel", "last/bias"]
