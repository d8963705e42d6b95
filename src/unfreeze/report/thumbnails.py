"""Small copies of the photos that a report shows, kept in OUT/thumbnails: the report needs no photo but these."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from unfreeze.data.photos import decode, shrink
from unfreeze.errors import PhotoError
from unfreeze.files import replace_bytes

SIDE = 176
"""The longer side, in pixels: sharp where six stand side by side, and some 8 kB each."""

_QUALITY = 82


def thumbnails(out: Path, paths: Iterable[str], files: Mapping[str, Path]) -> dict[str, str]:
    """Give photos as `data:` addresses that a page can hold; those that can't be had are left out.

    Args:
        out: the series' folder.
        paths: of the photos, as `splits.csv` names them.
        files: path -> file, to make those from that aren't there yet.
    """
    found = {}
    for path in dict.fromkeys(paths):
        kept = out / "thumbnails" / f"{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.jpg"
        if path in files and not kept.exists():
            _make(files[path], kept)
        if kept.exists():
            found[path] = jpeg_address(kept.read_bytes())
    return found


def as_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Encode a photo, uint8 [height, width, 3], RGB, as a JPEG of a quality from 0 to 100."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def jpeg_address(jpeg: bytes) -> str:
    """Give a JPEG as an address that a page can hold."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _make(photo: Path, thumbnail: Path) -> None:
    try:
        pixels = shrink(decode(photo.read_bytes()), SIDE)
    except (OSError, PhotoError):
        return  # the photo is gone; its path is shown all the same
    thumbnail.parent.mkdir(exist_ok=True)
    replace_bytes(thumbnail, as_jpeg(pixels, _QUALITY))
