"""Where photos come from: any form of DATA, opened as a list of labelled files."""

from collections.abc import Callable
from pathlib import Path

from unfreeze.data.archive import archive_stem
from unfreeze.data.archive_members import FIRST_BYTES, archive_kind
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.csv_source import COLUMNS, open_csv
from unfreeze.data.download import fetch, is_url, url_name
from unfreeze.data.elpv import open_elpv
from unfreeze.data.folders import open_folder, open_unpacked
from unfreeze.data.food_vision import open_food_vision
from unfreeze.data.items import Source
from unfreeze.data.source_cache import unpack
from unfreeze.errors import DataError

NAMED: dict[str, Callable[[], Source]] = {
    "elpv": open_elpv,
    "food-vision": lambda: open_food_vision(cache_folder()),
}
"""Data sets that are known by name."""

FORMS = (
    "a folder with train/CLASS/* and test/CLASS/* (and val/CLASS/* if you have it), a folder of CLASS/*, Food-101's "
    f"own folder, a CSV with {COLUMNS}, a zip or tar of any of these, the URL of one, or the name of a data set "
    f"({', '.join(sorted(NAMED))})"
)


def open_source(data: str | Path) -> Source:
    """List the files of a data set with their classes and splits; none is read.

    Archives are unpacked into the cache folder, URLs and names are fetched into it, once.

    Args:
        data: a folder, a CSV, an archive, a URL, or the name of a data set (`./elpv` is the folder of that name).

    Raises:
        DataError: it isn't there, or isn't laid out in any of the known forms.
    """
    if isinstance(data, str) and data in NAMED:
        return NAMED[data]()
    if isinstance(data, str) and is_url(data):
        return open_unpacked(fetch(data, cache_folder()), archive_stem(url_name(data)), data)
    path = Path(data).expanduser().absolute()
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise DataError(f"{data} is neither a folder, a file, nor the name of a data set. Give {FORMS}.")
    if path.suffix.lower() == ".csv":
        return open_csv(path)
    if archive_stem(path.name) == path.name and archive_kind(_start(path)) is None:
        raise DataError(f"{data} is a file that is neither a CSV nor a zip or tar archive. Give {FORMS}.")
    return open_unpacked(unpack(path, str(data), cache_folder()), archive_stem(path.name), str(data))


def _start(file: Path) -> bytes:
    """Read a file's first bytes; none of what is no regular file, where reading might not end."""
    if not file.is_file():
        return b""
    with file.open("rb") as content:
        return content.read(FIRST_BYTES)
