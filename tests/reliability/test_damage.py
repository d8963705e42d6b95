"""Files that were damaged after they were written: the right result, or a clear error; never another result."""

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unfreeze
from tests.reliability.test_kill import run_of
from unfreeze import progress
from unfreeze.data.store import RowStore
from unfreeze.data.test_reads import misgivings, read_test_reads
from unfreeze.errors import UnfreezeError
from unfreeze.inference.own_photos import own_photos
from unfreeze.inference.sample import sample_pixels
from unfreeze.report import compare as compare_module
from unfreeze.report.photo_checks import read_photo_checks
from unfreeze.seals import is_as_sealed, unsealed
from unfreeze.series.folders import RunFolder, SeriesFolder
from unfreeze.series.lineage import read_parent
from unfreeze.series.results import trained_runs

DAMAGES = ("flip a bit", "change a byte", "truncate", "empty", "delete", "zeros", "grow")


def damaged(content: bytes, how: str, draw: random.Random) -> bytes | None:
    """Damage a file's content; None deletes it."""
    place = draw.randrange(len(content)) if content else 0
    if how == "delete" or not content:
        return None
    if how == "flip a bit":
        return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]
    if how == "change a byte":
        return content[:place] + bytes([(content[place] + draw.randint(1, 255)) % 256]) + content[place + 1 :]
    if how == "zeros":  # a block that never reached the disk
        end = min(len(content), place + 4096)
        return content[:place] + bytes(end - place) + content[end:]
    return {"truncate": content[:place], "empty": b"", "grow": content + draw.randbytes(draw.randint(1, 99))}[how]


class Readers:
    """What is made of a finished series and a cache, each by the code that users call."""

    def __init__(self, out: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
        self.out, self.cache = out, cache
        self.pixels = sample_pixels(64, 3)
        monkeypatch.setattr(compare_module, "save_pictures", lambda out: None)  # a second each, of the same figures
        monkeypatch.setattr(compare_module, "write_report", lambda comparison: None)

    def predict(self, file: Path) -> Any:
        return unfreeze.load(self._run(file)).probabilities(self.pixels).tobytes()

    def compare(self, file: Path) -> Any:
        return unfreeze.compare(self.out).to_json()

    def read_checks(self, file: Path) -> Any:
        return read_photo_checks(self.out)

    def start_a_child(self, file: Path) -> Any:
        parent = read_parent(RunFolder(self._run(file)), "best")
        return parent, parent.weights.read_bytes()

    def own_photos(self, file: Path) -> Any:
        return own_photos(self.out / "experiments" / "model_0" / "seed-0").rows or None

    def list_runs(self, file: Path) -> Any:
        return {run.path for run in trained_runs(SeriesFolder(self.out))}

    def read_record(self, file: Path) -> Any:
        misgivings(read_test_reads(self.out / "test_reads.jsonl"))

    def read_rows(self, file: Path) -> Any:
        """Give each row that is said to be there; others are computed anew."""
        shard = next(iter(file.parent.glob("*.npy")), None)
        if shard is None:
            return {}
        shape, dtype = self.rows_of[file.parent]
        store = RowStore(file.parent, shape, dtype)
        keys = [key for key in self.keys[file.parent] if key in store]
        return {key: (row.tobytes(), store.note(key)) for key, row in zip(keys, store.read(keys), strict=True)}

    def open_engine(self, file: Path) -> Any:
        """Give an exported network only where it is as it was exported."""
        return (self.cache / file).read_bytes() if is_as_sealed(file) else None

    def know_rows(self) -> None:
        """Note what the stores hold, before anything is damaged."""
        self.rows_of: dict[Path, Any] = {}
        self.keys: dict[Path, list[str]] = {}
        for index in self.cache.glob("*/*/[!.]*.json"):
            if not index.with_suffix(".npy").exists():
                continue
            content = np.load(index.with_suffix(".npy"), mmap_mode="r")
            self.rows_of[index.parent] = content.shape[1:], content.dtype
            self.keys.setdefault(index.parent, []).extend(unsealed(index.read_bytes())["keys"])

    def _run(self, file: Path) -> Path:
        return self.out / Path(*file.relative_to(self.out).parts[:3])

    def of(self, file: Path) -> list[Callable[[Path], Any]]:
        """Give the readers that a file concerns."""
        if file.is_relative_to(self.cache):
            if file.suffix in (".npy",) or file.parent.parent.name in ("pixels", "activations"):
                return [self.read_rows]
            return [self.open_engine]
        if "checkpoints" in file.parts:
            return [self.start_a_child]
        if "experiments" in file.parts:
            return [self.predict, self.start_a_child, *([self.compare] if file.name != "model.keras" else [])]
        if file.name == "photo_checks.json":
            return [self.read_checks]
        return [self.compare, self.own_photos, self.list_runs, self.read_record]


def targets(out: Path, cache: Path) -> list[Path]:
    """Every file that anything is read from, each kind as often as another."""
    kinds: dict[str, list[Path]] = {}
    for file in sorted([*out.rglob("*"), *cache.glob("pixels/*/*"), *cache.glob("activations/*/*")]):
        passed_over = {"tensorboard", "pictures", "thumbnails", "report.html", ".lock"}
        if file.is_file() and not passed_over & {*file.parts}:
            kind = file.name if file.is_relative_to(out) else f"{file.parent.parent.name} {file.suffix}"
            kinds.setdefault(kind, []).append(file)
    for file in sorted(cache.glob("engines/*/*.onnx")):
        kinds.setdefault(file.name, []).append(file)
    return [files[number % len(files)] for number in range(5) for files in kinds.values()]


def fuzz(series: Path, session_cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> Counter[str]:
    """Damage one file at a time, read, and put it right again; counts what was refused and what not."""
    out, cache = folder / "out", folder / "cache"
    shutil.copytree(series, out)
    shutil.copytree(session_cache, cache, ignore=shutil.ignore_patterns("sources"))
    monkeypatch.setenv("UNFREEZE_CACHE", str(cache))
    readers = Readers(out, cache, monkeypatch)
    draw, verdicts, expected = random.Random(count), Counter[str](), {}
    for run in sorted(out.glob("experiments/*/*")):
        expected["predict", run] = readers.predict(run / "metrics.json")  # makes the quick copies, too
    readers.know_rows()
    files = targets(out, cache)
    draw.shuffle(files)
    for number in range(count):
        file, how = files[number % len(files)], draw.choice(DAMAGES)
        read = draw.choice(readers.of(file))
        place = readers._run(file) if file.is_relative_to(out) and "experiments" in file.parts else file.parent
        key = read.__name__, file if read.__name__ == "open_engine" else out if read.__name__ == "compare" else place
        if key not in expected:
            expected[key] = read(file)
        content = file.read_bytes()
        bad = damaged(content, how, draw)
        file.unlink() if bad is None else file.write_bytes(bad)
        what = f"{number}: {how}, {file.relative_to(folder)}, {read.__name__}"
        try:
            found = read(file)
        except UnfreezeError:
            verdicts["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
        else:
            verdicts["right"] += 1
            if read.__name__ == "read_rows":
                assert all(expected[key][name] == row for name, row in found.items()), what
                verdicts["rows to be made again"] += len(found) < len(expected[key])
            else:
                assert found is None or found == expected[key], what  # None: it is not there, or made again
        os.makedirs(file.parent, exist_ok=True)
        file.write_bytes(content)
        index = file.with_suffix(".json")
        if file.suffix == ".npy" and not index.exists():  # a damaged shard loses its index
            shutil.copy(session_cache / index.relative_to(cache), index)
    return verdicts


@pytest.mark.slow
def test_damage_is_found(series, cache, tmp_path, monkeypatch):
    verdicts = fuzz(series, cache, tmp_path, monkeypatch, 12)
    assert verdicts["refused"] > 2


@pytest.mark.slow
def test_a_thousand_damages_are_found(series, cache, tmp_path, monkeypatch):
    verdicts = fuzz(series, cache, tmp_path, monkeypatch, 1000)
    print(dict(verdicts))
    assert verdicts["refused"] > 300


@pytest.mark.slow
def test_the_same_call_again_makes_damaged_files_again(series, recipe, solar_cells, cache, tmp_path, monkeypatch):
    out, own_cache = tmp_path / "out", tmp_path / "cache"
    shutil.copytree(series, out)
    shutil.copytree(cache, own_cache)
    monkeypatch.setenv("UNFREEZE_CACHE", str(own_cache))
    draw = random.Random(1)
    for name in ("experiments/model_1/seed-0/model.keras", "results.json", "splits.csv", "photo_checks.json"):
        content = (out / name).read_bytes()
        (out / name).write_bytes(damaged(content, "flip a bit", draw) or b"")
    (out / "recipe.yaml").write_bytes(b"\xff")
    said = _run_until_done(recipe, solar_cells, out)
    assert said.count("is made again") == 1
    found, expected = run_of(out), run_of(series)
    assert [name for name in found if found[name] != expected[name]] == []
    assert json.loads((out / "results.json").read_bytes())["experiments"]


def _run_until_done(recipe: Path, data: Path, out: Path) -> str:
    said: list[str] = []

    class Listener(progress._Silent):
        def say(self, message: str) -> None:
            said.append(message)

    with progress.reporting_to(Listener()):
        unfreeze.run(recipe, data=data, out=out)
    return "\n".join(said)
