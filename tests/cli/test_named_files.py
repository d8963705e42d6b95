"""Files that a command line names: the order, patterns, and names on stdin."""

import io
import sys
from pathlib import Path

import pytest

from unfreeze.cli.named_files import named_files
from unfreeze.errors import DataError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Some empty files, and the folder that the test runs in."""
    for name in ("b.jpg", "a.jpg", "c.png", "deep/er/d.jpg", "odd[1].jpg", ".hidden.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def on_stdin(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["b.jpg", "missing.jpg", "deep"], ["b.jpg", "missing.jpg", "deep"]),
        (["c.png", "[ab].jpg", "b.jpg"], ["c.png", "a.jpg", "b.jpg", "b.jpg"]),
        (["?.*"], ["a.jpg", "b.jpg", "c.png"]),
        (["**/d.jpg"], ["deep/er/d.jpg"]),
        (["odd[1].jpg"], ["odd[1].jpg"]),
    ],
)
def test_words_and_patterns(words, found):
    assert named_files(words) == [Path(name) for name in found]


def test_a_pattern_that_fits_nothing(folder):
    with pytest.raises(DataError) as error:
        named_files(["a.jpg", "*.heic"])
    assert str(error.value) == f"No file fits *.heic. Patterns start in {folder}, unless they begin with a slash."


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"b.jpg\n a.jpg\n\n*.png\n", ["b.jpg", " a.jpg", "*.png"]),
        (b"b.jpg\r\na.jpg", ["b.jpg", "a.jpg"]),
        (b"two\nlines.jpg\0a.jpg\0", ["two\nlines.jpg", "a.jpg"]),
        (b"caf\xe9.jpg\n", ["caf\udce9.jpg"]),
    ],
)
def test_names_on_stdin_stand_for_themselves(monkeypatch, content, found):
    on_stdin(monkeypatch, content)
    assert named_files(["first", "-", "last"]) == [Path("first"), *map(Path, found), Path("last")]


def test_nothing_on_stdin(monkeypatch):
    on_stdin(monkeypatch, b"\n")
    with pytest.raises(DataError, match=r"No file name came on stdin\."):
        named_files(["-"])
