"""Photos in folders: one folder a class, with or without a folder a split above them."""

import unicodedata
from pathlib import Path

from unfreeze.data.items import NO_TEST, NO_TEST_BUT_TRAIN, SPLIT_FOLDERS, Item, Source, SplitName, sort_items
from unfreeze.data.walk import files_below, subfolders, visible
from unfreeze.errors import DataError


def open_class_folders(root: Path) -> Source:
    """List the photos of a folder with `train/CLASS/*` and the other splits beside it, or of a folder of `CLASS/*`.

    Raises:
        DataError: it is neither.
    """
    folders = subfolders(root)
    named_as_split = [folder for folder in folders if folder.name.lower() in SPLIT_FOLDERS]
    if any(map(subfolders, named_as_split)) or (folders and named_as_split == folders):
        return _open_split_folders(root, named_as_split)
    if len(folders) == 1 and any(folder.name.lower() in SPLIT_FOLDERS for folder in subfolders(folders[0])):
        raise DataError(f"{root} has no splits, but the one folder in it has: give {folders[0]}.")
    items = _class_items(root, root, None)
    return Source(root.resolve().name, root, sort_items(items), False, NO_TEST, tuple(_loose_files(root, root)))


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
        if folder != splits["train"] and not subfolders(folder):
            raise DataError(f"{folder} has no class folders. If its photos have no labels, give {splits['train']}.")
    items = [item for split, folder in splits.items() for item in _class_items(root, folder, split)]
    strays = [path for folder in (root, *splits.values()) for path in _loose_files(root, folder)]
    notices = []
    if "test" not in splits:
        notices.append(NO_TEST_BUT_TRAIN)
    if unused := [folder.name for folder in subfolders(root) if folder not in splits.values()]:
        notices.append(f"Not used, being neither train, val nor test: {', '.join(unused)}.")
    notice = " ".join(notices) or None
    return Source(root.resolve().name, root, sort_items(items), "test" in splits, notice, tuple(sorted(strays)))


def _class_items(root: Path, parent: Path, split: SplitName | None) -> list[Item]:
    """Give the files of each class folder in `parent`, however deep they lie."""
    files = {folder: list(files_below(folder)) for folder in subfolders(parent)}
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


def _loose_files(root: Path, folder: Path) -> list[str]:
    return [entry.relative_to(root).as_posix() for entry in visible(folder) if not entry.is_dir()]
