"""Which form a folder of photos has, by what lies in it."""

from dataclasses import replace
from pathlib import Path

from unfreeze.data.class_folders import open_class_folders
from unfreeze.data.csv_source import is_photo_table, open_csv
from unfreeze.data.food101 import is_food101, open_food101
from unfreeze.data.items import SPLIT_FOLDERS, Source
from unfreeze.data.walk import subfolders, visible
from unfreeze.errors import DataError


def open_folder(root: Path) -> Source:
    """List the photos of a folder: class folders with or without splits, or Food-101's own layout.

    Raises:
        DataError: it has neither form.
    """
    if is_food101(root):
        return open_food101(root)
    folders = subfolders(root)
    if len(folders) == 1 and is_food101(folders[0]):
        raise DataError(f"{root} is not laid out as Food-101, but the one folder in it is: give {folders[0]}.")
    return open_class_folders(root)


def open_unpacked(folder: Path, name: str, called: str) -> Source:
    """List the photos of an unpacked archive: of a folder's forms, or a CSV that lies beside its photos.

    If all lies in one folder, that is the source's root, so that paths are the same with and without it.

    Args:
        folder: that it was unpacked to.
        name: of the source.
        called: what errors call the archive.

    Raises:
        DataError: it has none of the forms.
    """
    while not _photo_tables(folder) and (inner := _only_folder(folder)):
        folder = inner
    tables = _photo_tables(folder)
    try:
        if len(tables) > 1:
            names = ", ".join(file.name for file in tables)
            raise DataError(f"{folder} has several tables of photos ({names}): leave one of them.")
        source = open_csv(tables[0]) if tables else open_folder(folder)
    except DataError as error:
        raise DataError(str(error).replace(str(folder), called)) from error
    return replace(source, name=name)


def _photo_tables(folder: Path) -> list[Path]:
    return [file for file in visible(folder) if is_photo_table(file)]


def _only_folder(folder: Path) -> Path | None:
    """Give the one folder in a folder if photos are sorted into classes, or listed, inside it."""
    folders = subfolders(folder)
    if len(folders) != 1 or folders[0].name.lower() in SPLIT_FOLDERS:
        return None
    return folders[0] if subfolders(folders[0]) or _photo_tables(folders[0]) else None
