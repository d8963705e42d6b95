"""Walking folders as a person sees them: without hidden and system files."""

from collections.abc import Iterator
from pathlib import Path

from unfreeze.errors import DataError

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
"""What operating systems leave in folders; passed over without a word, as is any name with a dot in front."""


def files_below(folder: Path) -> Iterator[Path]:
    """Give all files in a folder and below, following links; no folder is entered twice.

    Raises:
        DataError: a folder can't be read.
    """
    yield from _files_below(folder, set())


def _files_below(folder: Path, entered: set[Path]) -> Iterator[Path]:
    if (real := folder.resolve()) in entered:
        return
    entered.add(real)
    for entry in visible(folder):
        if not entry.is_dir():
            yield entry
        elif not _leads_up(entry):
            yield from _files_below(entry, entered)


def subfolders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, sorted by name."""
    return [entry for entry in visible(folder) if entry.is_dir() and not _leads_up(entry)]


def visible(folder: Path) -> list[Path]:
    """List a folder, sorted by name, without hidden and system files.

    Raises:
        DataError: it can't be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} can't be read ({error.strerror}): check its permissions.") from error
    return [entry for entry in entries if not is_hidden(entry.name)]


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name is passed over without a word."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES


def _leads_up(folder: Path) -> bool:
    """Tell whether a folder is a link to one that it lies in."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
