"""`unfreeze.check` from Python, on files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unfreeze.data.check import check
from unfreeze.data.splits import Twin
from unfreeze.errors import DataError


def test_check_reads_a_folder(
    make_photos: Callable[[dict[str, int]], Path], encode_photo: Callable[..., bytes]
) -> None:
    root = make_photos({"train/cat": 7, "train/dog": 7, "test/cat": 2, "test/dog": 2})
    (root / "train" / "dog" / "twin.bmp").write_bytes(encode_photo(14, "BMP"))
    (root / "train" / "dog" / "bad.jpg").write_bytes(b"")
    found = check(root)
    assert found.images == 19
    assert found.classes == {"cat": 9, "dog": 10}
    assert found.splits == {"train": 12, "val": 2, "test": 4, "left_out": 1}
    assert [(file.path, file.reason) for file in found.bad] == [("train/dog/bad.jpg", "is empty")]
    assert found.twins == (Twin(("test/cat/000.png", "train/dog/twin.bmp"), ("test", "train")),)
    assert (found.smallest, found.largest) == ((40, 30), (40, 30))
    assert found.problems == ()


def test_what_a_notebook_shows(make_photos: Callable[[dict[str, int]], Path]) -> None:
    root = make_photos({"train/a&b": 7, "train/dog": 7, "test/a&b": 2, "test/dog": 2})
    shown = check(root)._repr_html_()
    assert shown.splitlines()[:2] == ["<pre>18 usable photos of 2 classes", "  a&amp;b        9"]
    assert shown.endswith("splits: train 12, val 2, test 4</pre>")


def test_check_names_what_is_not_there() -> None:
    with pytest.raises(DataError, match=r"^nowhere is neither a folder, a file, nor the name of a data set"):
        check("nowhere")
