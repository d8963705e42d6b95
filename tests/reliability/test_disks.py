"""Disks that are full or can't be written, and photos that go away during a run."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import unfreeze
from tests.reliability.test_kill import run_of
from unfreeze.data import cache_size
from unfreeze.data.cache_size import ensure_room
from unfreeze.errors import DataError
from unfreeze.series.photos import open_photos
from unfreeze.series.recipe import complete_recipe, resolve

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a small disk in memory, with these options; mounted again it keeps its files."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def with_options(options: str) -> Path:
        remount = "remount," if os.path.ismount(disk) else ""
        command = ["mount", "-t", "tmpfs", "-o", remount + options, "tmpfs", str(disk)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("disks can't be mounted here")
        return disk

    yield with_options
    if os.path.ismount(disk):
        subprocess.run(["umount", str(disk)], check=True)


def test_too_little_room_is_said_with_how_much_is_needed(mount):
    disk = mount("size=5m")
    ensure_room(disk / "not" / "there" / "yet", 4_000_000, "A run")
    with pytest.raises(DataError, match=r"^A run needs about 6 MB in .*disk/out, and 5 MB are free .*same call again"):
        ensure_room(disk / "out", 6_000_000, "A run")


def test_a_folder_that_can_not_be_written_is_named(mount, recipe, solar_cells):
    disk = mount("ro")
    with pytest.raises(OSError, match=r"Read-only file system: '.*disk"):
        unfreeze.run(recipe, data=solar_cells, out=disk / "out")


def test_a_plan_warns_of_a_full_disk(recipe, solar_cells, monkeypatch, capsys):
    monkeypatch.setattr("unfreeze.series.plan.free_bytes", lambda folder: 1_000_000)
    said: list[str] = []
    monkeypatch.setattr("unfreeze.series.plan.say", said.append)
    unfreeze.plan(recipe, data=solar_cells)
    assert said[-1].startswith("There is not enough room: ")
    assert said[-1].endswith(" MB will be written, and 1 MB are free")


@pytest.mark.slow
def test_a_full_disk_keeps_what_is_finished_and_goes_on_when_there_is_room(mount, series, recipe, solar_cells):
    disk = mount("size=65m")
    only = ["model_1", "model_2"]
    with pytest.raises(DataError, match=r"model_2, seed 0, needs about 4\d MB in .*/out, and \d+ MB are free"):
        unfreeze.run(recipe, data=solar_cells, out=disk / "out", only=only)
    assert (disk / "out" / "experiments" / "model_1" / "seed-0" / "metrics.json").exists()
    mount("size=200m")
    unfreeze.run(recipe, data=solar_cells, out=disk / "out", only=only)
    found, expected = run_of(disk / "out"), run_of(series)
    same = [name for name in found if name not in ("results.json", "photo_checks.json")]
    assert [name for name in same if found[name] != expected[name]] == []


@pytest.mark.slow
def test_a_disk_that_fills_up_all_the_same(mount, recipe, solar_cells, monkeypatch):
    disk = mount("size=30m")
    monkeypatch.setattr(cache_size, "free_bytes", lambda folder: 10**12)
    with pytest.raises(OSError, match="No space left on device"):
        unfreeze.run(recipe, data=solar_cells, out=disk / "out", only=["model_1"])
    assert not list(disk.rglob("metrics.json"))
    mount("size=200m")
    unfreeze.run(recipe, data=solar_cells, out=disk / "out", only=["model_1"])


@pytest.mark.parametrize("change", ["remove", "replace", "remove all"])
def test_photos_that_change_during_a_run_are_named(solar_cells, tmp_path, monkeypatch, change):
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "cells"
    for label in ("defective", "functional"):
        (data / label).mkdir(parents=True)
        for file in sorted((solar_cells / label).iterdir())[:6]:
            shutil.copy(file, data / label)
    recipe = complete_recipe("demo", data, None, ["data.image_size=32"])
    experiments = resolve(recipe)
    photos = open_photos(recipe.data, experiments)
    first, second = sorted((data / "defective").iterdir())[:2]
    if change == "remove":
        first.unlink()
    elif change == "replace":
        shutil.copy(second, first)
    else:
        shutil.rmtree(data)
    larger = experiments[0].model_copy(update={"image_size": 48})
    count = 12 if change == "remove all" else 1
    with pytest.raises(
        DataError, match=rf"^{count} photos of cells are gone, or were changed.*: defective/{first.name}"
    ):
        photos.pixels(photos.catalog.photos, larger)
