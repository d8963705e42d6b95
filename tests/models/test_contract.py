"""Every backbone can be cut, exported, saved and loaded: networks of three kinds, all of them with `make test-long`."""

import pytest
from tests.contract import check_backbone
from tests.networks import fit_statistics, network

from unfreeze.features.onnx_export import export_bytes
from unfreeze.free_memory import available_bytes
from unfreeze.models.backbones import backbone_names
from unfreeze.models.unfreezing import freeze

QUICK = ["efficientnet_lite0", "mobilenetv3small", "vgg16"]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def normalized():
    """Give a network with random weights whose features tell photos apart, for one test."""
    changed = []

    def normalize(name):
        backbone = network(name)
        changed.append((backbone, backbone.get_weights()))
        freeze(backbone, [layer.name for layer in backbone.layers])  # another test may have frozen them
        fit_statistics(backbone)
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
    backbone = normalized(name)
    fits = export_bytes(backbone) < available_bytes()  # ConvNeXtXLarge wants 8 GB
    check_backbone(backbone, tmp_path, in_onnx=fits)
