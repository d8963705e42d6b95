"""What a source of photos gives: files with their classes, splits and groups, none of them read yet."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unfreeze.config import TEST_SHARE

SplitName = Literal["train", "val", "test"]

SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Names of splits in folders and tables, in any case, and the split that each means."""

NO_TEST = f"No test split is given: {TEST_SHARE:.0%} of the photos are kept for test."
NO_TEST_BUT_TRAIN = f"No test split is given: {TEST_SHARE:.0%} of the photos in train are kept for test."

DRIVE = re.compile(r"[A-Za-z]:")
"""How absolute paths begin on Windows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file that should be a photo, not yet read.

    Attributes:
        path: from the source's root, with forward slashes.
        file: where it lies on this machine.
        label: name of its class.
        split: the split that the source puts it in, or None where that is left to us.
        stratum: what a carved split keeps the shares of, within the class.
        group: photos of one group never stand in two splits; None for a photo of its own.
    """

    path: str
    file: Path
    label: str
    split: SplitName | None
    stratum: str
    group: str | None = None


@dataclass(frozen=True)
class Source:
    """A data set as it lies there.

    Attributes:
        name: what to call it.
        root: the folder that the items' paths start from.
        items: its files, sorted by path.
        splits_given: whether it comes with a test split.
        notice: what the user should know before using it, or None.
        strays: files beside the class folders, as paths from the root; they belong to no class.
    """

    name: str
    root: Path
    items: tuple[Item, ...]
    splits_given: bool
    notice: str | None
    strays: tuple[str, ...] = ()


def sort_items(items: Iterable[Item]) -> tuple[Item, ...]:
    """Bring items into the order that sources have them in."""
    return tuple(sorted(items, key=lambda item: item.path))


def inner_path(text: str) -> str:
    r"""Read a path that must stay inside the folder that it starts from.

    Args:
        text: with `/` or `\` between folders.

    Returns:
        The same path with forward slashes, without `.` and `..`.

    Raises:
        ValueError: it is absolute, or leads out of the folder; the message is the reason.
    """
    path = posixpath.normpath(text.replace("\\", "/"))
    if path.startswith("/") or DRIVE.match(path):
        raise ValueError("is an absolute path")
    if path == ".." or path.startswith("../"):
        raise ValueError("leads out of the folder")
    if path == "." or "\0" in path:
        raise ValueError("names no file")
    return path
