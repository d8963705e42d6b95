"""The photos that a person means by a path."""

from pathlib import Path

from unfreeze.data.photos import first_bytes, looks_like_photo
from unfreeze.data.walk import files_below
from unfreeze.errors import PhotoError


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
    return [file for file in files_below(path) if _meant_as_photo(file)]


def _meant_as_photo(file: Path) -> bool:
    try:
        start = first_bytes(file)
    except (OSError, PhotoError):
        start = b""
    return looks_like_photo(file.name, start)
