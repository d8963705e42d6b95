"""Taking photos out of zip and tar archives that nobody vouches for.

Nothing is written outside the folder, nothing but plain files and folders is made, and what an archive may grow to is
limited. zipfile's and tarfile's own extraction is not used: tarfile's filter has let links through before
(CVE-2025-4517, CVE-2025-4330), and zipfile renames members that lead out in place of refusing them.
"""

import posixpath
from pathlib import Path

from unfreeze.data.archive_members import FIRST_BYTES, YOURSELF, Member, archive_kind, members_of
from unfreeze.data.items import inner_path
from unfreeze.data.photos import MAGIC_BYTES, looks_like_photo
from unfreeze.data.walk import is_hidden
from unfreeze.errors import DataError
from unfreeze.limits import ARCHIVE_MEMBERS_LIMIT
from unfreeze.progress import byte_task

SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".zip", ".tar")
"""How archives' names end."""

NAME_LIMIT = 500
"""Longest path inside an archive, in characters; longer ones can't be written on every system."""


def archive_stem(name: str) -> str:
    """Give an archive's name without its ending."""
    ending = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(ending)] or name


def extract(archive: Path, called: str, folder: Path) -> int:
    """Unpack an archive; hidden and system files are passed over.

    Args:
        archive: a zip, or a tar, plain or compressed by gzip, bzip2 or xz.
        called: what errors call it.
        folder: an empty one; after an error it holds what was unpacked by then.

    Returns:
        Bytes of the files that were written.

    Raises:
        DataError: it is damaged, encrypted, a bomb, holds what must not be unpacked, or no photos but archives.
        OSError: the folder can't be written.
    """
    size = archive.stat().st_size
    written = photos = 0
    archives: list[str] = []
    with byte_task(f"Unpacking {called}", size) as advance:
        for number, member in enumerate(members_of(archive, called), start=1):
            if number > ARCHIVE_MEMBERS_LIMIT:
                raise DataError(f"{called} holds more than {ARCHIVE_MEMBERS_LIMIT:,} files: {YOURSELF}.")
            advance(member.packed)
            if (path := _path_for(member, called)) is None:
                continue
            start, count = _write(member, folder / path, called)
            written += count
            photos += looks_like_photo(path, start)
            if archive_kind(start):
                archives.append(path)
    if archives and not photos:
        raise DataError(f"{called} holds no photos but archives, such as {archives[0]}: {YOURSELF}.")
    return written


def _path_for(member: Member, called: str) -> str | None:
    """Give a member's path below the folder, or None where it is passed over.

    Raises:
        DataError: it must not be unpacked.
    """
    parts = member.name.replace("\\", "/").split("/")
    if posixpath.normpath("/".join(parts)) == ".":
        return None
    try:
        path = inner_path(member.name)
        if ".." in parts:
            raise ValueError("has .. in its path")
        if len(path) > NAME_LIMIT:
            raise ValueError(f"has a path of more than {NAME_LIMIT} characters")
        if any(map(is_hidden, path.split("/"))):
            return None
        if member.kind not in ("file", "folder"):
            raise ValueError(f"is {member.kind}")
    except ValueError as error:
        raise DataError(
            f"{called} is not unpacked: its member {member.name[:NAME_LIMIT]!r} {error}, which photos never need. "
            f"If you trust it, {YOURSELF}."
        ) from None
    return path


def _write(member: Member, target: Path, called: str) -> tuple[bytes, int]:
    """Write a member; gives its first bytes and how many it has."""
    start, count = b"", 0
    try:
        if member.kind == "folder":
            target.mkdir(parents=True, exist_ok=True)
            return start, count
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError):
        raise DataError(
            f"{called} is not unpacked: its member {member.name!r} stands twice in it. If you trust it, {YOURSELF}."
        ) from None
    with file:
        for chunk in member.chunks():
            start = start or chunk[: max(FIRST_BYTES, MAGIC_BYTES)]
            count += len(chunk)
            file.write(chunk)
    return start, count
