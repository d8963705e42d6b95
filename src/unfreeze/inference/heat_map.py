"""Where a network looked: Grad-CAM on its last feature map, and a photo with that laid over it."""

import cv2
import numpy as np

OPACITY = 0.55
"""Of the map where it is warmest; where it is cold the photo shows unchanged."""


def class_activation(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Say how much each place of a photo speaks for a class, for average pooling and one dense layer.

    Grad-CAM weighs each channel with the mean gradient of the class's score (https://arxiv.org/abs/1610.02391,
    equations 1 and 2). Here that gradient is the dense layer's weight divided by the number of places, so the map is
    the class activation map (https://arxiv.org/abs/1512.04150) without its negative part.

    Args:
        features: what is pooled, [rows, columns, channels].
        weights: of the dense layer for this class, [channels].

    Returns:
        float32 [rows, columns], 0 to 1: the largest is 1, or all are 0 where no place speaks for the class.
    """
    heat = np.maximum(features.astype(np.float32) @ weights.astype(np.float32), 0)
    largest = heat.max()
    return heat / largest if largest > 0 else heat


def lay_over(photo: np.ndarray, heat: np.ndarray, resize: str) -> np.ndarray:
    """Colour a photo by a map, from unchanged (0) to red (1).

    Args:
        photo: uint8 [height, width, 3], RGB.
        heat: [rows, columns], 0 to 1, over what the network saw.
        resize: how the photo was brought to the network's size: `squash`, `crop` or `pad`.

    Returns:
        uint8 [height, width, 3]; what `crop` left out stays as it is.
    """
    strength = _over_photo(heat.astype(np.float32), photo.shape[0], photo.shape[1], resize)
    colours = cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    share = (OPACITY * np.sqrt(strength))[..., None]
    return (photo * (1 - share) + colours * share).round().astype(np.uint8)


def _over_photo(heat: np.ndarray, height: int, width: int, resize: str) -> np.ndarray:
    """Stretch a map over the part of the photo that it is of."""
    if resize == "squash":
        return _stretched(heat, height, width)
    short, long = min(height, width), max(height, width)
    if resize == "crop":
        strength = np.zeros((height, width), np.float32)
        top, left = (height - short) // 2, (width - short) // 2
        strength[top : top + short, left : left + short] = _stretched(heat, short, short)
        return strength
    top, left = (long - height) // 2, (long - width) // 2
    return _stretched(heat, long, long)[top : top + height, left : left + width]


def _stretched(heat: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR)
