"""Reading every file of a data set once: hash, pixels, and what is wrong with those that are no photos."""

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unfreeze import progress
from unfreeze.backend import thread_count
from unfreeze.data.cache_size import open_store
from unfreeze.data.items import Item, Source, SplitName
from unfreeze.data.photos import decode, first_bytes, least_sides, looks_like_photo, photo_size, resize
from unfreeze.data.store import RowStore
from unfreeze.data.threads import in_order
from unfreeze.errors import PhotoError
from unfreeze.files import replace_text

PIXELS_VERSION = 2
"""Raised whenever decoding or resizing gives other pixels, so that old caches are not used."""

SCALED = "scaled-"
"""Begins a hash of pixels at a smaller scale."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A usable photo.

    Attributes:
        path: from the data set's root, with forward slashes.
        file: where it lies on this machine.
        label: name of its class.
        split: the split that the data set puts it in, or None.
        stratum: what carved splits keep the shares of, within the class.
        sha256: of the file's bytes, in hex.
        pixels_sha256: of the decoded pixels and their size, in hex; equal where two photos are the same picture.
        width: in pixels, the right way up.
        height: in pixels.
        group: photos of one group never stand in two splits; None for a photo of its own.
    """

    path: str
    file: Path
    label: str
    split: SplitName | None
    stratum: str
    sha256: str
    pixels_sha256: str
    width: int
    height: int
    group: str | None = None


@dataclass(frozen=True)
class BadFile:
    """A file that can't be used.

    Attributes:
        path: from the data set's root.
        reason: in words that follow the path.
        counts: whether it should have been a photo, and so counts towards the share of bad files.
    """

    path: str
    reason: str
    counts: bool


@dataclass(frozen=True)
class Catalog:
    """A data set, read.

    Attributes:
        source_name: of the data set.
        root: folder that the paths start from.
        classes: names sorted, of all class folders, even one without a usable photo.
        photos: the usable ones, sorted by path.
        bad: the files that are not, sorted by path.
        notice: what the user should know before using the data, or None.
        given: the splits that the data set comes with, even one without a usable photo.
    """

    source_name: str
    root: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    bad: tuple[BadFile, ...]
    notice: str | None
    given: frozenset[SplitName] = frozenset()


def pixel_store(cache: Path, image_size: int, resize_how: str) -> RowStore:
    """Open the store of photos decoded and resized to `image_size`, under the hash of their files."""
    name = f"v{PIXELS_VERSION}-{image_size}-{resize_how}"
    return open_store(cache, "pixels", name, (image_size, image_size, 3), np.uint8)


def scan(
    source: Source,
    store: RowStore | None,
    image_size: int | None,
    resize_how: str,
    threads: int | None = None,
) -> Catalog:
    """Read every file of a data set and put the pixels that are not there yet into the store.

    Args:
        source: the files.
        store: from `pixel_store`, with the same size; None looks at the photos and keeps nothing.
        image_size: side of the resized photos in pixels; None without a store.
        resize_how: as `resize` in the recipe.
        threads: that read and decode; by default one a core.

    Raises:
        OSError: the store can't be written.
    """

    def read(item: Item) -> tuple[Photo, np.ndarray | None] | BadFile:
        return _read(item, store, image_size, resize_how)

    photos: list[Photo] = []
    bad = [_stray(source.root, path) for path in source.strays]
    writing = store.writer() if store is not None else nullcontext()
    with progress.task("Reading photos", len(source.items)) as advance, writing as writer:
        for result in in_order(read, source.items, threads or thread_count()):
            if isinstance(result, BadFile):
                bad.append(result)
            else:
                photo, row = result
                photos.append(photo)
                if writer is not None and row is not None:
                    writer.add(photo.sha256, row, _note(photo))
            advance(1)
    classes = tuple(sorted({item.label for item in source.items}))
    given: frozenset[SplitName] = frozenset(item.split for item in source.items if item.split is not None)
    bad.sort(key=lambda file: file.path)
    return Catalog(source.name, source.root, classes, _comparable(photos), tuple(bad), source.notice, given)


def joined(parts: Sequence[Catalog]) -> Catalog:
    """Put the catalogs of a source's parts together: what `scan` gives of the whole source.

    Args:
        parts: in the order of the source's files; at least one.
    """
    photos = [photo for part in parts for photo in part.photos]
    return replace(
        parts[0],
        classes=tuple(sorted({name for part in parts for name in part.classes})),
        photos=_comparable(photos),
        bad=tuple(sorted((file for part in parts for file in part.bad), key=lambda file: file.path)),
        given=frozenset().union(*(part.given for part in parts)),
    )


def _comparable(photos: Sequence[Photo]) -> tuple[Photo, ...]:
    """Hash all pixels of photos that were decoded at a smaller scale, where others of their size were not.

    Photos of equal pixels can't be told by hashes of pixels at different scales.
    """
    whole = {(photo.width, photo.height) for photo in photos if not photo.pixels_sha256.startswith(SCALED)}
    return tuple(
        replace(photo, pixels_sha256=hash_pixels(decode(photo.file.read_bytes())))
        if photo.pixels_sha256.startswith(SCALED) and (photo.width, photo.height) in whole
        else photo
        for photo in photos
    )


def write_bad_files(path: Path, bad: Iterable[BadFile]) -> None:
    """Write `bad_files.csv`: path and reason of each file that can't be used."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "reason"])
    table.writerows([file.path, file.reason] for file in bad)
    replace_text(path, text.getvalue())


def _read(
    item: Item, store: RowStore | None, image_size: int | None, resize_how: str
) -> tuple[Photo, np.ndarray | None] | BadFile:
    """Read one file; pixels come with it only if the store lacks them."""
    start = b""
    try:
        start = first_bytes(item.file)
        if not looks_like_photo(item.file.name, start):
            raise PhotoError("is no photo")
        data = item.file.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        if store is not None and (note := store.note(sha256)) is not None:
            return _photo(item, sha256, **note), None
        pixels = decode(data, least_sides(image_size or 0, resize_how))
        width, height = photo_size(data)
    except (PhotoError, OSError) as error:
        reason = f"can't be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return BadFile(item.path, reason, looks_like_photo(item.file.name, start))
    mark = "" if pixels.shape[:2] == (height, width) else SCALED
    photo = _photo(item, sha256, mark + hash_pixels(pixels), width, height)
    if store is None or image_size is None:
        return photo, None
    return photo, resize(pixels, image_size, resize_how)


def hash_pixels(pixels: np.ndarray) -> str:
    """Hash decoded pixels with their size, so that equal hashes mean equal pictures."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _photo(item: Item, sha256: str, pixels_sha256: str, width: int, height: int) -> Photo:
    return Photo(
        item.path, item.file, item.label, item.split, item.stratum, sha256, pixels_sha256, width, height, item.group
    )


def _note(photo: Photo) -> dict[str, str | int]:
    return {"pixels_sha256": photo.pixels_sha256, "width": photo.width, "height": photo.height}


def _stray(root: Path, path: str) -> BadFile:
    return BadFile(path, "lies beside the class folders, so it has no class", looks_like_photo(path, b""))
