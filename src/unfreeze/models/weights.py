"""A fingerprint of weights: what lineage records, and the proof that frozen layers did not move."""

import hashlib
import math
import re
from collections.abc import Iterable

import keras
import numpy as np


def weights_sha256(layers: keras.Layer | Iterable[keras.Layer]) -> str:
    """Hash a model's or some layers' weights: names, shapes, types and values, in order.

    Args:
        layers: a model, a layer, or several of them.

    Returns:
        SHA-256 in hexadecimal, the same on every machine and for a copy of the model that was saved and loaded.
    """
    digest = hashlib.sha256()
    for layer in [layers] if isinstance(layers, keras.Layer) else layers:
        for weight in layer.weights:
            values = np.asarray(keras.ops.convert_to_numpy(weight))
            little_endian = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
            # Keras numbers unnamed weights, which ConvNeXt has, through a whole process
            path = re.sub(r"(^|/)variable_\d+$", r"\1variable", weight.path)
            digest.update(f"{path} {tuple(weight.shape)} {weight.dtype}\n".encode())
            digest.update(little_endian.tobytes())
    return digest.hexdigest()


def count_parameters(weights: Iterable[keras.Variable]) -> int:
    """Count the single numbers in some weights."""
    return sum(math.prod(weight.shape) for weight in weights)
