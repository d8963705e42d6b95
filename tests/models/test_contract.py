"""Every backbone can be cut, exported, saved and loaded: one network a family, all of them with `make test-long`."""

import pytest
from tests.contract import check_backbone
from tests.networks import network

from unfreeze.models.backbones import backbone_names

FAMILIES = [
    "convnexttiny",
    "densenet121",
    "efficientnet_lite0",
    "efficientnetb0",
    "efficientnetv2b0",
    "inceptionresnetv2",
    "inceptionv3",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "nasnetmobile",
    "resnet50",
    "resnet50v2",
    "vgg16",
    "xception",
]
pytestmark = pytest.mark.usefixtures("quick")


@pytest.mark.parametrize("name", FAMILIES)
def test_one_network_of_each_family(name, tmp_path):
    check_backbone(network(name), tmp_path, share=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", backbone_names())
def test_every_network(name, tmp_path):
    check_backbone(network(name), tmp_path)
