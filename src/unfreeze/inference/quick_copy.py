"""A copy of a network in the cache folder that starts in a fraction of a second, because it needs no Keras.

<cache>/engines/HASH/network.onnx   the copy: what `unfreeze export --format onnx` writes
<cache>/engines/HASH/why_not.txt    in its place, where there can be none
"""

import hashlib
import importlib.metadata
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unfreeze import __version__, progress
from unfreeze.data.cache_folder import ENGINES, cache_folder
from unfreeze.files import replace_text, write_atomically
from unfreeze.inference.description import Description
from unfreeze.inference.sample import sample_pixels
from unfreeze.seals import METRICS, is_as_sealed, read_sealed, seal_file
from unfreeze.text import error_in_a_line

if TYPE_CHECKING:
    import keras

    from unfreeze.inference.onnx_network import OnnxNetwork

TOLERANCE = 1e-4
"""Largest difference of a probability from Keras's with which a copy is used; rounding makes about 1e-6."""

COMPARED = 4
"""Photos on which a copy is compared with Keras before it is used."""


def run_key(run: Path) -> str:
    """Name all that a finished run's predictions depend on.

    Raises:
        RunError: the run's figures are missing or damaged.
    """
    figures = read_sealed(run / METRICS)
    files = [figures["files"][name] for name in ("model.keras", "classes.json", "config.yaml")]
    return _key([*files, figures["temperature"]])


def backbone_key(name: str) -> str:
    """Name all that the predictions of a pretrained network as it is depend on."""
    return _key([name])


def copy_file(key: str) -> Path:
    """Name the file of the copy of this key, which need not be there."""
    return _folder(key) / "network.onnx"


def open_copy(key: str) -> "OnnxNetwork | None":
    """Open the copy of this key, if it is there and can be used."""
    file = copy_file(key)
    if not is_as_sealed(file):
        return None
    from unfreeze.inference.onnx_network import OnnxNetwork

    try:
        return OnnxNetwork(file)
    except Exception:  # a damaged copy is no copy; it is made again
        return None


def make_copy(key: str, model: "keras.Model", description: Description) -> "OnnxNetwork | None":
    """Make the copy of this key, and compare it with Keras; the first time that this fails, that is said.

    Args:
        key: of the network.
        model: it gives uncalibrated probabilities.
        description: of the network.

    Returns:
        The copy, or None where there can be none.
    """
    folder = _folder(key)
    if (folder / "why_not.txt").exists():
        return None
    from unfreeze.inference.onnx_network import OnnxNetwork
    from unfreeze.inference.write_export import write_onnx

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (
            progress.task("Preparing the network, once", 1),
            write_atomically(folder / "network.onnx") as temporary,
        ):
            write_onnx(model, description, temporary)
            network = OnnxNetwork(temporary)
            _ensure_same(network, model, description)
        seal_file(folder / "network.onnx")
        return network
    except Exception as error:  # exporters fail in too many ways to name
        reason = error_in_a_line(error)
        progress.say(f"Predictions come from Keras, which takes seconds to start, not from ONNX Runtime: {reason}")
        with suppress(OSError):
            replace_text(folder / "why_not.txt", reason)
        return None


def _ensure_same(network: "OnnxNetwork", model: "keras.Model", description: Description) -> None:
    import keras

    from unfreeze.data.turned import over_views
    from unfreeze.evaluation.calibration import calibrate

    pixels = sample_pixels(description.image_size, COMPARED)

    def predict(view: np.ndarray) -> Any:
        return keras.ops.convert_to_numpy(model(view.astype(np.float32), training=False))

    own = over_views(predict, pixels, description.test_views)
    difference = float(np.abs(network.probabilities(pixels) - calibrate(own, description.temperature)).max())
    if not difference <= TOLERANCE:
        raise ValueError(f"its probabilities differ from Keras's by {difference:.2g}")


def _key(content: list[object]) -> str:
    versions = [__version__, importlib.metadata.version("keras")]
    return hashlib.sha256(json.dumps([*content, *versions]).encode()).hexdigest()[:32]


def _folder(key: str) -> Path:
    return cache_folder() / ENGINES / key
