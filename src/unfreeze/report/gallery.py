"""Photos with what the model took them for."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unfreeze.report.style import GREEN, GREY, RED, SMALL, TEXT, Picture, literally
from unfreeze.report.wording import shorten

_SIDE, _SINGLE_SIDE = 2.3, 4.0
_ABOVE, _BELOW, _GAP = 0.42, 0.3, 0.15
"""Inches: a photo's side, among others and alone; the room above and below it for words; between photos."""

_LETTER, _SMALL_LETTER = 0.085, 0.075
"""Usual width of a letter, in inches."""


class PredictedPhoto(NamedTuple):
    """One photo, its true class and the predicted one.

    Attributes:
        pixels: uint8, [height, width, 3].
        label: true class.
        predicted: most probable class.
        probability: of the predicted class, 0 to 1.
        path: where the photo is.
    """

    pixels: NDArray[np.uint8]
    label: str
    predicted: str
    probability: float
    path: str


def gallery(photos: Sequence[PredictedPhoto]) -> Picture:
    """Lay photos out in a grid, each with its prediction: green and a tick if right, red and a cross if not.

    Args:
        photos: at least one.
    """
    side = _SIDE if len(photos) > 1 else _SINGLE_SIDE
    tallest = max(_height(photo, side) for photo in photos)
    columns = min(len(photos), 3 if len(photos) <= 9 else max(5, math.isqrt(len(photos) - 1) + 1))
    rows = math.ceil(len(photos) / columns)
    right = sum(photo.label == photo.predicted for photo in photos)
    picture = Picture(
        width=columns * (side + _GAP) + _GAP,
        height=rows * (_ABOVE + tallest + _BELOW),
        title=f"{right} of {len(photos)} photos right" if len(photos) > 1 else "",
    )
    picture.set_layout_engine("none")  # every photo has its place
    for number, photo in enumerate(photos):
        row, column = divmod(number, columns)
        left = _GAP + column * (side + _GAP)
        top = (rows - row) * (_ABOVE + tallest + _BELOW) - _ABOVE
        _show(picture, photo, left, top, side)
    return picture


def _show(picture: Picture, photo: PredictedPhoto, left: float, top: float, side: float) -> None:
    """Put a photo where its top left corner and longer side are to be, in inches, and words above and below."""
    width, height = picture.get_size_inches()
    right = photo.label == photo.predicted
    colour, mark = (GREEN, "✓") if right else (RED, "✗")
    axes = picture.add_axes((left / width, (top - side) / height, side / width, side / height), anchor="NW")
    axes.imshow(photo.pixels)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=colour, linewidth=2.5)

    letters = int(side / _LETTER)
    verdict = f"{mark} {shorten(photo.predicted, letters - 8)}  {photo.probability:.0%}"
    truth = "" if right else f"\nis {shorten(photo.label, letters - 3)}"
    foot = top - _height(photo, side)
    x, above, below = left / width, (top + 0.06) / height, (foot - 0.06) / height
    picture.text(x, above, literally(verdict + truth), fontsize=TEXT, color=colour, va="bottom")
    path = literally(shorten(photo.path, int(side / _SMALL_LETTER)))
    picture.text(x, below, path, fontsize=SMALL, color=GREY, va="top")


def _height(photo: PredictedPhoto, side: float) -> float:
    height, width = photo.pixels.shape[:2]
    return side * min(1, height / width)
