"""Views of a photo for which a model is asked in turn when it is used: mirrored, upside down, on its side."""

from collections.abc import Callable
from typing import Any

import numpy as np

VIEWS: dict[str | None, int] = {None: 1, "horizontal": 2, "flips": 4, "dihedral": 8}
"""What a recipe calls them -> how many there are, the photo as it is included; each has all views of those before."""


def turned(pixels: Any, view: int, operations: Any = np) -> Any:
    """Turn square photos.

    Args:
        pixels: [n, size, size, channels].
        view: number of the view: 0 is the photo as it is, 1 its mirror image, 2 and 3 these upside down, and 4 to 7 the
            first four with rows and columns exchanged.
        operations: what has `transpose` and `flip`: NumPy or `keras.ops`.
    """
    if view & 4:
        pixels = operations.transpose(pixels, (0, 2, 1, 3))
    for bit, axis in ((1, 2), (2, 1)):
        if view & bit:
            pixels = operations.flip(pixels, axis)
    return pixels


def over_views(predict: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, test_views: str | None) -> np.ndarray:
    """Average what a model says of photos over their views.

    Args:
        predict: from photos [n, size, size, 3] to probabilities [n, classes].
        pixels: the photos.
        test_views: one of `VIEWS`.
    """
    if test_views is None:
        return predict(pixels)
    return np.mean([predict(turned(pixels, view)) for view in range(VIEWS[test_views])], axis=0)
