"""Every backbone can be cut, exported, saved and loaded: networks of three kinds, all of them with `make test-long`."""

import keras
import numpy as np
import pytest
from tests.contract import check_backbone
from tests.networks import SIZE, network

from unfreeze.models.backbones import backbone_names
from unfreeze.models.unfreezing import freeze

QUICK = ["efficientnet_lite0", "mobilenetv3small", "vgg16"]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def normalized():
    """Give a network with random weights whose features tell photos apart, for one test.

    Untrained layers make less of the differences from one to the next; BatchNormalization with statistics that fit
    restores them.
    """
    changed = []

    def normalize(name):
        backbone = network(name)
        changed.append((backbone, backbone.get_weights()))
        norms = [layer for layer in backbone.layers if isinstance(layer, keras.layers.BatchNormalization)]
        freeze(backbone, [layer.name for layer in norms])  # another test may have frozen them: they would stay as is
        momentum = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 0.0
        backbone(np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)).astype("float32"), training=True)
        for layer, kept in zip(norms, momentum, strict=True):
            layer.momentum = kept
        return backbone

    yield normalize
    for backbone, weights in changed:
        backbone.set_weights(weights)


@pytest.mark.parametrize("name", QUICK)
def test_networks_of_three_kinds(name, normalized, tmp_path):
    check_backbone(normalized(name), tmp_path, share=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", backbone_names())
def test_every_network(name, normalized, tmp_path):
    check_backbone(normalized(name), tmp_path)
