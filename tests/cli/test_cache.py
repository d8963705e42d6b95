"""`unfreeze cache`: what is shown, what is cleared."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Call
from unfreeze.data.cache_size import open_store


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches with two photos of 3 kB, and five rows of 400 B each."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNFREEZE_CACHE", str(folder))
    for kind, count, shape in (("pixels", 2, (32, 32, 3)), ("activations", 5, (100,))):
        store = open_store(folder, kind, "rows", shape, np.uint8 if kind == "pixels" else np.float32)
        with store.writer() as writer:
            for number in range(count):
                writer.add(str(number), np.zeros(shape, store.dtype))
    return folder


def disk_use(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_json_has_the_sizes(call: Call, folder: Path) -> None:
    found = call("cache", "--json").json
    assert found["bytes"] == disk_use(folder) == found["pixels"] + found["activations"]
    assert found["pixels"] == disk_use(folder / "pixels") > 2 * 32 * 32 * 3
    assert 10**6 < found["limit"] <= 20 * 10**9
    assert (found["photos"], found["rows"]) == (2, 5)
    assert "freed" not in found


def test_people_see_folder_sizes_and_what_to_do(call: Call, folder: Path) -> None:
    lines = call("cache").stdout.splitlines()
    pixels, activations = (disk_use(folder / kind) / 1000 for kind in ("pixels", "activations"))
    assert lines[0].startswith(f"{folder} holds {pixels + activations:.3g} kB of at most ")
    assert lines[1].split() == ["pixels", f"{pixels:.3g}", "kB", "2", "decoded", "photos"]
    assert lines[2].split()[:4] == ["activations", f"{activations:.3g}", "kB", "5"]
    assert lines[3].split()[:3] == ["engines", "0", "B"]
    assert lines[4].split()[:3] == ["sources", "0", "B"]
    assert "unfreeze cache --clear" in lines[5]


def test_clear_says_what_was_freed(call: Call, folder: Path) -> None:
    held = disk_use(folder)
    cleared = call("cache", "--clear", "--json").json
    assert cleared["freed"] == held
    assert cleared["bytes"] == disk_use(folder) == 0
    assert call("cache", "--clear").stdout == f"0 B freed in {folder}\n"


def test_a_folder_that_is_not_there_holds_nothing(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "nowhere"))
    assert call("cache", "--json").json["bytes"] == 0
    assert call("cache").stdout.startswith(f"{tmp_path / 'nowhere'} holds 0 B of at most ")
    assert not (tmp_path / "nowhere").exists()
