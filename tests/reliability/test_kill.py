"""SIGKILL at any moment, the same call again: in the end all is as if nothing had happened, to the last bit."""

import json
import os
import random
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.reliability.killed import Kill, unfreeze_run
from unfreeze.seals import damage

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")

RECIPE = """
name: killed
data: {image_size: 64, batch_size: 8}
augment: {flip: horizontal, rotation: 0.1}
experiments:
  head: {fraction: 0.3, augment: false, epochs: 2}
  last_10: {from: head, fraction: 0.3, augment: false, unfreeze: 10, epochs: 2}
  both: {fraction: 0.1, phases: [{epochs: 2}, {unfreeze: 10, epochs: 2}]}
"""
SERIES, KILLS = 2, 24
MOST_MOMENTS, MOST_SECONDS = 150, 12.0
"""A process is killed at the latest at this moment of changing files, or after so many seconds."""


@pytest.fixture(scope="module")
def recipe_of_kills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "killed.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def run_of(out: Path) -> dict[str, Any]:
    """Everything in a series' folder that must not depend on what happened on the way."""
    found: dict[str, Any] = {name: (out / name).read_bytes() for name in ("splits.csv", "photo_checks.json")}
    found["results.json"] = _timeless(out / "results.json")
    for run in sorted(out.glob("experiments/*/*")):
        assert damage(run) is None
        for name in ("history.csv", "predictions.csv", "classes.json", "config.yaml", "lineage.json"):
            found[f"{run.parent.name}/{name}"] = (run / name).read_bytes()
        found[f"{run.parent.name}/metrics.json"] = _timeless(run / "metrics.json")
        for name in ("checkpoints/best.weights.h5", "checkpoints/last/last.weights.h5"):
            found[f"{run.parent.name}/{name}"] = _arrays(run / name)
        with zipfile.ZipFile(run / "model.keras") as model, model.open("model.weights.h5") as weights:
            found[f"{run.parent.name}/model.keras"] = _arrays(weights)
        assert not (run / "checkpoints" / "last" / "state.npz").exists()
    return found


def _timeless(file: Path) -> Any:
    def without(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: without(value) for key, value in content.items() if key not in ("seconds", "sha256", "files")}
        return [without(value) for value in content] if isinstance(content, list) else content

    return without(json.loads(file.read_bytes()))


def _arrays(file: Any) -> dict[str, bytes]:
    arrays = {}
    with h5py.File(file) as content:
        content.visititems(
            lambda name, item: (
                arrays.update({name: np.asarray(item).tobytes()}) if isinstance(item, h5py.Dataset) else None
            )
        )
    assert arrays
    return arrays


def killed_again_and_again(arguments: list[Any], cache: Path, log: Path, draw: random.Random) -> int:
    """Call `unfreeze run` and kill it, so often unless it comes to its end before; then let it. Gives the kills."""
    done = 0
    for _ in range(KILLS):
        by_clock = draw.random() < 0.3
        kill = Kill(seconds=draw.uniform(0.5, MOST_SECONDS)) if by_clock else Kill(draw.randint(1, MOST_MOMENTS))
        code = unfreeze_run(arguments, cache, log, kill)
        assert code in (0, -9), log.read_text()[-2000:]
        done += code == -9
        if code == 0:
            break
    assert unfreeze_run(arguments, cache, log) == 0, log.read_text()[-2000:]
    return done


def places(log: Path) -> set[str]:
    """The kinds of places at which processes were killed, without numbers."""
    found = re.findall(r"^killed (.*)$", log.read_text(), re.M)
    return {re.sub(r"[0-9a-f]{8,}", "X", place) for place in found}


@pytest.mark.slow
def test_killed_anywhere_a_series_ends_as_undisturbed(recipe_of_kills, solar_cells, tmp_path):
    arguments = [str(recipe_of_kills), str(solar_cells)]
    log = tmp_path / "undisturbed.log"
    assert unfreeze_run([*arguments, str(tmp_path / "undisturbed")], tmp_path / "cache", log) == 0, log.read_text()
    expected = run_of(tmp_path / "undisturbed")
    draw, done = random.Random(0), 0
    log = tmp_path / "killed.log"
    for number in range(SERIES):
        out, cache = tmp_path / f"out{number}", tmp_path / f"cache{number}"
        done += killed_again_and_again([*arguments, str(out)], cache, log, draw)
        found = run_of(out)
        assert found.keys() == expected.keys()
        assert [name for name in found if found[name] != expected[name]] == []
        assert not [file for file in out.rglob(".*-*") if file.is_file()]  # nothing half written stays
    print(f"{done} kills, at {len(places(log))} kinds of places:", *sorted(places(log)), sep="\n  ")
    assert done >= 40


@pytest.mark.slow
def test_killed_and_called_again_runs_end_as_undisturbed(series, recipe, solar_cells, cache, tmp_path):
    arguments = [str(recipe), str(solar_cells), str(tmp_path / "out"), None, ("model_2", "model_3")]
    log = tmp_path / "killed.log"
    for kill in (Kill(moment=90), Kill(moment=150)):
        assert unfreeze_run(arguments, cache, log, kill) == -9, log.read_text()
    assert unfreeze_run(arguments, cache, log) == 0, log.read_text()
    found, expected = run_of(tmp_path / "out"), run_of(series)
    assert len(found) == 3 + 2 * 9
    series_files = ("results.json", "photo_checks.json")  # of all experiments
    assert [name for name in found if name not in series_files and found[name] != expected[name]] == []
