"""A photo beside the views of it that training sees."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unfreeze.report.style import GREY, TEXT, Picture, literally
from unfreeze.report.wording import shorten

_SIDE, _HEAD = 2.2, 0.3
"""Inches: a view's side, and the room above it for its name."""


def view_gallery(photo: NDArray[np.uint8], views: Sequence[NDArray[np.uint8]], path: str, order: str) -> Picture:
    """Lay out a photo, as it is, and its augmented views.

    Args:
        photo: [size, size, 3].
        views: each [size, size, 3], in the order in which training sees them.
        path: where the photo is.
        order: which epoch sees which view, in words.
    """
    named = [("as it is", photo), *((f"view {number}", view) for number, view in enumerate(views, start=1))]
    columns = min(len(named), max(4, math.isqrt(len(named) - 1) + 1))
    rows = math.ceil(len(named) / columns)
    width = columns * _SIDE
    picture = Picture(width, rows * (_SIDE + _HEAD), literally(shorten(path, int(width * 8))), literally(order))
    for place, (name, pixels) in enumerate(named, start=1):
        axes = picture.add_subplot(rows, columns, place)
        axes.imshow(pixels)
        axes.set_title(name, fontsize=TEXT, color=GREY, loc="left")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return picture
