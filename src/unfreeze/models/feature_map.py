"""What a network gives, as the feature map that a classifier pools: [batch, rows, columns, channels]."""

import math

import keras

from unfreeze.errors import BackboneError


def as_feature_map(features: keras.KerasTensor, network: str) -> keras.KerasTensor:
    """Shape a network's output so that average pooling over it gives the feature vector that its authors use.

    A feature map stays as it is, and a vector becomes a map of one place. A transformer's tokens, [batch, tokens,
    channels], stand for a square grid of patches, with any others in front. Is there one in front, the first is the
    class token, in which the network sums up the photo: it alone becomes a map of one place, as in KerasHub's
    classifiers (https://arxiv.org/abs/2010.11929, section 3.1). Without one the patches become the map.

    Args:
        features: the output.
        network: what to call the network in an error.

    Raises:
        BackboneError: the output has another shape.
    """
    shape = features.shape[1:]
    if None not in shape and len(shape) == 3:
        return features
    if None in shape or len(shape) not in (1, 2):
        raise BackboneError(
            f"{network} can't be a backbone: its output is {features.shape}. It must be a feature map (None, rows, "
            "columns, channels), tokens (None, tokens, channels), or a vector (None, channels)."
        )
    channels = shape[-1]
    if len(shape) == 1:
        return keras.layers.Reshape((1, 1, channels), name="feature_map")(features)
    side = math.isqrt(shape[0])
    if side**2 == shape[0]:
        return keras.layers.Reshape((side, side, channels), name="feature_map")(features)
    class_token = keras.layers.Cropping1D((0, shape[0] - 1), name="class_token")(features)
    return keras.layers.Reshape((1, 1, channels), name="feature_map")(class_token)
