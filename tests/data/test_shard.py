"""Rows are read at their place, by many threads, with few files open and none of them in memory."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from unfreeze.data import shard as shard_module
from unfreeze.data import store as store_module
from unfreeze.data.shard import Shard
from unfreeze.data.store import RowStore
from unfreeze.errors import DataError

PROC = Path("/proc/self")
linux_only = pytest.mark.skipif(not PROC.exists(), reason="looks at Linux's view of the process")


def write(folder: Path, values: np.ndarray) -> RowStore:
    store = RowStore(folder, values.shape[1:], values.dtype)
    with store.writer() as writer:
        for number, row in enumerate(values):
            writer.add(str(number), row)
    return store


def open_files(folder: Path) -> list[str]:
    links = [os.readlink(link) for link in (PROC / "fd").iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith(str(folder))]


@pytest.fixture(params=[True, False], ids=["positional", "go there first"])
def positional(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as Linux and macOS do, and as Windows must."""
    monkeypatch.setattr(shard_module, "POSITIONAL", request.param and shard_module.POSITIONAL)


@pytest.mark.usefixtures("positional")
def test_threads_that_share_few_open_files_get_their_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SHARD_BYTES", 5 * 40)
    monkeypatch.setattr(shard_module, "_opened", lru_cache(2)(shard_module._OpenFile))
    values = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float64)
    store = write(tmp_path, values)
    places = store.locate([str(number) for number in range(30)])

    def read(seed: int) -> bool:
        order = np.random.default_rng(seed).permutation(30)
        return np.array_equal(store.take(places[order]), values[order])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(60)))
    if PROC.exists():
        assert len(open_files(tmp_path)) == 2


@linux_only
def test_closed_files_give_their_descriptors_back(tmp_path: Path) -> None:
    store = write(tmp_path, np.ones((2, 3)))
    store.read(["0", "1"])
    assert len(open_files(tmp_path)) == 1
    shard_module.close_all()
    assert open_files(tmp_path) == []
    np.testing.assert_array_equal(store.read(["1"]), np.ones((1, 3)))


@linux_only
def test_rows_that_were_read_do_not_stay_in_memory(tmp_path: Path) -> None:
    def resident() -> int:
        return int((PROC / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    store = write(tmp_path, np.ones((48, 2**20), np.uint8))
    places = store.locate([str(number) for number in range(48)])
    store.take(places[:1])
    before = resident()
    for start in range(48):
        assert store.take(places[start : start + 1]).all()
    assert resident() - before < 12 * 2**20


@pytest.mark.parametrize(
    ("damage", "reason"), [("remove", "No such file or directory"), ("truncate", "it is shorter than it was")]
)
def test_a_row_that_went_away_is_said_with_its_file_and_the_remedy(tmp_path: Path, damage: str, reason: str) -> None:
    store = write(tmp_path, np.ones((3, 8)))
    (file,) = tmp_path.glob("*.npy")
    places = store.locate(["0", "1", "2"])
    if damage == "remove":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size - 1)
        assert store.take(places[:2]).all()
    message = rf"{re.escape(str(file))} can't be read any more \({reason}\).*same call again.*`unfreeze cache --clear`"
    with pytest.raises(DataError, match=message):
        store.take(places)


@pytest.mark.skipif(os.name == "nt", reason="Windows doesn't delete files that are open")
def test_a_file_that_is_open_can_be_read_after_it_was_deleted(tmp_path: Path) -> None:
    store = write(tmp_path, np.ones((3, 8)))
    store.read(["0"])
    (file,) = tmp_path.glob("*.npy")
    file.unlink()
    assert store.read(["0", "1", "2"]).all()


@pytest.mark.parametrize("content", [np.float64(1), np.asfortranarray(np.ones((2, 3)))], ids=["one number", "columns"])
def test_arrays_that_are_no_rows_are_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "rows.npy", content)
    with pytest.raises(ValueError, match="doesn't hold what its header says"):
        Shard(tmp_path / "rows.npy")


def test_only_the_first_use_in_a_process_is_noted(tmp_path: Path) -> None:
    write(tmp_path, np.ones((3, 8)))
    (index,) = tmp_path.glob("*.json")
    os.utime(index, (0, 1000))
    store = RowStore(tmp_path, (8,), np.float64)
    assert index.stat().st_mtime == 1000
    assert "0" in store
    used = index.stat().st_mtime
    assert used > 1000
    os.utime(index, (0, 1000))
    store.locate(["0", "1"])
    assert index.stat().st_mtime == 1000
