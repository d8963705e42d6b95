"""The caches stay within their limit, and what is in use stays in them."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from unfreeze.data import cache_size, shard
from unfreeze.data import store as store_module
from unfreeze.data.cache_size import cache_contents, cache_limit, clear_cache, make_room, open_store
from unfreeze.data.catalog import pixel_store, scan
from unfreeze.data.sources import open_source
from unfreeze.data.store import RowStore
from unfreeze.progress import Advance, reporting_to

ROW = 1000
SHARD = 4 * ROW
UUID = "0123456789abcdef" * 2
DAYS_AGO = time.time() - 3 * 24 * 3600


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for caches in which a shard holds four rows of 1000 bytes."""
    monkeypatch.setattr(store_module, "SHARD_BYTES", SHARD)
    monkeypatch.setattr(shard, "_in_use", set())
    cache_size._say_once.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Set the limit of the caches in bytes."""
    return lambda size: monkeypatch.setattr(cache_size, "CACHE_LIMIT", size)


def store_of(folder: Path, name: str = "rows") -> RowStore:
    return open_store(folder, "activations", name, (ROW,), np.uint8)


def fill(store: RowStore, keys: str) -> None:
    with store.writer() as writer:
        for key in keys:
            writer.add(key, np.full(ROW, ord(key), np.uint8))


def shard_of(folder: Path, key: str) -> Path:
    (file,) = [file for file in folder.glob("*/*/*.json") if f'"{key}"' in file.read_text()]
    return file


def left_by_another_process(folder: Path, keys: str, used: float) -> None:
    """Write rows that this process has no use for, last used at a time."""
    fill(store_of(folder), keys)
    shard._in_use.clear()
    for key in keys:
        os.utime(shard_of(folder, key), (used, used))


def there(folder: Path) -> str:
    store = RowStore(folder / "activations" / "rows", (ROW,), np.uint8)
    return "".join(sorted(store._places))


def disk_use(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class Heard:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    @contextmanager
    def task(self, title: str, total: int) -> Iterator[Advance]:
        yield lambda steps: None

    def say(self, message: str) -> None:
        self.said.append(message)


@pytest.mark.parametrize(("disk", "expected"), [(50 * 10**9, 5 * 10**9), (10**12, 20 * 10**9)])
def test_the_limit_is_20_gb_or_a_tenth_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: int, expected: int
) -> None:
    real = shutil.disk_usage(tmp_path)._replace(total=disk)
    monkeypatch.setattr(cache_size.shutil, "disk_usage", lambda path: {tmp_path: real}[path])
    assert cache_limit(tmp_path / "not" / "there") == expected


def test_contents_count_our_files_and_rows(folder: Path) -> None:
    assert cache_contents(folder).bytes == 0
    fill(store_of(folder), "abcdef")
    fill(open_store(folder, "pixels", "v1", (ROW,), np.uint8), "ab")
    engine = folder / "engines" / UUID
    engine.mkdir(parents=True)
    (engine / "model.onnx").write_bytes(bytes(500))
    mine = disk_use(folder)
    (folder / "pixels" / "notes.txt").write_text("not ours")
    (folder / "pixels" / "v1" / "notes.json").write_text("not ours")
    (folder / "photo.jpg").write_text("not ours")
    contents = cache_contents(folder)
    assert contents.bytes == contents.pixels + contents.activations + contents.engines == mine
    assert (contents.photos, contents.rows, contents.engines) == (2, 6, 500)
    assert contents.pixels == disk_use(folder / "pixels" / "v1") - len("not ours")


def test_clearing_leaves_what_is_not_ours(folder: Path) -> None:
    store = store_of(folder)
    fill(store, "abcdef")
    store.read(["a"])
    fill(open_store(folder, "pixels", "v1", (ROW,), np.uint8), "ab")
    (folder / "engines" / UUID).mkdir(parents=True)
    (folder / "engines" / UUID / "choice.json").write_text("{}")
    (folder / "activations" / "rows" / f".{UUID}.npy").write_bytes(bytes(100))
    mine = disk_use(folder)
    photo = folder / "pixels" / "holiday" / "photo.jpg"
    photo.parent.mkdir()
    photo.write_text("not ours")
    assert clear_cache(folder) == mine
    assert [file for file in folder.rglob("*") if file.is_file()] == [photo]
    assert not (folder / "activations").exists()
    assert clear_cache(folder) == 0


def test_what_was_not_used_for_longest_goes_first(folder: Path, limit: Callable[[int], None]) -> None:
    left_by_another_process(folder, "efgh", used=3000)
    left_by_another_process(folder, "abcd", used=1000)
    left_by_another_process(folder, "ijkl", used=2000)
    size = disk_use(folder)
    limit(size)
    make_room(folder, 0)
    assert there(folder) == "abcdefghijkl"
    make_room(folder, 1)
    assert there(folder) == "efghijkl"
    make_room(folder, size // 2)
    assert there(folder) == "efgh"


def test_looking_rows_up_makes_them_the_last_used(folder: Path, limit: Callable[[int], None]) -> None:
    left_by_another_process(folder, "abcd", used=1000)
    left_by_another_process(folder, "efgh", used=2000)
    assert store_of(folder).missing("ax") == ["x"]
    shard._in_use.clear()
    limit(disk_use(folder))
    make_room(folder, 1)
    assert there(folder) == "abcd"


def test_rows_in_use_stay_and_that_is_said_once(folder: Path, limit: Callable[[int], None]) -> None:
    left_by_another_process(folder, "abcd", used=1000)
    left_by_another_process(folder, "efgh", used=2000)
    store = store_of(folder)
    places = store.locate("abc")
    limit(1000)
    heard = Heard()
    with reporting_to(heard):
        make_room(folder, 0)
        make_room(folder, 0)
    assert there(folder) == "abcd"
    assert store.take(places).mean(axis=1).tolist() == [ord("a"), ord("b"), ord("c")]
    assert heard.said == ["The caches outgrow their limit of 1e-06 GB: what is in use does not fit into it."]


def test_writing_keeps_the_limit_and_what_was_written(folder: Path, limit: Callable[[int], None]) -> None:
    left_by_another_process(folder, "ABCDEFGHIJKL", used=1000)
    size = disk_use(folder)
    limit(size)
    heard = Heard()
    with reporting_to(heard):
        store = store_of(folder)
        with store.writer() as writer:
            for number, key in enumerate("abcdefghijkl", start=1):
                writer.add(key, np.full(ROW, number, np.uint8))
                assert disk_use(folder) <= size + 100  # the keys' file is not reckoned with
    assert there(folder) == "abcdefghijkl"
    np.testing.assert_array_equal(store.read("abcdefghijkl")[:, 0], np.arange(1, 13))
    assert heard.said == []


def test_rows_that_had_to_go_are_missing_and_can_be_written_again(folder: Path, limit: Callable[[int], None]) -> None:
    left_by_another_process(folder, "abcd", used=1000)
    store = store_of(folder)
    limit(0)
    make_room(folder, 0)
    assert store.missing("abcd") == list("abcd")
    fill(store, "abcd")
    assert store.read("d")[0, 0] == ord("d")


def test_names_of_rows_go_before_the_rows(
    folder: Path, limit: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by_another_process(folder, "abcd", used=1000)
    unlink = Path.unlink

    def die_at_rows(file: Path, missing_ok: bool = False) -> None:
        if file.suffix == ".npy":
            raise KeyboardInterrupt
        unlink(file, missing_ok)

    monkeypatch.setattr(Path, "unlink", die_at_rows)
    limit(0)
    with pytest.raises(KeyboardInterrupt):
        make_room(folder, 0)
    assert len(list(folder.rglob("*.npy"))) == 1
    assert list(folder.rglob("*.json")) == []


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (f".{UUID}.npy", True),
        (f".01234567-{UUID}.json", True),
        (f"{UUID}.npy", True),
        (f"{UUID}.json", True),
        ("mine.npy", False),
        (".mine", False),
    ],
)
def test_what_killed_processes_left_goes_after_a_day(folder: Path, name: str, ours: bool) -> None:
    fill(store_of(folder), "abcd")
    file = folder / "activations" / "rows" / name
    file.write_bytes(bytes(100))
    make_room(folder, 0)
    assert file.exists()
    os.utime(file, (DAYS_AGO, DAYS_AGO))
    for old in folder.rglob("*.npy"):
        os.utime(old, (DAYS_AGO, DAYS_AGO))
    make_room(folder, 0)
    assert file.exists() != ours
    assert there(folder) == "abcd"


def test_reading_photos_makes_room(
    folder: Path, limit: Callable[[int], None], make_photos: Callable[[dict[str, int]], Path]
) -> None:
    left_by_another_process(folder, "abcd", used=1000)
    limit(SHARD)
    store = pixel_store(folder, 32, "squash")
    catalog = scan(open_source(make_photos({"cat": 2, "dog": 1})), store, 32, "squash")
    assert there(folder) == ""
    assert store.missing([photo.sha256 for photo in catalog.photos]) == []
    assert cache_contents(folder).photos == 3


def test_all_that_a_series_keeps_is_counted(series: Path, cache: Path) -> None:
    contents = cache_contents(cache)
    assert contents.bytes == sum(disk_use(cache / kind) for kind in ("pixels", "activations", "engines", "sources"))
    assert min(contents.photos, contents.rows) >= 80
    assert contents.engines > 10**6
