"""Where caches lie on this machine."""

import os
from pathlib import Path

import platformdirs

ENGINES = "engines"
"""Folder in the cache folder, of folders HASH with networks exported to ONNX."""


def cache_folder() -> Path:
    """Give the folder of unfreeze's caches, which may not be there yet.

    It is `$UNFREEZE_CACHE`, else `$XDG_CACHE_HOME/unfreeze`, else the platform's cache folder.
    """
    if own := os.environ.get("UNFREEZE_CACHE"):
        return Path(own).expanduser()
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches).expanduser() / "unfreeze"
    return Path(platformdirs.user_cache_dir("unfreeze", appauthor=False))
