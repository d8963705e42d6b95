"""Reading the members of zip and tar archives one after the other, however damaged or malicious they are."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from unfreeze.errors import DataError
from unfreeze.limits import ARCHIVE_BYTES_LIMIT, ARCHIVE_RATIO_FROM, ARCHIVE_RATIO_LIMIT

FIRST_BYTES = 512
"""Bytes of a file that tell an archive, at least."""

CHUNK = 2**20

YOURSELF = "unpack it yourself and give the folder"


@dataclass(frozen=True)
class Member:
    """An archive's entry.

    Attributes:
        name: as it stands there.
        kind: `file`, `folder`, or in words what it is otherwise.
        packed: bytes of the archive that it takes, for progress.
        chunks: reads its content.
    """

    name: str
    kind: str
    packed: int
    chunks: Callable[[], Iterator[bytes]]


def archive_kind(start: bytes) -> str | None:
    """Tell by a file's first bytes whether it is a `zip`, `gzip`, `bz2`, `xz` or `tar`; None for anything else."""
    for magic, kind in ((b"PK\3\4", "zip"), (b"PK\5\6", "zip"), (b"\x1f\x8b", "gzip"), (b"BZh", "bz2")):
        if start.startswith(magic):
            return kind
    if start.startswith(b"\xfd7zXZ\0"):
        return "xz"
    return "tar" if start[257:262] == b"ustar" else None


def members_of(archive: Path, called: str) -> Iterator[Member]:
    """Give the members of an archive; each one's content must be read before the next one is asked for.

    Args:
        archive: a zip, or a tar, plain or compressed by gzip, bzip2 or xz.
        called: what errors call it.

    Raises:
        DataError: it is damaged or encrypted, or grows larger than archives of photos do.
    """
    meter = _Meter(called, archive.stat().st_size)
    with archive.open("rb") as file:
        kind = archive_kind(file.read(FIRST_BYTES))
    if kind is None:
        raise DataError(f"{called} is damaged, or no zip or tar archive: get it again.")
    return _zip_members(archive, called, meter) if kind == "zip" else _tar_members(archive, kind, called, meter)


class _Meter:
    """Counts bytes as they are unpacked and stops at what an archive of this size may grow to."""

    def __init__(self, called: str, size: int):
        self._called, self._count = called, 0
        self._limit = min(ARCHIVE_BYTES_LIMIT, max(ARCHIVE_RATIO_FROM, ARCHIVE_RATIO_LIMIT * size))

    def add(self, count: int) -> None:
        self._count += count
        if self._count > self._limit:
            raise DataError(
                f"{self._called} unpacks to more than {self._limit:,} bytes, which photos in an archive of its size "
                f"don't. If you trust it, {YOURSELF}."
            )


@contextmanager
def _damage_named(called: str) -> Iterator[None]:
    """Put errors of reading into words."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # zipfile, tarfile and the decompressors raise nearly anything on damaged files
        raise DataError(
            f"{called} is damaged or incomplete ({error or type(error).__name__}): get it again."
        ) from error


def _zip_members(archive: Path, called: str, meter: _Meter) -> Iterator[Member]:
    with _damage_named(called), zipfile.ZipFile(archive) as content:
        for info in content.infolist():
            if info.flag_bits & 1:
                raise DataError(f"{called} is encrypted ({info.filename}): {YOURSELF}.")
            yield Member(
                info.filename, _zip_kind(info), info.compress_size, partial(_zip_chunks, content, info, called, meter)
            )


def _zip_kind(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was packed on Windows
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a device or a pipe"
    return "folder" if info.filename.endswith(("/", "\\")) else "file"


def _zip_chunks(content: zipfile.ZipFile, info: zipfile.ZipInfo, called: str, meter: _Meter) -> Iterator[bytes]:
    with _damage_named(called):
        try:
            file = content.open(info)
        except NotImplementedError as error:
            raise DataError(
                f"{called} holds {info.filename} in a form that is not read ({error}): {YOURSELF}."
            ) from error
        with file:
            while chunk := file.read(CHUNK):
                meter.add(len(chunk))
                yield chunk


_DECOMPRESSORS: dict[str, Callable[[IO[bytes]], Any]] = {
    "gzip": lambda raw: gzip.GzipFile(fileobj=raw),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "tar": lambda raw: raw,
}


class _Strict(tarfile.TarInfo):
    """A tar's header; one that is cut off or garbled is an error, where tarfile takes it for the end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> "_Strict":
        try:
            return super().fromtarfile(tarfile)
        except _END:
            raise
        except _GARBLED as error:
            raise ValueError(f"its end is missing: {error}") from error


_END, _GARBLED = tarfile.EOFHeaderError, tarfile.HeaderError  # pyright: ignore[reportAttributeAccessIssue]


class _Metered:
    """A stream that is counted."""

    def __init__(self, stream: IO[bytes], meter: _Meter):
        self._stream, self._meter = stream, meter

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        self._meter.add(len(data))
        return data


def _tar_members(archive: Path, kind: str, called: str, meter: _Meter) -> Iterator[Member]:
    with _damage_named(called), archive.open("rb") as raw, _DECOMPRESSORS[kind](raw) as unpacked:
        stream: Any = _Metered(unpacked, meter)
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Strict) as opened:
            content: Any = opened
            place = 0
            while (info := content.next()) is not None:
                content.members.clear()  # it would keep all of them
                yield Member(
                    info.name, _tar_kind(info), raw.tell() - place, partial(_tar_chunks, content, info, called)
                )
                place = raw.tell()
        while stream.read(CHUNK):  # to the very end, where the checksum stands
            pass


def _tar_kind(info: tarfile.TarInfo) -> str:
    if info.isdir():
        return "folder"
    if info.isreg():
        return "file"
    if info.issym():
        return "a symbolic link"
    return "a hard link" if info.islnk() else "a device or a pipe"


def _tar_chunks(content: tarfile.TarFile, info: tarfile.TarInfo, called: str) -> Iterator[bytes]:
    with _damage_named(called):
        file: Any = content.extractfile(info)
        while chunk := file.read(CHUNK):
            yield chunk
