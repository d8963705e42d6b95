"""Photos that were downloaded and unpacked, in the cache folder.

    <cache>/sources/HASH/           an unpacked archive, under the hash of its content
    <cache>/sources/HASH.size       its bytes
    <cache>/sources/URL_HASH.json   what is known of a URL: how far it was fetched, where it was unpacked
    <cache>/sources/URL_HASH.part   half of it
    <cache>/sources/URL_HASH.archive  all of it, until it is unpacked

They stay until the cache is emptied: to bring them back takes a download, not an hour of arithmetic.
"""

import hashlib
import re
import shutil
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from unfreeze.data.archive import extract
from unfreeze.files import replace_text
from unfreeze.progress import byte_task

SOURCES = "sources"
NAME = re.compile(r"\.?[0-9a-f]{32}(\.(size|json|part|archive|lock))?")
"""Names of what lies in the folder; others are not ours to count or delete."""

HASH_DIGITS = 32
CHUNK = 2**20


def sources_folder(cache: Path) -> Path:
    """Give the folder of all sources in a cache; it is made if it isn't there."""
    folder = cache / SOURCES
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def unpack(archive: Path, called: str, cache: Path) -> Path:
    """Unpack an archive into the cache, or find it there.

    Args:
        archive: the file; its content alone names the folder.
        called: what errors and progress call it.
        cache: folder of all caches.

    Returns:
        The folder with all of its content.

    Raises:
        DataError: it can't be unpacked, or not safely.
        OSError: it can't be read, or the cache can't be written.
    """
    stat = archive.stat()
    digest = _hash(archive, called, stat.st_size, stat.st_mtime_ns)
    folder = sources_folder(cache)
    target, beside = folder / digest, folder / f".{digest}"
    with FileLock(folder / f"{digest}.lock"):
        if target.is_dir():
            return target
        shutil.rmtree(beside, ignore_errors=True)  # of a process that was killed
        beside.mkdir()
        try:
            size = extract(archive, called, beside)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        replace_text(folder / f"{digest}.size", str(size))
        beside.rename(target)
    return target


def sources_bytes(cache: Path) -> int:
    """Count the bytes of all sources in a cache."""
    return sum(map(_size, _entries(cache)))


def delete_sources(cache: Path) -> None:
    """Delete all sources in a cache."""
    for entry in _entries(cache):
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with suppress(OSError):
                entry.unlink()


def _entries(cache: Path) -> list[Path]:
    return [entry for entry in (cache / SOURCES).glob("*") if NAME.fullmatch(entry.name)]


def _size(entry: Path) -> int:
    """Count an entry's bytes; an unpacked archive's were written down, since it may have 100,000 files."""
    try:
        if not entry.is_dir():
            return entry.stat().st_size
        noted = entry.with_name(f"{entry.name}.size")
        if noted.is_file():
            return int(noted.read_text(encoding="utf-8"))
        return sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
    except (OSError, ValueError):  # another process has just deleted it
        return 0


@lru_cache
def _hash(archive: Path, called: str, size: int, changed: int) -> str:
    """Hash a file's content, once in a process as long as its size and time of change stay."""
    digest = hashlib.sha256()
    with archive.open("rb") as file, byte_task(f"Looking at {called}", size) as advance:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()[:HASH_DIGITS]
