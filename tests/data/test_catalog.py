"""Every file is read once, and every file that can't be used is listed with its reason."""

import csv
import hashlib
import os
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unfreeze import progress
from unfreeze.data import catalog as catalog_module
from unfreeze.data import photos as photos_module
from unfreeze.data.catalog import BadFile, Catalog, hash_pixels, pixel_store, scan, write_bad_files
from unfreeze.data.photos import decode, resize
from unfreeze.data.sources import open_source

Make = Callable[[dict[str, int]], Path]
Encode = Callable[..., bytes]


def scanned(root: Path, cache: Path | None = None) -> Catalog:
    store = pixel_store(cache, 32, "squash") if cache is not None else None
    return scan(open_source(root), store, 32, "squash", threads=3)


def test_photos_have_hashes_sizes_and_labels(make_photos: Make) -> None:
    root = make_photos({"cat": 3, "dog": 2})
    catalog = scanned(root)
    assert catalog.source_name == "photos"
    assert catalog.root == root
    assert catalog.classes == ("cat", "dog")
    assert [photo.path for photo in catalog.photos] == [
        *("cat/000.png", "cat/001.png", "cat/002.png", "dog/000.png", "dog/001.png")
    ]
    assert catalog.bad == ()
    for photo in catalog.photos:
        data = (root / photo.path).read_bytes()
        assert photo.sha256 == hashlib.sha256(data).hexdigest()
        assert photo.pixels_sha256 == hash_pixels(decode(data))
        assert (photo.width, photo.height) == (40, 30)
        assert (photo.label, photo.split) == (photo.path[:3], None)


def test_the_store_holds_each_photo_decoded_and_resized(make_photos: Make, tmp_path: Path) -> None:
    catalog = scanned(make_photos({"cat": 3, "dog": 2}), tmp_path / "cache")
    rows = pixel_store(tmp_path / "cache", 32, "squash").read([photo.sha256 for photo in catalog.photos])
    for photo, row in zip(catalog.photos, rows, strict=True):
        np.testing.assert_array_equal(row, resize(decode(photo.file.read_bytes()), 32, "squash"))


def test_a_second_scan_decodes_nothing_and_finds_the_same(
    encode_photo: Encode, make_photos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_photos({"cat": 3, "dog": 2})
    first = scanned(root, tmp_path / "cache")
    (root / "dog" / "new.png").write_bytes(encode_photo(99))
    decoded = []
    monkeypatch.setattr(catalog_module, "decode", lambda data, side: decoded.append(data) or decode(data, side))
    second = scanned(root, tmp_path / "cache")
    assert decoded == [encode_photo(99)]
    assert second.photos[:-1] == first.photos


def test_a_changed_file_is_decoded_again(encode_photo: Encode, make_photos: Make, tmp_path: Path) -> None:
    root = make_photos({"cat": 2, "dog": 2})
    before = scanned(root, tmp_path / "cache").photos[0]
    before.file.write_bytes(encode_photo(77))
    after = scanned(root, tmp_path / "cache").photos[0]
    assert after.path == before.path
    assert after.sha256 != before.sha256
    row = pixel_store(tmp_path / "cache", 32, "squash").read([after.sha256])[0]
    np.testing.assert_array_equal(row, resize(decode(encode_photo(77)), 32, "squash"))


def test_equal_files_share_a_row(encode_photo: Encode, make_photos: Make, tmp_path: Path) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    for number in range(20):
        (root / "cat" / f"copy{number}.png").write_bytes(encode_photo(0))
    assert len(scanned(root, tmp_path / "cache").photos) == 22
    assert len(pixel_store(tmp_path / "cache", 32, "squash")) == 2


def test_other_sizes_have_other_stores(tmp_path: Path) -> None:
    assert pixel_store(tmp_path, 32, "squash").folder != pixel_store(tmp_path, 64, "squash").folder


def test_equal_pixels_in_other_files_have_the_same_pixel_hash(encode_photo: Encode, make_photos: Make) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    (root / "dog" / "twin.bmp").write_bytes(encode_photo(0, "BMP"))
    cat, _, twin = scanned(root).photos
    assert cat.sha256 != twin.sha256
    assert cat.pixels_sha256 == twin.pixels_sha256


def test_equal_bytes_of_another_shape_have_another_pixel_hash() -> None:
    assert hash_pixels(np.zeros((2, 3, 3), np.uint8)) != hash_pixels(np.zeros((3, 2, 3), np.uint8))


def test_bad_files_have_a_reason_and_only_photos_count(encode_photo: Encode, make_photos: Make) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    cat = root / "cat"
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "half.png").write_bytes(encode_photo(1)[:200])
    (cat / "half_without_ending").write_bytes(encode_photo(1)[:200])
    (cat / "gone.jpg").symlink_to(root / "nowhere.jpg")
    (cat / "notes.txt").write_text("my notes")
    (cat / "text.jpeg").write_text("my notes")
    (root / "labels.csv").write_text("a,b")
    (root / "loose.jpg").write_bytes(encode_photo(2))
    catalog = scanned(root)
    assert len(catalog.photos) == 2
    assert catalog.bad == (
        BadFile("cat/empty.jpg", "is empty", True),
        BadFile("cat/gone.jpg", "is a link to a file that is not there", True),
        BadFile("cat/half.png", "can't be decoded: image file is truncated", True),
        BadFile("cat/half_without_ending", "can't be decoded: image file is truncated", True),
        BadFile("cat/notes.txt", "is no photo", False),
        BadFile("cat/text.jpeg", "is no photo, or of a kind that is not read", True),
        BadFile("labels.csv", "lies beside the class folders, so it has no class", False),
        BadFile("loose.jpg", "lies beside the class folders, so it has no class", True),
    )


def test_a_photo_under_a_wrong_name_is_a_photo(encode_photo: Encode, make_photos: Make) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    (root / "cat" / "gif.jpg").write_bytes(encode_photo(5, "GIF"))
    (root / "cat" / "png.txt").write_bytes(encode_photo(6))
    assert [photo.path for photo in scanned(root).photos][1:3] == ["cat/gif.jpg", "cat/png.txt"]


def test_big_files_of_other_kinds_are_not_read(make_photos: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    (root / "cat" / "film.mp4").write_bytes(bytes(4000))
    (root / "cat" / "huge.jpg").write_bytes(bytes(5000))
    monkeypatch.setattr(photos_module, "FILE_LIMIT", 4500)
    read = []
    read_bytes = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or read_bytes(path))
    assert scanned(root).bad == (
        BadFile("cat/film.mp4", "is no photo", False),
        BadFile("cat/huge.jpg", "is larger than any photo within the pixel limit", True),
    )
    assert sorted(read) == ["000.png", "000.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_do_not_hang(make_photos: Make) -> None:
    root = make_photos({"cat": 1, "dog": 1})
    os.mkfifo(root / "cat" / "pipe.jpg")
    assert scanned(root).bad == (BadFile("cat/pipe.jpg", "is no regular file", True),)


def test_splits_that_were_given_are_known_without_a_usable_photo(make_photos: Make) -> None:
    root = make_photos({"train/cat": 1, "train/dog": 1})
    (root / "test" / "cat").mkdir(parents=True)
    (root / "test" / "cat" / "bad.jpg").write_bytes(b"")
    assert scanned(root).given == {"train", "test"}


def test_progress_counts_every_file(make_photos: Make) -> None:
    root = make_photos({"cat": 3, "dog": 2})
    (root / "cat" / "bad.jpg").write_bytes(b"")
    seen = []

    class Reporter:
        @contextmanager
        def task(self, title: str, total: int):
            seen.append((title, total))
            yield seen.append

        def say(self, message: str) -> None:
            pass

    with progress.reporting_to(Reporter()):
        scanned(root)
    assert seen == [("Reading photos", 6), 1, 1, 1, 1, 1, 1]


def test_bad_files_csv(tmp_path: Path) -> None:
    write_bad_files(
        tmp_path / "bad_files.csv",
        [BadFile('a,"b".jpg', "is empty", True), BadFile("ü.txt", "is no photo", False)],
    )
    assert (tmp_path / "bad_files.csv").read_bytes().startswith(b"path,reason\n")
    with (tmp_path / "bad_files.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "reason"],
            ['a,"b".jpg', "is empty"],
            ["ü.txt", "is no photo"],
        ]


def test_elpv_is_decoded_as_pillow_does(tmp_path: Path) -> None:
    source = open_source("elpv")
    some = type(source)(source.name, source.root, source.items[::300], False, source.notice)
    catalog = scan(some, pixel_store(tmp_path, 224, "squash"), 224, "squash")
    rows = pixel_store(tmp_path, 224, "squash").read([photo.sha256 for photo in catalog.photos])
    assert rows.shape == (9, 224, 224, 3)
    for photo, row in zip(catalog.photos, rows, strict=True):
        expected = Image.open(photo.file).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(row, np.asarray(expected))
        assert photo.stratum.split()[0] in ("mono", "poly")


def test_large_jpegs_are_decoded_at_a_smaller_scale_and_still_compared(tmp_path):
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (10, 15, 3)), np.ones((100, 100, 1))).astype(np.uint8)
    for split, name in (("train", "a.jpg"), ("test", "b.png"), ("train", "c.jpg")):
        (tmp_path / split / "cat").mkdir(parents=True, exist_ok=True)
        file = tmp_path / split / "cat" / name
        if name == "b.png":
            Image.fromarray(decode((tmp_path / "train" / "cat" / "a.jpg").read_bytes())).save(file)
        else:
            Image.fromarray(pixels if name == "a.jpg" else 255 - pixels).save(file, quality=90)
    store = pixel_store(tmp_path / "cache", 224, "squash")
    catalog = scan(open_source(tmp_path), store, 224, "squash")
    again = scan(open_source(tmp_path), pixel_store(tmp_path / "cache", 224, "squash"), 224, "squash")
    by_name = {photo.file.name: photo for photo in catalog.photos}
    assert {(photo.width, photo.height) for photo in catalog.photos} == {(1500, 1000)}
    assert by_name["a.jpg"].pixels_sha256 == by_name["b.png"].pixels_sha256 != by_name["c.jpg"].pixels_sha256
    assert again.photos == catalog.photos

    scaled, whole = (store.read([by_name[name].sha256])[0].astype(int) for name in ("a.jpg", "b.png"))
    assert not np.array_equal(scaled, whole)  # it was decoded at a smaller scale indeed
    assert np.abs(scaled - whole).mean() < 1
