"""A look at every file of a data set before anything is trained."""

from pathlib import Path
from typing import Any

from unfreeze.config import DataSettings
from unfreeze.data import checkup
from unfreeze.data.catalog import scan
from unfreeze.data.sources import open_source
from unfreeze.data.splits import split


def check(data: str | Path, threads: int | None = None) -> dict[str, Any]:
    """Read and decode every file; count classes, bad files and photos that stand in several splits.

    Args:
        data: as `open_source` takes it: a folder, a CSV, an archive, a URL, or the name of a data set.
        threads: that read and decode; by default one a core.

    Returns:
        As `unfreeze check --json` prints it.

    Raises:
        DataError: there is no such data set.
    """
    settings = DataSettings()
    catalog = scan(open_source(data), None, settings.image_size, settings.resize, threads)
    return checkup.check(catalog, split(catalog, settings.validation, settings.split_seed))
