"""How large the caches are, how large they may get, and what goes when they are full.

    <cache>/pixels/NAME/        shards of decoded photos
    <cache>/activations/NAME/   shards of what frozen layers made of photos
    <cache>/engines/HASH/       frozen layers, and whole networks that `predict` starts from, exported
    <cache>/sources/HASH/       photos that were unpacked or downloaded (`source_cache.py`)

Shards that were not used for longest go first, and never one that this process uses. Other processes' shards are
protected by having been used later, not surely (but surely in processes of one call, see `keep_newer`): a run that
loses rows which it has not read yet stops with an error that says so, and computes them again when it is called again.
"""

import functools
import math
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from unfreeze.data.cache_folder import ENGINES
from unfreeze.data.shard import Shard, close_all, delete, index_of
from unfreeze.data.source_cache import SOURCES, delete_sources, sources_bytes
from unfreeze.data.store import RowStore
from unfreeze.errors import DataError
from unfreeze.limits import CACHE_LIMIT, CACHE_SHARE_OF_DISK
from unfreeze.progress import say

STORES = ("pixels", "activations")

STORE_FILE = re.compile(r"(\.([0-9a-f]{8}-)?)?[0-9a-f]{32}\.(npy|json)")
"""Names of a store's files, with a dot in front while they are written; others are not ours to count or delete."""

ENGINE_FOLDER = re.compile(r"[0-9a-f]{32}")

_kept_since = math.inf

LEFTOVER_SECONDS = 24 * 3600.0
"""Half of a shard that did not change for so long was left by a process that was killed."""


@dataclass(frozen=True)
class CacheContents:
    """What the caches hold.

    Attributes:
        limit: most bytes that they may take.
        pixels: bytes of decoded photos.
        photos: how many those are.
        activations: bytes of what frozen layers made of photos.
        rows: how many photos and views those are.
        engines: bytes of exported frozen layers and networks.
        sources: bytes of photos that were unpacked or downloaded; they stay until the cache is emptied.
    """

    limit: int
    pixels: int
    photos: int
    activations: int
    rows: int
    engines: int
    sources: int

    @property
    def bytes(self) -> int:
        """Size of everything."""
        return self.pixels + self.activations + self.engines + self.sources


def open_store(
    cache: Path, kind: Literal["pixels", "activations"], name: str, shape: tuple[int, ...], dtype: np.typing.DTypeLike
) -> RowStore:
    """Open a store of the cache; what is written to it keeps the cache within its limit.

    Args:
        cache: folder of all caches.
        kind: what the rows are.
        name: of the store: all that its rows depend on beside their keys.
        shape: of one row.
        dtype: of the rows.
    """
    return RowStore(cache / kind / name, shape, dtype, functools.partial(make_room, cache))


def cache_limit(cache: Path) -> int:
    """Give the most bytes that the caches may take: 20 GB or a tenth of their disk, whichever is less."""
    cache = cache.absolute()
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return min(CACHE_LIMIT, int(CACHE_SHARE_OF_DISK * shutil.disk_usage(there).total))


def free_bytes(folder: Path) -> int:
    """Give the bytes that are free on the disk of a folder, which need not be there yet."""
    folder = folder.absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


def ensure_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        folder: where it would be written.
        needed: bytes.
        what: begins the message.

    Raises:
        DataError: saying how much is needed and how much is free.
    """
    if (free := free_bytes(folder)) < needed:
        raise DataError(
            f"{what} needs about {needed / 1e6:,.0f} MB in {folder}, and {free / 1e6:,.0f} MB are free on that disk. "
            "Make room and make the same call again, which goes on from here; or choose another folder (--out for "
            "results, UNFREEZE_CACHE for the cache)."
        )


def cache_contents(cache: Path) -> CacheContents:
    """Look at the caches in a folder, which need not be there."""
    return CacheContents(
        limit=cache_limit(cache),
        pixels=_bytes(cache, "pixels"),
        photos=_row_count(cache, "pixels"),
        activations=_bytes(cache, "activations"),
        rows=_row_count(cache, "activations"),
        engines=_bytes(cache, ENGINES),
        sources=sources_bytes(cache),
    )


def clear_cache(cache: Path) -> int:
    """Delete the caches in a folder, not what else lies there. A run that is going on loses its rows.

    Returns:
        The bytes that were freed.
    """
    before = _total_bytes(cache)
    close_all()
    files = [file for kind in STORES for file in _store_files(cache, kind)]
    for file in sorted(files, key=lambda file: file.suffix):  # names before rows
        with suppress(OSError):
            file.unlink()
    for engine in _engines(cache):
        shutil.rmtree(engine, ignore_errors=True)
    delete_sources(cache)
    for folder in [*cache.glob("*/*/"), *cache.glob("*/")]:
        if folder.relative_to(cache).parts[0] in (*STORES, ENGINES, SOURCES):
            with suppress(OSError):  # not empty
                folder.rmdir()
    return before - _total_bytes(cache)


def keep_newer(file: Path) -> None:
    """Keep this process from deleting shards that anybody used since a file was made.

    Args:
        file: in the cache, so that one clock tells the times of all.
    """
    global _kept_since
    _kept_since = _changed(file)


def make_room(cache: Path, needed: int) -> None:
    """Delete shards until `needed` more bytes fit into the caches' limit, those first that were not used for longest.

    Shards that this process uses stay even if the limit can't be kept then; that is said once. What killed processes
    left behind goes in any case.
    """
    for file in _leftovers(cache):
        with suppress(OSError):
            file.unlink()
    limit = cache_limit(cache)
    excess = _total_bytes(cache) + needed - limit
    idle_first = sorted(_shards(cache), key=lambda shard: _changed(index_of(shard))) if excess > 0 else []
    for shard in idle_first:
        if _changed(index_of(shard)) >= _kept_since:
            break
        size = _size(shard) + _size(index_of(shard))
        if delete(shard):
            excess -= size
        if excess <= 0:
            return
    if excess > 0:
        _say_once(f"The caches outgrow their limit of {limit / 1e9:.3g} GB: what is in use does not fit into it.")


def _total_bytes(cache: Path) -> int:
    return sum(_bytes(cache, kind) for kind in (*STORES, ENGINES)) + sources_bytes(cache)


def _bytes(cache: Path, kind: str) -> int:
    if kind == ENGINES:
        return sum(_size(file) for engine in _engines(cache) for file in engine.rglob("*"))
    return sum(map(_size, _store_files(cache, kind)))


def _row_count(cache: Path, kind: str) -> int:
    count = 0
    for file in _shards(cache, (kind,)):
        with suppress(Exception):  # NumPy raises nearly anything on a damaged header
            count += Shard(file).shape[0]
    return count


def _engines(cache: Path) -> list[Path]:
    return [folder for folder in (cache / ENGINES).glob("*") if ENGINE_FOLDER.fullmatch(folder.name)]


def _store_files(cache: Path, kind: str) -> list[Path]:
    return [file for file in (cache / kind).glob("*/*") if STORE_FILE.fullmatch(file.name)]


def _shards(cache: Path, kinds: tuple[str, ...] = STORES) -> list[Path]:
    """Give the `.npy` files that have an index."""
    files = {file for kind in kinds for file in _store_files(cache, kind) if not file.name.startswith(".")}
    return [file for file in files if file.suffix == ".npy" and index_of(file) in files]


def _leftovers(cache: Path) -> list[Path]:
    """Give old files that are no part of a whole shard."""
    whole = {part for file in _shards(cache) for part in (file, index_of(file))}
    files = [file for kind in STORES for file in _store_files(cache, kind) if file not in whole]
    long_ago = time.time() - LEFTOVER_SECONDS
    return [file for file in files if _changed(file) < long_ago]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # another process has just deleted it
        return 0


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


@functools.cache
def _say_once(message: str) -> None:
    say(message)
