"""The files that a command line names: by themselves, by patterns, or on stdin."""

import glob
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from unfreeze.errors import DataError

STDIN = "-"


def named_files(words: Sequence[str]) -> list[Path]:
    """Put in the place of each word the files and folders that it stands for; the order is that of the words.

    Args:
        words: `-` stands for the names on stdin, one a line (or with a zero byte behind each, as `find -print0` writes
            them); a word with `*`, `?` or `[` that is no file's name for the files that it fits, sorted, with `**` for
            any folders; all others stand for themselves.

    Raises:
        DataError: a pattern fits nothing, or stdin is empty.
    """
    return [Path(name) for word in words for name in _named(word)]


def _named(word: str) -> Sequence[str]:
    if word == STDIN:
        return _on_stdin()
    if not glob.has_magic(word) or os.path.lexists(word):
        return [word]
    if found := sorted(glob.glob(word, recursive=True)):
        return found
    raise DataError(f"No file fits {word}. Patterns start in {Path.cwd()}, unless they begin with a slash.")


def _on_stdin() -> Sequence[str]:
    content = sys.stdin.buffer.read()
    names = content.split(b"\0") if b"\0" in content else content.splitlines()
    if found := [os.fsdecode(name) for name in names if name]:
        return found
    raise DataError("No file name came on stdin. Give them one a line: ls | unfreeze predict RUN -")
