"""Dealing photos to train, validation and test; nested fractions of the training photos.

The order of a class's photos comes from their content and the split seed alone. Training photos are counted
from its front and validation and test photos are taken from its end, so photos added later leave the small
fractions almost as they were.
"""

import csv
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

from unfreeze.config import TEST_SHARE
from unfreeze.data.carving import carve, in_order
from unfreeze.data.catalog import Catalog, Photo
from unfreeze.data.items import SplitName
from unfreeze.errors import DataError
from unfreeze.files import file_sha256, replace_text

HEADER = ("path", "sha256", "label", "split", "rank")

NEARNESS: tuple[SplitName, ...] = ("train", "val", "test")
"""The splits by how near they are to the final judgement."""

Assignment = Literal["train", "val", "test", "left_out"]


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A line of `splits.csv`.

    Attributes:
        path: from the data set's root.
        sha256: of the file's bytes.
        label: name of its class.
        split: where it is used; `left_out` is a twin of a photo in another split.
        rank: a training photo's place in its class's order, from 0; None for the others.
    """

    path: str
    sha256: str
    label: str
    split: Assignment
    rank: int | None


@dataclass(frozen=True)
class Twin:
    """Photos of equal pixels in different splits.

    Attributes:
        paths: of the photos.
        splits: of each, before any was left out.
    """

    paths: tuple[str, ...]
    splits: tuple[SplitName, ...]


@dataclass(frozen=True)
class Splits:
    """Who is used for what.

    Attributes:
        rows: one a usable photo, sorted by path.
        photos: the same photos, in the same order.
        classes: names of the classes, sorted.
        twins: photos of equal pixels that the splits would share.
        validate_on_test: the test photos serve as validation photos too.
        split_seed: names the order in which photos were dealt.
        test_is_carved: the data set came without a test split, so that another split seed takes other test photos.
    """

    rows: tuple[SplitRow, ...]
    photos: tuple[Photo, ...]
    classes: tuple[str, ...]
    twins: tuple[Twin, ...]
    validate_on_test: bool
    split_seed: int
    test_is_carved: bool

    def train(self, fraction: float = 1.0) -> list[Photo]:
        """Give the first training photos of each class.

        A smaller fraction's photos are among a larger one's. 1.0 gives all training photos.

        Args:
            fraction: of each class's training and validation photos together, over 0, at most 1.

        Returns:
            max(1, floor(fraction * n)) photos a class, at most those there are, in the rows' order.
        """
        labelled = Counter(row.label for row in self.rows if row.split in ("train", "val"))
        limits = {label: max(1, int(exact(fraction) * n)) for label, n in labelled.items()}
        return [
            photo
            for row, photo in zip(self.rows, self.photos, strict=True)
            if row.rank is not None and row.rank < limits[row.label]
        ]

    @property
    def val(self) -> list[Photo]:
        """The validation photos, in the rows' order; the test photos where those are validated on."""
        return self._photos("test" if self.validate_on_test else "val")

    @property
    def test(self) -> list[Photo]:
        """The test photos, in the rows' order."""
        return self._photos("test")

    def counts(self) -> dict[str, int]:
        """Count the photos of each split, `left_out` included."""
        found = Counter(row.split for row in self.rows)
        return {split: found[split] for split in ("train", "val", "test", "left_out")}

    @cached_property
    def sha256(self) -> str:
        """Hash of `splits.csv`, in hex: names the data set, its labels and its splits."""
        return hashlib.sha256(self._csv().encode("utf-8", "surrogateescape")).hexdigest()

    def write(self, path: Path) -> None:
        """Write `splits.csv`."""
        replace_text(path, self._csv())

    def are_in(self, path: Path) -> bool:
        """Tell whether this file holds these splits."""
        return path.is_file() and file_sha256(path) == self.sha256

    def _photos(self, split: Assignment) -> list[Photo]:
        return [photo for row, photo in zip(self.rows, self.photos, strict=True) if row.split == split]

    def _csv(self) -> str:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows((row.path, row.sha256, row.label, row.split, row.rank) for row in self.rows)
        return text.getvalue()


def split(catalog: Catalog, validation: float | Literal["test"], split_seed: int = 0) -> Splits:
    """Deal a catalog's photos to the splits.

    Splits that the data set comes with stand. A missing test split takes 25% of the training photos, then a
    missing validation split takes its share of what is left. Of equal photos in several splits those of the
    split nearest to the final judgement stay, the others are left out.

    Args:
        catalog: the photos.
        validation: share of the training photos, 0 for none, or `test` to validate on the test photos.
        split_seed: names the order in which photos are dealt.
    """
    given = catalog.given | {photo.split for photo in catalog.photos}
    assigned: dict[str, Assignment] = {photo.path: photo.split or "train" for photo in catalog.photos}
    if "test" not in given:
        _carve(catalog.photos, assigned, "test", exact(TEST_SHARE), split_seed)
    twins = _leave_out_twins(catalog.photos, assigned)
    if "val" not in given and validation != "test":
        _carve(catalog.photos, assigned, "val", exact(validation), split_seed)
        twins += _leave_out_twins(catalog.photos, assigned)
    ranks = _ranks([photo for photo in catalog.photos if assigned[photo.path] == "train"], split_seed)
    photos = tuple(sorted(catalog.photos, key=lambda photo: photo.path))
    rows = tuple(
        SplitRow(photo.path, photo.sha256, photo.label, assigned[photo.path], ranks.get(photo.path)) for photo in photos
    )
    return Splits(rows, photos, catalog.classes, tuple(twins), validation == "test", split_seed, "test" not in given)


def splits_name(split_seed: int) -> str:
    """Name the file that holds a split: `splits.csv`, of other split seeds than 0 `splits-K.csv`."""
    return f"splits-{split_seed}.csv" if split_seed else "splits.csv"


def exact(share: float) -> Fraction:
    """Give the decimal number that was written: 0.1 is a tenth, so a tenth of 750 is 75."""
    return Fraction(str(share))


def read_splits(path: Path) -> tuple[SplitRow, ...]:
    """Read a `splits.csv`.

    Raises:
        DataError: it is no such table.
        OSError: it can't be read.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *lines = csv.reader(file)
        if tuple(header) != HEADER:
            raise ValueError(f"its columns are {', '.join(header)}")
        return tuple(_row(*line) for line in lines)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is no table with the columns {', '.join(HEADER)}: {error}.") from error


def _carve(
    photos: Iterable[Photo],
    assigned: dict[str, Assignment],
    name: SplitName,
    share: Fraction,
    split_seed: int,
) -> None:
    """Move a share of the training photos to the split `name`."""
    training = [photo for photo in photos if assigned[photo.path] == "train"]
    assigned.update(dict.fromkeys(carve(training, share, split_seed), name))


def _leave_out_twins(photos: Iterable[Photo], assigned: dict[str, Assignment]) -> list[Twin]:
    """Leave out photos that have an equal one in a split nearer to the final judgement."""
    groups: dict[str, list[tuple[Photo, SplitName]]] = defaultdict(list)
    for photo in photos:
        if (where := assigned[photo.path]) != "left_out":
            groups[photo.pixels_sha256].append((photo, where))
    twins = []
    for group in groups.values():
        splits: tuple[SplitName, ...] = tuple(where for _, where in group)
        if len(set(splits)) > 1:
            twins.append(Twin(tuple(photo.path for photo, _ in group), splits))
            kept = max(splits, key=NEARNESS.index)
            assigned.update({photo.path: "left_out" for photo, where in group if where != kept})
    return twins


def _ranks(training: Iterable[Photo], split_seed: int) -> dict[str, int]:
    """Number each class's training photos from 0."""
    counts = Counter[str]()
    ranks = {}
    for photo in in_order(training, split_seed):
        ranks[photo.path] = counts[photo.label]
        counts[photo.label] += 1
    return ranks


def _row(path: str, sha256: str, label: str, split: str, rank: str) -> SplitRow:
    if split not in ("train", "val", "test", "left_out"):
        raise ValueError(f"split {split!r}")
    return SplitRow(path, sha256, label, split, int(rank) if rank else None)


def class_index(classes: Sequence[str]) -> dict[str, int]:
    """Number the classes, for networks; everywhere else a class goes by its name."""
    return {label: number for number, label in enumerate(classes)}
