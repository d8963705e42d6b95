"""Random images and random damage: a photo or a reason, the same for train and test and under any name."""

import io
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from unfreeze.data.catalog import BadFile, Photo, scan
from unfreeze.data.photos import decode, least_sides, resize
from unfreeze.data.sources import open_source
from unfreeze.errors import PhotoError

MODES = ("RGB", "L", "RGBA", "LA", "P", "1", "CMYK", "I;16")
KINDS = {"JPEG": ("RGB", "L", "CMYK"), "PNG": ("RGB", "L", "RGBA", "LA", "P", "1", "I;16"), "WEBP": ("RGB", "RGBA")}
KINDS |= {"GIF": ("L", "P"), "BMP": ("RGB", "L", "1"), "TIFF": MODES}


@st.composite
def images(draw: Any) -> bytes:
    """Draw an image file of any kind, mode, shape and EXIF orientation."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    mode = draw(st.sampled_from(KINDS[kind]))
    height, width = draw(st.sampled_from([(1, 1), (1, 300), (300, 1), (2, 3), (17, 40), (64, 64)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = {"RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4}.get(mode, 1)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16))
    else:
        values = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
        image = Image.frombytes(mode if mode not in ("P", "1") else "L", (width, height), values.tobytes()).convert(
            mode
        )
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 9))
    file = io.BytesIO()
    image.save(file, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
    return file.getvalue()


@st.composite
def damaged_images(draw: Any) -> bytes:
    """Draw an image file, cut short or with some bytes changed, or neither."""
    data = bytearray(draw(images()))
    how = draw(st.sampled_from(["whole", "cut", "changed", "zeros"]))
    place = draw(st.integers(0, len(data) - 1))
    if how == "cut":
        return bytes(data[:place])
    if how == "changed":
        for _ in range(draw(st.integers(1, 5))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    elif how == "zeros":
        data[place:] = bytes(len(data) - place)
    return bytes(data)


def check_whole(data: bytes) -> None:
    pixels = decode(data)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    for how in ("squash", "crop", "pad"):
        small = resize(decode(data, least_sides(24, how)), 24, how)
        assert small.shape == (24, 24, 3)


def check_damaged(data: bytes, folder: Path) -> None:
    """The same bytes in train and test, under any name, are the same photo or have the same reason."""
    files = [
        folder / split / label / name
        for split in ("train", "test")
        for label in "ab"
        for name in ("a.jpg", f"{'ü' * 100}.png")
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    catalog = scan(open_source(folder), None, None, "squash", threads=1)
    found: list[Photo | BadFile] = [*catalog.photos, *catalog.bad]
    assert len(found) == len(files)  # none is lost, and none stands in for another
    reasons = {item.reason if isinstance(item, BadFile) else item.pixels_sha256 for item in found}
    assert len(reasons) == 1
    assert all(reasons)
    assert {(item.path) for item in found} == {file.relative_to(folder).as_posix() for file in files}
    try:
        decode(data)
    except PhotoError as error:
        assert reasons == {str(error)}  # noqa: PT017 (both ways are right)
    else:
        assert not catalog.bad


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(images())
def test_any_image_becomes_pixels(data):
    check_whole(data)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=damaged_images())
def test_damage_gives_pixels_or_a_reason_alike_in_all_splits(data, tmp_path):
    check_damaged(data, tmp_path)


@pytest.mark.slow
@settings(
    max_examples=10_000,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=damaged_images())
def test_ten_thousand_images(data, tmp_path):
    check_damaged(data, tmp_path)


def test_names_of_any_length_and_files_that_can_not_be_read(tmp_path, monkeypatch):
    names = ["x" * 250 + ".jpg", "фото 🍕.jpg", os.fsdecode(b"caf\xe9.jpg"), ".DS_Store", "Thumbs.db"]
    photo = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(photo, "JPEG")
    for label in "ab":
        (tmp_path / label).mkdir()
        for name in names:
            (tmp_path / label / name).write_bytes(photo.getvalue())
        (tmp_path / label / "closed.jpg").write_bytes(photo.getvalue())
        (tmp_path / label / "closed.jpg").chmod(0)
    read = Path.open

    def denied(self: Path, *arguments: Any, **settings: Any) -> Any:
        if not stat.S_IMODE(self.stat().st_mode):  # whoever is root may read it all the same
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *arguments, **settings)

    monkeypatch.setattr(Path, "open", denied)
    catalog = scan(open_source(tmp_path), None, None, "squash")
    assert len(catalog.photos) == 6
    assert [(file.path, file.reason, file.counts) for file in catalog.bad] == [
        (f"{label}/closed.jpg", "can't be read: Permission denied", True) for label in "ab"
    ]
