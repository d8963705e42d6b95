"""Backbones whose weights are on this machine, told by the names that Keras gives to what it downloads."""

import pytest

from unfreeze.errors import BackboneError
from unfreeze.models import at_hand
from unfreeze.models.applications import APPLICATIONS
from unfreeze.models.at_hand import application_of, backbones_at_hand, weights_at_hand
from unfreeze.models.backbones import build_backbone

OF_ITS_OWN_NAMING = [
    "convnexttiny",
    "densenet121",
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


@pytest.mark.parametrize(
    "name", [name if name in OF_ITS_OWN_NAMING else pytest.param(name, marks=pytest.mark.slow) for name in APPLICATIONS]
)
def test_a_network_is_told_by_the_file_of_its_weights(name, monkeypatch):
    asked = []

    def get_file(file_name=None, *args, fname=None, **kwargs):
        asked.append(file_name or fname)
        raise ConnectionError

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    with pytest.raises(BackboneError):
        build_backbone(name)
    assert [application_of(file) for file in asked] == [name]


def test_weights_with_a_top_and_others_files_are_no_backbones():
    assert application_of("resnet50_weights_tf_dim_ordering_tf_kernels.h5") is None
    assert application_of("my_network_notop.h5") is None


def test_the_smallest_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(at_hand, "weights_installed", lambda variant: variant in (0, 2))
    (tmp_path / "models").mkdir()
    for size, file in enumerate(["efficientnetb1_notop.h5", "other.h5", "efficientnetb0_notop.h5"]):
        (tmp_path / "models" / file).write_bytes(bytes(10 - size))
    expected = ["efficientnet_lite0", "efficientnet_lite2", "efficientnetb0", "efficientnetb1"]
    assert backbones_at_hand() == expected
    assert weights_at_hand() == ", ".join(expected)
