"""Decoding against Pillow and arrays of known pixels; resizing against Keras."""

import io
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps, features

from unfreeze.data import photos
from unfreeze.data.photos import decode, looks_like_photo, photo_size, resize
from unfreeze.errors import PhotoError

RNG = np.random.default_rng(0)
PIXELS = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((60, 45), Image.Resampling.BICUBIC)
)


def encode(image: Image.Image | np.ndarray, kind: str, **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pillow_rgb(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_give_the_pixels_that_were_saved(kind: str) -> None:
    np.testing.assert_array_equal(decode(encode(PIXELS, kind)), PIXELS)


def test_lossless_webp_gives_the_pixels_that_were_saved() -> None:
    np.testing.assert_array_equal(decode(encode(PIXELS, "WEBP", lossless=True)), PIXELS)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 2}, {"keep_rgb": True}]
)
def test_jpeg_equals_pillows_decoder(options: dict[str, object]) -> None:
    data = encode(PIXELS, "JPEG", **options)
    np.testing.assert_array_equal(decode(data), pillow_rgb(data))


def test_grey_jpeg_has_three_equal_channels() -> None:
    data = encode(Image.fromarray(PIXELS).convert("L"), "JPEG")
    np.testing.assert_array_equal(decode(data), pillow_rgb(data))


def test_cmyk_jpeg_is_close_to_the_rgb_it_was_made_from() -> None:
    data = encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert np.abs(decode(data).astype(int) - PIXELS).max() <= 6


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_does(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(PIXELS, kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data), np.asarray(expected))


def test_orientation_6_turns_the_stored_photo_clockwise() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decode(encode(PIXELS, "PNG", exif=exif)), np.rot90(PIXELS, -1))


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_impossible_orientations_are_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decode(encode(PIXELS, "PNG", exif=exif)), PIXELS)


def test_alpha_is_put_on_white() -> None:
    alpha = RNG.integers(0, 256, PIXELS.shape[:2], dtype=np.uint8)
    found = decode(encode(np.dstack([PIXELS, alpha]), "PNG"))
    share = alpha[..., None] / 255
    assert np.abs(found - (PIXELS * share + 255 * (1 - share))).max() <= 1


def test_grey_with_alpha_is_put_on_white() -> None:
    grey = np.array([[0, 0, 200]], dtype=np.uint8)
    alpha = np.array([[0, 255, 255]], dtype=np.uint8)
    found = decode(encode(Image.fromarray(np.dstack([grey, alpha]), "LA"), "PNG"))
    np.testing.assert_array_equal(found, np.repeat(np.array([[[255], [0], [200]]], np.uint8), 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palettes_with_a_transparent_colour_are_put_on_white(kind: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 1, 2, 3])
    image.putdata([0, 1, 2])
    found = decode(encode(image, kind, transparency=1))
    np.testing.assert_array_equal(found, [[[10, 20, 30], [255, 255, 255], [1, 2, 3]]])


def test_one_bit_photos_are_black_and_white() -> None:
    bits = RNG.integers(0, 2, (9, 13)).astype(bool)
    found = decode(encode(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(found, np.repeat(bits[..., None] * np.uint8(255), 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.arange(0, 65536, 32, dtype=np.uint16).reshape(32, 64)
    found = decode(encode(values, kind))
    assert np.abs(found[..., 0] - values / 257).max() <= 0.5
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[..., 0] == found[..., 2]).all()


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG by hand, for what Pillow can't save."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in body
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_16_bit_colour_is_reduced_to_8_bits() -> None:
    found = decode(png(2, 1, 16, 2, b"\0" + struct.pack(">6H", 0, 32896, 65535, 257, 514, 771)))
    np.testing.assert_array_equal(found, [[[0, 128, 255], [1, 2, 3]]])


def test_transparent_value_of_16_bit_grey_is_white() -> None:
    found = decode(png(3, 1, 16, 0, b"\0" + struct.pack(">3H", 0, 1000, 65535), (b"tRNS", struct.pack(">H", 1000))))
    np.testing.assert_array_equal(found[0, :, 0], [0, 255, 255])


def test_32_bit_values_are_refused_because_white_is_unknown() -> None:
    with pytest.raises(PhotoError, match="32-bit values without a known white; save it with 8 or 16 bits"):
        decode(encode(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_first_frame_of_several_is_used(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime")]
    found = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert found.shape == (10, 20, 3)
    assert np.abs(found.astype(int) - [255, 0, 0]).max() <= 8


def test_pixel_limit_holds_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(PIXELS, "PNG")
    monkeypatch.setattr(photos, "PIXEL_LIMIT", 60 * 45 - 1)
    with pytest.raises(PhotoError, match="has 60 x 45 pixels, more than 2,699"):
        decode(data[: len(data) // 2])
    monkeypatch.setattr(photos, "PIXEL_LIMIT", 60 * 45)
    assert decode(data).shape == (45, 60, 3)


def test_a_decompression_bomb_is_refused() -> None:
    with pytest.raises(PhotoError, match="has more than 178,956,970 pixels"):
        decode(png(30_000, 30_000, 8, 2, b""))


ENCODED = {
    "jpeg": encode(PIXELS, "JPEG"),
    "progressive jpeg": encode(PIXELS, "JPEG", progressive=True),
    "cmyk jpeg": encode(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "png": encode(PIXELS, "PNG"),
    "gif": encode(PIXELS, "GIF"),
    "bmp": encode(PIXELS, "BMP"),
    "webp": encode(PIXELS, "WEBP"),
    "tiff": encode(PIXELS, "TIFF"),
    "ppm": encode(PIXELS, "PPM"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_truncated_files_are_refused_and_never_filled_in(name: str) -> None:
    data = ENCODED[name]
    whole = decode(data)
    refused = 0
    for length in range(1, len(data), max(1, len(data) // 40)):
        try:
            found = decode(data[:length])
        except PhotoError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, whole)
    assert refused >= 38


@pytest.mark.parametrize("name", [name for name in ENCODED if "tiff" not in name])
def test_damaged_files_raise_nothing_but_photo_errors(name: str) -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        data = bytearray(ENCODED[name])
        for place in rng.integers(len(data), size=3):
            data[place] = rng.integers(256)
        try:
            found = decode(bytes(data))
        except PhotoError:
            continue
        assert found.dtype == np.uint8


@pytest.mark.parametrize(("name", "share"), [("jpeg", 75), ("progressive jpeg", 95), ("cmyk jpeg", 75)])
def test_a_jpeg_cut_short_with_an_end_marker_is_refused(name: str, share: int) -> None:
    data = ENCODED[name]
    with pytest.raises(
        PhotoError, match=r"^is damaged or incomplete: Corrupt JPEG data: premature end of data segment"
    ):
        decode(data[: len(data) * share // 100] + b"\xff\xd9")


def test_bytes_between_a_whole_jpeg_and_its_end_marker_do_no_harm() -> None:
    data = ENCODED["jpeg"]
    np.testing.assert_array_equal(decode(data[:-2] + bytes(64) + data[-2:]), decode(data))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "^is empty$"),
        (b"hello", "^is no photo, or of a kind that is not read$"),
        (encode(PIXELS, "PCX"), "^is no photo, or of a kind that is not read$"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "^is damaged or incomplete$"),
        (encode(PIXELS, "PNG").replace(b"IHDR\0", b"IHDR\1"), "^is damaged or incomplete$"),
    ],
)
def test_what_is_no_photo_has_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError, match=reason):
        decode(data)


def test_pillows_warnings_stay_inside_in_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # With this limit Pillow warns of every photo here; pytest makes an error of any warning that gets out.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60 * 45 - 1)
    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(decode, [encode(PIXELS, "PNG")] * 64):
            np.testing.assert_array_equal(found, PIXELS)
    assert warnings.filters == filters
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(encode(PIXELS, "PNG")))


@pytest.mark.parametrize(("height", "width", "size"), [(300, 300, 224), (348, 464, 224), (50, 90, 64), (30, 20, 64)])
def test_resize_is_keras_bilinear_antialiased_resize(height: int, width: int, size: int) -> None:
    import keras

    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = keras.ops.convert_to_numpy(
        keras.ops.image.resize(pixels.astype("float32"), (size, size), interpolation="bilinear", antialias=True)
    )
    found = resize(pixels, size, "squash")
    assert found.shape == (size, size, 3)
    assert np.abs(found - expected).max() <= 1.01


def test_resize_keeps_a_photo_of_that_size() -> None:
    pixels = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(pixels, 64, "squash"), pixels)


def test_resize_names_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="resize is 'stretch'; allowed are 'squash', 'crop', 'pad'"):
        resize(PIXELS, 64, "stretch")


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "bmp", "webp", "tiff", "ppm"])
def test_a_photo_is_known_by_its_first_bytes(name: str) -> None:
    assert looks_like_photo("notes.txt", ENCODED[name][: photos.MAGIC_BYTES])


def test_a_photo_is_known_by_its_name() -> None:
    assert looks_like_photo("a/b.JPG", b"")
    assert looks_like_photo("IMG_1.heic", b"")
    assert not looks_like_photo("README.md", b"# BM and GIF8")
    assert not looks_like_photo("jpg", b"")


def heic(image: Image.Image, **options: object) -> bytes:
    """Encode a photo as a phone does, but without loss in colour's resolution."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, **{"quality": -1, "chroma": 444, **options})
    return buffer.getvalue()


def test_heic_gives_the_pixels_that_were_saved() -> None:
    found = decode(heic(Image.fromarray(PIXELS)))
    assert np.abs(found.astype(int) - PIXELS).max() <= 2  # its colour space rounds


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_heic_is_turned_the_right_way_up_once(orientation: int, turns: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = heic(Image.fromarray(PIXELS), exif=exif.tobytes())
    expected = np.rot90(PIXELS, turns)
    assert np.abs(decode(data).astype(int) - expected).max() <= 2
    assert photo_size(data) == (expected.shape[1], expected.shape[0])


def test_transparent_heic_is_put_on_white() -> None:
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putalpha(0)
    assert decode(heic(image)).min() >= 254


def test_the_main_picture_of_a_heic_is_used() -> None:
    several = pillow_heif.HeifFile()
    several.add_from_pillow(Image.fromarray(255 - PIXELS))
    several.add_from_pillow(Image.fromarray(PIXELS))
    buffer = io.BytesIO()
    several.save(buffer, quality=-1, chroma=444, primary_index=1)
    assert np.abs(decode(buffer.getvalue()).astype(int) - PIXELS).max() <= 2


def test_the_pixel_limit_holds_for_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "PIXEL_LIMIT", PIXELS.shape[0] * PIXELS.shape[1] - 1)
    with pytest.raises(PhotoError, match=r"pixels, more than"):
        decode(heic(Image.fromarray(PIXELS)))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_heic_that_is_cut_off_is_refused(share: float) -> None:
    data = heic(Image.fromarray(PIXELS))
    with pytest.raises(PhotoError, match=r"can't be decoded: .*[^\n]$|is damaged or incomplete"):
        decode(data[: int(share * len(data))])


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_close_to_the_pixels_that_were_saved() -> None:
    assert np.abs(decode(encode(PIXELS, "AVIF", quality=100, subsampling="4:4:4")).astype(int) - PIXELS).max() <= 8


def test_pillow_learns_heic_only_when_one_comes() -> None:
    code = (
        "import io, sys, PIL.Image, unfreeze, unfreeze.data.photos as photos\n"
        "buffer = io.BytesIO(); PIL.Image.new('RGB', (8, 8)).save(buffer, 'PNG'); photos.decode(buffer.getvalue())\n"
        "print('pillow_heif' in sys.modules, 'HEIF' in PIL.Image.OPEN)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
