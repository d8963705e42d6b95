"""Real photos in small numbers, and one small series that many tests look at."""

import csv
import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from unfreeze.backend import load_keras

load_keras()

import unfreeze  # noqa: E402
from unfreeze.inference.predictor import Predictor  # noqa: E402

RECIPE = """
name: small
data: {image_size: 64, batch_size: 8}
augment: {flip: horizontal, rotation: 0.2, zoom: 0.2, height: 0.2, width: 0.2}
epochs: 2
experiments:
  model_0: {fraction: 0.3, augment: false}
  model_1: {fraction: 0.1}
  model_2: {fraction: 0.3}
  model_3: {from: model_2, fraction: 0.3, unfreeze: 10}
  model_4: {from: model_2@last, unfreeze: block15, augment: {flip: horizontal, views: 1}}
"""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this test run, for all of its processes."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="session", autouse=True)
def cache(shared_folder: Path) -> Iterator[Path]:
    """Keep the tests' caches apart from the user's."""
    folder = shared_folder / "cache"
    folder.mkdir(exist_ok=True)
    os.environ["UNFREEZE_CACHE"] = str(folder)
    yield folder
    del os.environ["UNFREEZE_CACHE"]


@pytest.fixture(scope="session")
def solar_cells(shared_folder: Path) -> Path:
    """Eighty photos of ELPV in class folders: forty with the highest and forty with the lowest probability."""
    folder = shared_folder / "solar_cells"
    with FileLock(shared_folder / "solar_cells.lock"):
        if not folder.exists():
            _copy_solar_cells(folder)
    return folder


def _copy_solar_cells(folder: Path) -> None:
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "data"
    with (source / "labels.csv").open(encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip()]
    for label, wanted in (("defective", "1.0"), ("functional", "0.0")):
        (folder / label).mkdir(parents=True)
        chosen = [path for path, probability, _ in rows if float(probability) == float(wanted)][:40]
        assert len(chosen) == 40
        for path in chosen:
            shutil.copy(source / path, folder / label / Path(path).name)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series like the demo's, small."""
    file = tmp_path_factory.mktemp("recipe") / "small.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def series(solar_cells: Path, recipe: Path, shared_folder: Path) -> Path:
    """The folder of that series, run. Tests that change it copy it first."""
    out = shared_folder / "small"
    with FileLock(shared_folder / "small.lock"):
        if not (out / "report.html").exists():
            unfreeze.run(recipe, data=solar_cells, out=out)
    return out


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend next to no time on finding out which batch is fastest."""
    monkeypatch.setattr("unfreeze.features.engine.TRIAL_SECONDS", 1e-6)


@pytest.fixture(scope="session")
def predictor(series: Path) -> Predictor:
    """A fine-tuned model of that series, loaded."""
    return Predictor(series / "experiments" / "model_3" / "seed-0")


def rows(file: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
