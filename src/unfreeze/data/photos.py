"""Decoding and resizing: from a file's bytes to the pixels that a network sees."""

import functools
import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from unfreeze.errors import PhotoError
from unfreeze.limits import PIXEL_LIMIT

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
"""What Pillow may read: everyday formats, so that rarely used decoders see no untrusted file."""

PHOTO_NAME = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|gif|bmp|dib|webp|tiff?|p[bgpn]m|avif|hei[cf]|jp2|jxl|tga|dng|cr2|nef|arw)$",
    re.I,
)
"""How photos' names end, among them kinds that are not read."""

MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM....\0{4}|II\*\0|MM\0\*|RIFF....WEBP|....ftyp(avi|hei|hev|mif|msf)|P[1-6]\s",
    re.DOTALL,
)
"""How photos' contents begin."""

MAGIC_BYTES = 12
"""Bytes of a file that `MAGIC` looks at, at most."""

HEIC = re.compile(rb"....ftyp(hei|hev|mif|msf)", re.DOTALL)
"""How HEIC begins, and some AVIF."""

FILE_LIMIT = 8 * PIXEL_LIMIT
"""Largest file read, in bytes: four channels of 16 bits without compression."""

ORIENTATION_TAG = 0x0112

SPARE_PIXELS = 2
"""A JPEG is decoded at a smaller scale as long as it keeps this many times the pixels, a side, that it is resized to.
On photos of groceries that moves a resized pixel by 0.45 grey levels on average and no accuracy beyond chance, and
halves or better the time for photos of a megapixel and more; with 1 in place of 2 it is 3.9 grey levels."""

_HARMLESS = re.compile(r"extraneous bytes before marker 0xd9")
_DAMAGED = re.compile(r"Corrupt JPEG data|Premature end")


def decode(data: bytes, least: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Decode a photo the right way up, as a viewer would show it on white.

    The first frame of an animation is taken; EXIF orientation is applied; palettes, CMYK and 16-bit values
    become 8-bit RGB. Truncated and damaged files are refused, never filled in.

    Args:
        data: the file's bytes; what they are decides, not the file's name.
        least: a JPEG may come out smaller than it is, as long as its short and its long side have so many pixels: its
            decoder then leaves out the finest detail, in an eighth of the time for a phone's photo. 0 and 0 for all.

    Returns:
        uint8 [height, width, 3], RGB.

    Raises:
        PhotoError: this can't be decoded; the message is the reason.
    """
    if not data:
        raise PhotoError("is empty")
    with _no_warnings():
        try:
            return _decode(data, least)
        except PhotoError:
            raise
        except UnidentifiedImageError:
            raise PhotoError(_why_unknown(data)) from None
        except Image.DecompressionBombError:
            raise PhotoError(f"has more than {PIXEL_LIMIT:,} pixels") from None
        except Exception as error:  # decoders raise nearly anything on damaged files
            raise PhotoError(f"can't be decoded: {str(error).strip() or type(error).__name__}") from error


def photo_size(data: bytes) -> tuple[int, int]:
    """Give width and height of a photo that `decode` accepts, in pixels and the right way up; decodes nothing."""
    with _no_warnings(), _open(data) as image:
        turned = _orientation(image) >= 5
        return (image.height, image.width) if turned else (image.width, image.height)


def first_bytes(file: Path) -> bytes:
    """Read what tells photos from other files, so that no big file of another kind is read whole.

    Raises:
        PhotoError: there is no such file, or it is too large.
        OSError: it can't be read.
    """
    if not file.exists():
        raise PhotoError("is not there" if not file.is_symlink() else "is a link to a file that is not there")
    if not file.is_file():
        raise PhotoError("is no regular file")
    if file.stat().st_size > FILE_LIMIT:
        raise PhotoError("is larger than any photo within the pixel limit")
    with file.open("rb") as content:
        return content.read(MAGIC_BYTES)


def looks_like_photo(name: str, start: bytes) -> bool:
    """Tell by its name or its first `MAGIC_BYTES` whether a file is meant to be a photo, readable or not."""
    return PHOTO_NAME.search(name) is not None or MAGIC.match(start) is not None


def shrink(pixels: np.ndarray, longest: int) -> np.ndarray:
    """Make a photo so small that its longer side has at most `longest` pixels, keeping its shape; for people to see."""
    import cv2  # takes a tenth of a second, and predictions do without

    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def resize(pixels: np.ndarray, size: int, how: str) -> np.ndarray:
    """Resize a photo to a square, bilinear and antialiased.

    Args:
        pixels: uint8 [height, width, 3].
        size: side of the square in pixels.
        how: `squash` takes the whole photo, whatever its shape. `crop` scales the short side to `size` and takes the
            middle; that is exact to fractions of a pixel, so nothing is rounded. `pad` scales the long side to `size`
            and the short one in proportion, to the nearest pixel (halves up, at least 1), with black around it as in
            Keras's `pad_to_aspect_ratio`; of an odd number of black lines the last is below or to the right.

    Returns:
        uint8 [size, size, 3].
    """
    photo, bilinear = Image.fromarray(pixels), Image.Resampling.BILINEAR
    match how:
        case "squash":
            return np.array(photo.resize((size, size), bilinear))
        case "crop":
            side = min(photo.size)
            left, top = (photo.width - side) / 2, (photo.height - side) / 2
            return np.array(photo.resize((size, size), bilinear, box=(left, top, left + side, top + side)))
        case "pad":
            side = max(photo.size)
            width, height = (max(1, (2 * size * length + side) // (2 * side)) for length in photo.size)
            square = np.zeros((size, size, 3), np.uint8)
            left, top = (size - width) // 2, (size - height) // 2
            square[top : top + height, left : left + width] = np.asarray(photo.resize((width, height), bilinear))
            return square
        case _:
            from unfreeze.config import Resize  # takes a while: it builds what reads recipes

            raise ValueError(f"resize is {how!r}; allowed are {', '.join(map(repr, get_args(Resize)))}.")


def least_sides(size: int, how: str) -> tuple[int, int]:
    """Give the short and the long side that a photo must be decoded to, for `resize` to give good pixels."""
    least = SPARE_PIXELS * size
    return (0 if how == "pad" else least), least


def _decode(data: bytes, least: tuple[int, int]) -> np.ndarray:
    with _open(data) as image:
        if image.width * image.height > PIXEL_LIMIT:
            raise PhotoError(f"has {image.width} x {image.height} pixels, more than {PIXEL_LIMIT:,}")
        is_jpeg = image.format in ("JPEG", "MPO")
        pixels = _decode_jpeg(data, image, least) if is_jpeg else None
        if pixels is None:
            image.load()
            pixels = _to_rgb(image)
        # After loading, because Pillow turns TIFFs itself and then drops the tag.
        return _turn(pixels, _orientation(image))


def _open(data: bytes) -> Image.Image:
    """Read a file's header; nothing is decoded yet."""
    formats = FORMATS
    if HEIC.match(data):
        _teach_heic()
        formats += ("HEIF",)
    return Image.open(io.BytesIO(data), formats=formats)


@functools.cache
def _teach_heic() -> None:
    """Teach Pillow to read HEIC, when the first one comes; it turns those the right way up by itself."""
    if "HEIF" not in Image.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _decode_jpeg(data: bytes, image: Image.Image, least: tuple[int, int]) -> np.ndarray | None:
    """Decode a JPEG strictly, which Pillow does not; None leaves it to Pillow: CMYK, and what is unusual."""
    try:
        colours = "CMYK" if image.mode == "CMYK" else "RGB"
        height, width = least if image.height <= image.width else reversed(least)
        # Without a least side simplejpeg takes the smallest scale that it has.
        smallest: dict[str, Any] = {"min_height": height, "min_width": width} if any(least) else {}
        pixels = simplejpeg.decode_jpeg(data, colours, **smallest)
    except ValueError as error:
        reason = str(error)
        # libjpeg gives its first warning: if that is of bytes before the end marker, the picture is whole.
        if _DAMAGED.search(reason) and not _HARMLESS.search(reason):
            raise PhotoError(f"is damaged or incomplete: {reason}") from error
        return None
    return None if image.mode == "CMYK" else pixels


def _why_unknown(data: bytes) -> str:
    return "is damaged or incomplete" if MAGIC.match(data) else "is no photo, or of a kind that is not read"


def _to_rgb(image: Image.Image) -> np.ndarray:
    """Convert any mode to 8-bit RGB, with transparent parts on white."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _from_16_bit(image)
    if image.mode in ("I", "F"):
        raise PhotoError("has 32-bit values without a known white; save it with 8 or 16 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _from_16_bit(image: Image.Image) -> np.ndarray:
    """Scale 16-bit grey to 8 bits (65,535 becomes 255), where Pillow itself would clip."""
    values = np.asarray(image).astype(np.uint32)
    grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return np.repeat(grey[..., None], 3, axis=2)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a photo with damaged EXIF data is still a photo
        return 1


def _turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (EXIF 2.32, tag 0x0112): 2 to 8 mirror and turn, all else is upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


_silence = threading.Lock()
_silent_threads = 0
_saved_filters: warnings.catch_warnings


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Ignore Pillow's warnings in any number of threads, from the first one in to the last one out."""
    global _silent_threads, _saved_filters
    with _silence:
        if _silent_threads == 0:
            _saved_filters = warnings.catch_warnings()
            _saved_filters.__enter__()
            warnings.simplefilter("ignore")
        _silent_threads += 1
    try:
        yield
    finally:
        with _silence:
            _silent_threads -= 1
            if _silent_threads == 0:
                _saved_filters.__exit__(None, None, None)
