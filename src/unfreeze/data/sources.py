"""Where photos come from: a folder, or the name of a data set, opened as a list of labelled files."""

import csv
import importlib.util
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unfreeze.config import TEST_SHARE
from unfreeze.data.photos import first_bytes, looks_like_photo
from unfreeze.errors import DataError, PhotoError

SplitName = Literal["train", "val", "test"]

SPLIT_FOLDERS: dict[str, SplitName] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
"""Names of split folders, in any case, and the split that each holds."""

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What operating systems leave in folders; passed over without a word, as is any name with a dot in front."""

FORMS = (
    "a folder with train/CLASS/* and test/CLASS/* (and val/CLASS/* if you have it), a folder of CLASS/*, "
    "or the name of a data set"
)


@dataclass(frozen=True, slots=True)
class Item:
    """A file that should be a photo, not yet read.

    Attributes:
        path: from the source's root, with forward slashes.
        file: where it lies on this machine.
        label: name of its class.
        split: the split that the source puts it in, or None where that is left to us.
        stratum: what a carved split keeps the shares of, within the class.
    """

    path: str
    file: Path
    label: str
    split: SplitName | None
    stratum: str


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


def open_source(data: str | Path) -> Source:
    """List the files of a data set with their classes and splits; none is read.

    Args:
        data: a folder or the name of a data set (`./elpv` is the folder of that name).

    Raises:
        DataError: it isn't there, or isn't laid out in any of the known forms.
    """
    if isinstance(data, str) and data in NAMED:
        return NAMED[data]()
    folder = Path(data).expanduser().absolute()
    if folder.is_dir():
        return _open_folder(folder)
    what = "is a file, not a folder" if folder.exists() else "is neither a folder nor the name of a data set"
    raise DataError(f"{data} {what}. Give {FORMS} ({', '.join(sorted(NAMED))}).")


def photo_files(path: Path) -> list[Path]:
    """List what a person means by a path: the file itself, or the photos in the folder and below it.

    Files in a folder that are not meant to be photos, by name and content, are passed over; damaged photos are not.

    Args:
        path: a file, which need not be there, or a folder.

    Returns:
        A folder's photos sorted by path.

    Raises:
        DataError: a folder can't be read.
    """
    if not path.is_dir():
        return [path]
    return [file for file in _files_below(path, set()) if _meant_as_photo(file)]


def _meant_as_photo(file: Path) -> bool:
    try:
        start = first_bytes(file)
    except (OSError, PhotoError):
        start = b""
    return looks_like_photo(file.name, start)


def _open_folder(root: Path) -> Source:
    folders = _subfolders(root)
    named_as_split = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS]
    if any(map(_subfolders, named_as_split)) or (folders and named_as_split == folders):
        return _open_split_folders(root, named_as_split)
    if len(folders) == 1 and any(folder.name.lower() in SPLIT_FOLDERS for folder in _subfolders(folders[0])):
        raise DataError(f"{root} has no splits, but the one folder in it has: give {folders[0]}.")
    items = _class_items(root, root, None)
    notice = f"No test split is given: {TEST_SHARE:.0%} of the photos are kept for test."
    return Source(root.resolve().name, root, _sorted(items), False, notice, tuple(_loose_files(root, root)))


def _open_split_folders(root: Path, named_as_split: list[Path]) -> Source:
    splits: dict[SplitName, Path] = {}
    for folder in named_as_split:
        split = SPLIT_FOLDERS[folder.name.lower()]
        if split in splits:
            two = f"{splits[split].name} and {folder.name}"
            raise DataError(f"{root} has two folders for {split}, {two}: remove one of them.")
        splits[split] = folder
    if "train" not in splits:
        names = ", ".join(folder.name for folder in splits.values())
        raise DataError(f"{root} has {names} but no train: add train/CLASS/*, or give a folder of CLASS/*.")
    for folder in splits.values():
        if folder != splits["train"] and not _subfolders(folder):
            raise DataError(f"{folder} has no class folders. If its photos have no labels, give {splits['train']}.")
    items = [item for split, folder in splits.items() for item in _class_items(root, folder, split)]
    strays = [path for folder in (root, *splits.values()) for path in _loose_files(root, folder)]
    notices = []
    if "test" not in splits:
        notices.append(f"No test split is given: {TEST_SHARE:.0%} of the photos in train are kept for test.")
    if unused := [folder.name for folder in _subfolders(root) if folder not in splits.values()]:
        notices.append(f"Not used, being neither train, val nor test: {', '.join(unused)}.")
    notice = " ".join(notices) or None
    return Source(root.resolve().name, root, _sorted(items), "test" in splits, notice, tuple(sorted(strays)))


def _sorted(items: list[Item]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=lambda item: item.path))


def _class_items(root: Path, parent: Path, split: SplitName | None) -> list[Item]:
    """Give the files of each class folder in `parent`, however deep they lie."""
    files = {folder: list(_files_below(folder, set())) for folder in _subfolders(parent)}
    if not files:
        raise DataError(f"{parent} has no class folders: each class needs a folder with its photos.")
    if empty := [str(folder) for folder, inside in files.items() if not inside]:
        raise DataError(
            f"A class folder is empty: {', '.join(empty)}. Put photos into it, or remove it if there is no such class."
        )
    items = []
    for folder, inside in files.items():
        label = unicodedata.normalize("NFC", folder.name)  # an accent has two spellings that look the same
        items += [Item(file.relative_to(root).as_posix(), file, label, split, label) for file in inside]
    return items


def _files_below(folder: Path, entered: set[Path]) -> Iterator[Path]:
    """Give all files in a folder and below, following links; no folder is entered twice."""
    if (real := folder.resolve()) in entered:
        return
    entered.add(real)
    for entry in _visible(folder):
        if not entry.is_dir():
            yield entry
        elif not _leads_up(entry):
            yield from _files_below(entry, entered)


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in _visible(folder) if entry.is_dir() and not _leads_up(entry)]


def _loose_files(root: Path, folder: Path) -> list[str]:
    return [entry.relative_to(root).as_posix() for entry in _visible(folder) if not entry.is_dir()]


def _leads_up(folder: Path) -> bool:
    """Tell whether a folder is a link to one that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _visible(folder: Path) -> list[Path]:
    """List a folder, sorted by name, without hidden and system files."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} can't be read ({error.strerror}): check its permissions.") from error
    return [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM_FILES]


def _open_elpv() -> Source:
    """Open the solar cells of the elpv-dataset package (Deitsch et al. 2019, Solar Energy 185).

    A line of its table: a photo's path, the probability that the cell is defective, the type of its wafer.
    """
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise DataError("The photos of elpv are not installed. They come with: pip install elpv-dataset")
    root = Path(package.origin).parent / "data"
    items = []
    with (root / "labels.csv").open(encoding="utf-8", newline="") as table:
        for path, probability, wafer in csv.reader(table, delimiter=" ", skipinitialspace=True):
            label = "defective" if float(probability) >= 0.5 else "functional"
            items.append(Item(path, root / path, label, None, f"{wafer} {float(probability):.2f}"))
    notice = (
        "ELPV is under CC BY-NC-SA 4.0: not for commercial use. It does not say which cells come from one "
        "solar module, so photos of one module may stand in both train and test. "
        f"No test split is given: {TEST_SHARE:.0%} of the photos are kept for test."
    )
    return Source("elpv", root, _sorted(items), False, notice)


NAMED: dict[str, Callable[[], Source]] = {"elpv": _open_elpv}
"""Data sets that are known by name."""
