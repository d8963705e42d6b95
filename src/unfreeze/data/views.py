"""Augmented views of a photo: one affine warp each, drawn from (view seed, photo, view number) alone."""

import hashlib
import math

import cv2
import numpy as np

from unfreeze.config import Augmentation


def make_view(
    pixels: np.ndarray, augment: Augmentation, image_size: int, view_seed: int, sha256: str, view: int
) -> np.ndarray:
    """Draw and make one view of a photo.

    Args:
        pixels: uint8 [image_size, image_size, 3].
        augment: what may change and how far.
        image_size: side of the photo in pixels.
        view_seed: draws all views.
        sha256: of the photo's file; names the photo.
        view: number of the view, from 0.

    Returns:
        uint8 [image_size, image_size, 3].
    """
    if is_as_it_is(augment, view):
        return pixels
    return warp(pixels, view_matrix(augment, image_size, view_seed, sha256, view))


def is_as_it_is(augment: Augmentation, view: int) -> bool:
    """Say whether a view is the photo itself.

    Where the number of views is stated, the first one is: frozen layers run on it for whoever doesn't augment, too.
    """
    return augment.views is not None and view == 0


def view_matrix(augment: Augmentation, image_size: int, view_seed: int, sha256: str, view: int) -> np.ndarray:
    """Draw a view: the map from the view's pixel centres to the photo's.

    It means the same as Keras's RandomFlip, RandomRotation, RandomZoom of both sides together and RandomZoom
    of height and width, one after the other, but the photo is interpolated once. Changing one setting of
    `augment` leaves what is drawn for the others as it was.

    Args:
        augment: what may change and how far.
        image_size: side of the photo in pixels.
        view_seed: draws all views.
        sha256: of the photo's file; names the photo.
        view: number of the view, from 0.

    Returns:
        float64 [2, 3]: (x, y) in the photo = matrix @ (x, y, 1) in the view.
    """
    left_right, top_bottom, turn, zoom, height, width = _uniforms(f"{view_seed}:{sha256}:{view}")
    flip = augment.flip or ""
    mirror_x = -1 if "horizontal" in flip and left_right < 0.5 else 1
    mirror_y = -1 if "vertical" in flip and top_bottom < 0.5 else 1
    angle = 2 * math.pi * augment.rotation * (2 * turn - 1)
    scale = 1 + augment.zoom * (2 * zoom - 1)
    scale_x = scale * (1 + augment.width * (2 * width - 1))
    scale_y = scale * (1 + augment.height * (2 * height - 1))
    # On the way back to the photo the last layer comes first: a place in the view is scaled, then turned,
    # then mirrored, all about the middle.
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = np.array([[cosine, -sine], [sine, cosine]])
    linear = np.diag([mirror_x, mirror_y]) @ turned @ np.diag([scale_x, scale_y])
    middle = np.full(2, (image_size - 1) / 2)
    return np.column_stack([linear, middle - linear @ middle])


def warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sample a photo at `matrix`'s places: bilinear, and mirrored beyond its edges (Keras's `reflect`).

    Args:
        pixels: uint8 [height, width, 3].
        matrix: from `view_matrix`, float64 [2, 3].

    Returns:
        uint8 [height, width, 3].
    """
    height, width = pixels.shape[:2]
    return cv2.warpAffine(
        pixels,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )


def _uniforms(name: str) -> list[float]:
    """Hash a name to six numbers, each uniform in [0, 1): the first 53 of 64 bits of SHA-512's words."""
    words = np.frombuffer(hashlib.sha512(name.encode()).digest(), dtype="<u8")[:6]
    return [int(word) / 2**53 for word in words >> np.uint64(11)]
