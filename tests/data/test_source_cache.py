"""What was unpacked is found again, is never half, and counts."""

import os
import shutil
import zipfile
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest

from unfreeze.data import cache_size, source_cache
from unfreeze.data.cache_size import cache_contents, clear_cache, make_room
from unfreeze.data.source_cache import sources_bytes, unpack
from unfreeze.errors import DataError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Give an archive of two photos."""
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as content:
        content.writestr("cat/1.jpg", bytes(3000))
        content.writestr("dog/2.jpg", bytes(4000))
    return tmp_path / "photos.zip"


def disk_use(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_the_content_names_the_folder(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unpack(archive, "photos.zip", tmp_path / "cache")
    assert (folder / "dog" / "2.jpg").stat().st_size == 4000
    moved = shutil.copy(archive, tmp_path / "other.zip")
    monkeypatch.setattr(source_cache, "extract", None)
    assert unpack(Path(moved), "other.zip", tmp_path / "cache") == folder


def test_another_content_under_the_same_name_is_unpacked_anew(archive: Path, tmp_path: Path) -> None:
    first = unpack(archive, "photos.zip", tmp_path / "cache")
    with zipfile.ZipFile(archive, "a") as content:
        content.writestr("cat/3.jpg", bytes(5))
    second = unpack(archive, "photos.zip", tmp_path / "cache")
    assert first != second
    assert (second / "cat" / "3.jpg").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError, OSError])
def test_what_fails_half_way_leaves_nothing(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(archive: Path, called: str, folder: Path) -> int:
        (folder / "cat").mkdir()
        (folder / "cat" / "1.jpg").write_bytes(b"half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(source_cache, "extract", fail)
        with pytest.raises(error):
            unpack(archive, "photos.zip", tmp_path / "cache")
    assert sources_bytes(tmp_path / "cache") == 0
    assert (unpack(archive, "photos.zip", tmp_path / "cache") / "cat" / "1.jpg").stat().st_size == 3000


def test_what_a_killed_process_left_goes(archive: Path, tmp_path: Path) -> None:
    folder = unpack(archive, "photos.zip", tmp_path / "cache")
    half = folder.rename(folder.with_name(f".{folder.name}"))
    (half / "cat" / "left.jpg").write_bytes(b"left")
    assert unpack(archive, "photos.zip", tmp_path / "cache") == folder
    assert not half.exists()
    assert not (folder / "cat" / "left.jpg").exists()


def test_many_at_once_unpack_once(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    extract = source_cache.extract
    monkeypatch.setattr(source_cache, "extract", lambda *given: calls.append(given) or extract(*given))
    with ThreadPool(8) as pool:
        folders = pool.map(lambda _: unpack(archive, "photos.zip", tmp_path / "cache"), range(8))
    assert len(set(folders)) == len(calls) == 1


def test_sources_count_stay_when_room_is_made_and_go_when_the_cache_is_cleared(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    folder = unpack(archive, "photos.zip", cache)
    (cache / "sources" / f"{'0' * 32}.part").write_bytes(bytes(500))
    (cache / "sources" / "mine.txt").write_text("mine")
    contents = cache_contents(cache)
    assert contents.sources == contents.bytes == disk_use(cache) - 4 > 7500
    for file in cache.rglob("*"):
        os.utime(file, (0, 0))
    monkeypatch.setattr(cache_size, "CACHE_LIMIT", 100)
    cache_size._say_once.cache_clear()
    make_room(cache, 10**6)
    assert disk_use(folder) == 7000
    assert clear_cache(cache) == contents.bytes
    assert [file.name for file in cache.rglob("*") if file.is_file()] == ["mine.txt"]


def test_a_folder_without_a_note_of_its_size_is_counted(archive: Path, tmp_path: Path) -> None:
    folder = unpack(archive, "photos.zip", tmp_path / "cache")
    before = sources_bytes(tmp_path / "cache")
    folder.with_name(f"{folder.name}.size").unlink()
    assert sources_bytes(tmp_path / "cache") == before - len("7000")
