"""A look at every file of a data set before anything is trained."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unfreeze.config import DataSettings
from unfreeze.data.catalog import BadFile, Catalog, scan
from unfreeze.data.checkup import problems
from unfreeze.data.sources import open_source
from unfreeze.data.splits import Splits, Twin, split
from unfreeze.text import listed, preformatted


@dataclass(frozen=True)
class Check:
    """What a look at every file of a data set has found.

    Attributes:
        name: of the data set.
        images: usable photos.
        classes: usable photos of each class.
        splits: photos in `train`, `val`, `test` and `left_out`.
        bad: files that can't be used.
        twins: photos of equal pixels in different splits.
        duplicates: paths of photos of equal pixels in the same split.
        smallest: width and height of the smallest photo; None without photos.
        largest: width and height of the largest.
        notice: what one should know before using the data, or None.
        problems: what stands against training, a sentence each.
    """

    name: str
    images: int
    classes: dict[str, int]
    splits: dict[str, int]
    bad: tuple[BadFile, ...]
    twins: tuple[Twin, ...]
    duplicates: tuple[tuple[str, ...], ...]
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    notice: str | None
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """What was found as `unfreeze check --json` prints it."""
        return {
            "name": self.name,
            "images": self.images,
            "classes": self.classes,
            "splits": self.splits,
            "bad": [{"path": file.path, "reason": file.reason} for file in self.bad],
            "twins": [{"paths": list(twin.paths), "splits": list(twin.splits)} for twin in self.twins],
            "duplicates": [list(paths) for paths in self.duplicates],
            "smallest": list(self.smallest) if self.smallest else None,
            "largest": list(self.largest) if self.largest else None,
            "notice": self.notice,
            "problems": list(self.problems),
        }

    def __str__(self) -> str:
        """What was found, in words."""
        lines = [self.notice] if self.notice else []
        lines.append(f"{self.images:,} usable photos of {len(self.classes)} classes")
        width = max((len(name) for name in self.classes), default=0)
        lines += [f"  {name:<{width}}  {count:>7,}" for name, count in self.classes.items()]
        if splits := [f"{name.replace('_', ' ')} {count:,}" for name, count in self.splits.items() if count]:
            lines.append(f"splits: {', '.join(splits)}")
        lines += listed(f"{len(self.bad)} files can't be used", [f"{file.path}: {file.reason}" for file in self.bad])
        lines += listed(
            f"{len(self.twins)} photos stand in more than one split; the training copy is left out",
            [" = ".join(twin.paths) for twin in self.twins],
        )
        return "\n".join([*lines, *listed("A run would stop", self.problems)])

    def _repr_html_(self) -> str:
        return preformatted(str(self))


def check(data: str | Path, threads: int | None = None) -> Check:
    """Read and decode every file; count classes, bad files and photos that stand in several splits.

    Args:
        data: as `open_source` takes it: a folder, a CSV, an archive, a URL, or the name of a data set.
        threads: that read and decode; by default one a core.

    Raises:
        DataError: there is no such data set.
    """
    settings = DataSettings()
    catalog = scan(open_source(data), None, settings.image_size, settings.resize, threads)
    return describe(catalog, split(catalog, settings.validation))


def describe(catalog: Catalog, splits: Splits) -> Check:
    """Say what is to be said of a data set that was read and split."""
    photos = catalog.photos
    labels = Counter(photo.label for photo in photos)
    sizes = sorted((photo.width * photo.height, photo.width, photo.height) for photo in photos)
    return Check(
        name=catalog.source_name,
        images=len(photos),
        classes={label: labels[label] for label in catalog.classes},
        splits=splits.counts(),
        bad=catalog.bad,
        twins=splits.twins,
        duplicates=_duplicates(catalog, splits),
        smallest=sizes[0][1:] if sizes else None,
        largest=sizes[-1][1:] if sizes else None,
        notice=catalog.notice,
        problems=tuple(problems(catalog, splits)),
    )


def _duplicates(catalog: Catalog, splits: Splits) -> tuple[tuple[str, ...], ...]:
    """List photos of equal pixels that are used in the same split."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row, photo in zip(splits.rows, splits.photos, strict=True):
        if row.split != "left_out":
            groups[row.split, photo.pixels_sha256].append(row.path)
    return tuple(tuple(paths) for paths in groups.values() if len(paths) > 1)
