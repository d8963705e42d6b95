"""`unfreeze.check` from Python, on files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unfreeze.data.check import check
from unfreeze.errors import DataError


def test_check_reads_a_folder(
    make_photos: Callable[[dict[str, int]], Path], encode_photo: Callable[..., bytes]
) -> None:
    root = make_photos({"train/cat": 7, "train/dog": 7, "test/cat": 2, "test/dog": 2})
    (root / "train" / "dog" / "twin.bmp").write_bytes(encode_photo(14, "BMP"))
    (root / "train" / "dog" / "bad.jpg").write_bytes(b"")
    found = check(root)
    assert found["images"] == 19
    assert found["classes"] == {"cat": 9, "dog": 10}
    assert found["splits"] == {"train": 12, "val": 2, "test": 4, "left_out": 1}
    assert found["bad"] == [{"path": "train/dog/bad.jpg", "reason": "is empty"}]
    assert found["twins"] == [{"paths": ["test/cat/000.png", "train/dog/twin.bmp"], "splits": ["test", "train"]}]
    assert (found["smallest"], found["largest"]) == ([40, 30], [40, 30])
    assert found["problems"] == []


def test_check_names_what_is_not_there() -> None:
    with pytest.raises(DataError, match=r"^nowhere is neither a folder, a file, nor the name of a data set"):
        check("nowhere")
