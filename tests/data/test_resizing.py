"""`crop` and `pad` against arithmetic written out with NumPy, for photos of any shape."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from unfreeze.data.photos import decode, least_sides, resize

SIDES = st.integers(1, 150)
SIZES = st.integers(1, 48)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def triangle(length: int, start: float, end: float, size: int) -> np.ndarray:
    """Weights [size, length] with which `size` points between two places on a line see its pixels, antialiased."""
    scale = (end - start) / size
    centres = start + (np.arange(size) + 0.5) * scale
    distance = np.abs(np.arange(length) + 0.5 - centres[:, None]) / max(scale, 1)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


def scaled(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.einsum("ih,hwc,jw->ijc", rows, pixels.astype(float), columns)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, size=SIZES)
@example(height=1, width=1, size=7)
@example(height=1, width=1000, size=8)
@example(height=1001, width=2, size=8)
@example(height=300, width=400, size=32)
def test_crop_is_the_middle_of_the_photo_scaled_by_its_short_side(height: int, width: int, size: int) -> None:
    pixels, side = noise(height, width), min(height, width)
    rows, columns = (triangle(length, (length - side) / 2, (length + side) / 2, size) for length in (height, width))
    found = resize(pixels, size, "crop")
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    assert np.abs(found - scaled(pixels, rows, columns)).max() <= 1.01  # Pillow rounds twice


def test_crop_is_torchvisions_order_of_resizing_and_cutting() -> None:
    wide, tall = noise(300, 400), noise(400, 300)
    scaled_wide = Image.fromarray(wide).resize((128, 96), Image.Resampling.BILINEAR)
    scaled_tall = Image.fromarray(tall).resize((96, 128), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(wide, 96, "crop"), np.asarray(scaled_wide)[:, 16:112])
    np.testing.assert_array_equal(resize(tall, 96, "crop"), np.asarray(scaled_tall)[16:112])


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, size=SIZES)
@example(height=1, width=1, size=7)
@example(height=1, width=1000, size=8)
@example(height=1001, width=2, size=8)
@example(height=3, width=8, size=4)  # 1.5 pixels high: halves go up
def test_pad_is_the_whole_photo_in_black(height: int, width: int, size: int) -> None:
    pixels = noise(height, width)
    inner = [max(1, int(Fraction(size * length, max(height, width)) + Fraction(1, 2))) for length in (height, width)]
    above, left = ((size - length) // 2 for length in inner)
    below, right = size - above - inner[0], size - left - inner[1]
    assert 0 <= below - above <= 1
    assert 0 <= right - left <= 1
    rows, columns = (triangle(length, 0, length, count) for length, count in zip((height, width), inner, strict=True))
    expected = np.pad(scaled(pixels, rows, columns), ((above, below), (left, right), (0, 0)))
    found = resize(pixels, size, "pad")
    assert found.shape == (size, size, 3)
    assert np.abs(found - expected).max() <= 1.01
    assert (found[expected == 0] == 0).all()


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_a_square_photo_is_the_same_however(how: str) -> None:
    np.testing.assert_array_equal(resize(noise(90, 90), 32, how), resize(noise(90, 90), 32, "squash"))


def jpeg(height: int, width: int) -> bytes:
    buffer = io.BytesIO()
    coarse = Image.fromarray(noise(max(1, height // 50), max(1, width // 50)))
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("how", "height", "width", "decoded"),
    [
        ("squash", 500, 2000, (250, 1000)),  # an eighth, a quarter and so on; the short side needs 192 pixels
        ("crop", 2000, 500, (1000, 250)),
        ("pad", 500, 2000, (63, 250)),  # here the long one does
        ("pad", 2000, 500, (250, 63)),
        ("pad", 40, 200, (40, 200)),
    ],
)
def test_a_jpeg_is_decoded_no_finer_than_needed(how: str, height: int, width: int, decoded: tuple[int, int]) -> None:
    data = jpeg(height, width)
    pixels = decode(data, least_sides(96, how))
    assert pixels.shape[:2] == decoded
    whole = resize(decode(data), 96, how).astype(int)
    assert np.abs(resize(pixels, 96, how) - whole).mean() < 1


def test_a_turned_jpeg_is_decoded_like_an_upright_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg(500, 2000))).save(buffer, "JPEG", exif=exif)
    assert decode(buffer.getvalue(), least_sides(96, "pad")).shape == (250, 63, 3)
