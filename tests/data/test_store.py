"""Rows come back bit for bit, whatever happened while they were written."""

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from unfreeze.data import store as store_module
from unfreeze.data.store import RowStore
from unfreeze.errors import DataError


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 3), dtype=np.uint8)


def keys(count: int, prefix: str = "k") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def fill(store: RowStore, values: np.ndarray, prefix: str = "k") -> None:
    with store.writer() as writer:
        for key, row in zip(keys(len(values), prefix), values, strict=True):
            writer.add(key, row)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RowStore:
    """Open a store of uint8 rows of 4 x 3, five a shard."""
    monkeypatch.setattr(store_module, "SHARD_BYTES", 5 * 12)
    return RowStore(tmp_path / "rows", (4, 3), np.uint8)


def reopened(store: RowStore) -> RowStore:
    return RowStore(store.folder, store.shape, store.dtype)


def test_rows_come_back_in_any_order_and_after_opening_again(store: RowStore) -> None:
    values = rows(23)
    fill(store, values)
    order = np.random.default_rng(1).permutation(23)
    wanted = [f"k{number}" for number in order]
    for each in (store, reopened(store)):
        np.testing.assert_array_equal(each.read(wanted), values[order])
    assert len(list(store.folder.glob("*.npy"))) == 5


def test_shards_are_plain_npy_files(store: RowStore) -> None:
    values = rows(5)
    fill(store, values)
    (shard,) = store.folder.glob("*.npy")
    np.testing.assert_array_equal(np.load(shard), values)


def test_places_can_be_sliced_and_indexed(store: RowStore) -> None:
    values = rows(12)
    fill(store, values)
    places = store.locate(keys(12))
    np.testing.assert_array_equal(store.take(places[3:7]), values[3:7])
    np.testing.assert_array_equal(store.take(places[np.array([11, 0, 11])]), values[[11, 0, 11]])
    assert len(store.locate([])) == 0
    assert store.take(store.locate([])).shape == (0, 4, 3)


def test_float16_activations_keep_their_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(10, 7, 7, 5)).astype(np.float16)
    store = RowStore(tmp_path, (7, 7, 5), np.float16)
    fill(store, values)
    assert reopened(store).read(keys(10)).tobytes() == values.tobytes()


def test_missing_keeps_the_order_and_names_each_key_once(store: RowStore) -> None:
    fill(store, rows(2))
    assert store.missing(["b", "k1", "a", "b"]) == ["b", "a"]
    assert "k1" in store
    assert "a" not in store
    assert len(store) == 2


def test_notes_stay_with_their_rows(store: RowStore) -> None:
    with store.writer() as writer:
        writer.add("a", rows(1)[0], {"width": 3})
        writer.add("b", rows(1)[0])
    for each in (store, reopened(store)):
        assert each.note("a") == {"width": 3}
        assert each.note("b") is None


def test_a_key_that_is_there_is_not_written_again(store: RowStore) -> None:
    first, second = rows(2)
    with store.writer() as writer:
        writer.add("a", first)
        writer.add("a", second)
        assert "a" in writer
    with store.writer() as writer:
        writer.add("a", second)
    np.testing.assert_array_equal(reopened(store).read(["a"])[0], first)
    assert len(list(store.folder.iterdir())) == 2


def test_a_row_of_another_shape_or_type_is_refused(store: RowStore) -> None:
    with store.writer() as writer:
        with pytest.raises(ValueError, match=r"The row is uint8 \(3, 4\), not uint8 \(4, 3\) as the store"):
            writer.add("a", np.zeros((3, 4), np.uint8))
        with pytest.raises(ValueError, match=r"The row is float32 \(4, 3\), not uint8"):
            writer.add("a", np.zeros((4, 3), np.float32))


def test_an_unknown_key_is_named(store: RowStore) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        store.locate(["nowhere"])


def test_an_error_while_writing_keeps_finished_shards_and_leaves_nothing_else(store: RowStore) -> None:
    values = rows(8)

    def interrupted() -> None:
        with store.writer() as writer:
            for key, row in zip(keys(8), values, strict=True):
                writer.add(key, row)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        interrupted()
    assert store.missing(keys(8)) == ["k5", "k6", "k7"]
    np.testing.assert_array_equal(reopened(store).read(keys(5)), values[:5])
    assert len(list(store.folder.iterdir())) == 2


def _fill_and_die(folder: Path, before: str) -> None:
    """Write one whole shard, then die just before the second one's `before` file takes its place."""
    store_module.SHARD_BYTES = 5 * 12
    store = RowStore(folder, (4, 3), np.dtype(np.uint8))
    values = rows(10)
    writer = store_module.RowWriter(store)
    for number in range(9):
        writer.add(f"k{number}", values[number])

    def die(*_: object, **__: object) -> None:
        os._exit(9)

    setattr(store_module, {".npy": "publish", ".json": "write_sealed"}[before], die)
    writer.add("k9", values[9])


@pytest.mark.parametrize("before", [".npy", ".json"])
def test_a_kill_costs_only_the_shard_being_written(store: RowStore, before: str) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_fill_and_die, args=(store.folder, before))
    process.start()
    process.join()
    assert process.exitcode == 9
    again = reopened(store)
    assert again.missing(keys(10)) == ["k5", "k6", "k7", "k8", "k9"]
    np.testing.assert_array_equal(again.read(keys(5)), rows(10)[:5])
    fill(again, rows(10))
    np.testing.assert_array_equal(reopened(again).read(keys(10)), rows(10))


def test_two_writers_at_once_lose_nothing(store: RowStore) -> None:
    other = reopened(store)
    with store.writer() as first, other.writer() as second:
        for number, row in enumerate(rows(12)):
            first.add(f"k{number}", row)
            second.add(f"k{number}", row)
            second.add(f"other{number}", row)
    both = reopened(store)
    np.testing.assert_array_equal(both.read(keys(12)), rows(12))
    np.testing.assert_array_equal(both.read(keys(12, "other")), rows(12))


@pytest.mark.parametrize("damage", ["truncate", "grow", "remove", "garbage index", "empty index", "other type"])
def test_a_damaged_shard_counts_as_missing(store: RowStore, damage: str) -> None:
    fill(store, rows(5))
    fill(store, rows(3), "good")
    (index,) = [file for file in store.folder.glob("*.json") if "k0" in json.loads(file.read_text())["keys"]]
    shard = index.with_suffix(".npy")
    if damage == "truncate":
        shard.write_bytes(shard.read_bytes()[:-1])
    elif damage == "grow":
        shard.write_bytes(shard.read_bytes() + b"\0")
    elif damage == "remove":
        shard.unlink()
    elif damage == "garbage index":
        index.write_bytes(b"\xff{")
    elif damage == "empty index":
        index.write_text("[]")
    else:
        np.save(shard, rows(5).view(np.int8))
    again = reopened(store)
    assert again.missing([*keys(5), "good0"]) == keys(5)
    np.testing.assert_array_equal(again.read(keys(3, "good")), rows(3))
    fill(again, rows(5))
    np.testing.assert_array_equal(reopened(again).read(keys(5)), rows(5))


def test_a_flipped_bit_in_a_row_is_found_and_the_shard_made_again(store: RowStore) -> None:
    fill(store, rows(5))
    (shard,) = store.folder.glob("*.npy")
    content = bytearray(shard.read_bytes())
    content[-7] ^= 1 << 3  # of the last row
    shard.write_bytes(content)
    opened = reopened(store)
    np.testing.assert_array_equal(opened.read(keys(4)), rows(5)[:4])
    with pytest.raises(DataError, match=rf"{shard.name} was damaged.*same call again"):
        opened.read(keys(5))
    again = reopened(store)
    assert again.missing(keys(5)) == keys(5)
    fill(again, rows(5))
    np.testing.assert_array_equal(reopened(again).read(keys(5)), rows(5))


def test_any_flipped_bit_in_an_index_makes_its_shard_count_as_missing(store: RowStore) -> None:
    with store.writer() as writer:
        writer.add("a", rows(1)[0], {"width": 3, "pixels_sha256": "ab"})
    (index,) = store.folder.glob("*.json")
    whole = index.read_bytes()
    for place in range(len(whole)):
        index.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert "a" not in reopened(store), place
    index.write_bytes(whole)
    assert reopened(store).note("a") == {"width": 3, "pixels_sha256": "ab"}


def test_another_shape_sees_none_of_the_rows(store: RowStore) -> None:
    fill(store, rows(5))
    assert len(RowStore(store.folder, (3, 4), np.uint8)) == 0


def test_a_shard_that_another_process_deleted_before_its_first_use_counts_as_missing(store: RowStore) -> None:
    fill(store, rows(8))
    opened = reopened(store)
    (index,) = [file for file in store.folder.glob("*.json") if "k0" in json.loads(file.read_text())["keys"]]
    index.unlink()
    assert opened.missing(keys(8)) == keys(5)
    assert opened.note("k0") is None
    with pytest.raises(KeyError, match="k0"):
        opened.locate(["k0"])
    fill(opened, rows(8))
    np.testing.assert_array_equal(opened.read(keys(8)), rows(8))


def test_room_is_made_before_each_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "SHARD_BYTES", 5 * 12)
    asked: list[tuple[int, int]] = []
    store = RowStore(tmp_path, (4, 3), np.uint8, lambda size: asked.append((size, len(list(tmp_path.glob("*.npy"))))))
    fill(store, rows(12))
    fill(store, rows(12))
    assert asked == [(60, 0), (60, 1), (60, 2)]


def test_an_empty_writer_makes_no_files(store: RowStore) -> None:
    with store.writer():
        pass
    assert not store.folder.exists()
