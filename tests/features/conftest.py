"""Real photos, the real network and engines for it, made once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from unfreeze.data.catalog import Photo, pixel_store, scan
from unfreeze.data.sources import open_source
from unfreeze.data.store import RowStore
from unfreeze.features.engine import Engine
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import build_classifier, feature_extractor
from unfreeze.progress import Advance, reporting_to


@pytest.fixture(scope="session")
def store(solar_cells: Path, cache: Path) -> RowStore:
    """Photos of solar cells at 64 x 64 pixels."""
    store = pixel_store(cache, 64, "squash")
    scan(open_source(str(solar_cells)), store, 64, "squash")
    return store


@pytest.fixture(scope="session")
def photos(solar_cells: Path, store: RowStore) -> Sequence[Photo]:
    """Twenty of them: a full chunk of the cache and a part of one."""
    return scan(open_source(str(solar_cells)), store, 64, "squash").photos[::4]


@pytest.fixture(scope="session")
def pixels(photos: Sequence[Photo], store: RowStore) -> np.ndarray:
    """Their pixels, uint8 [20, 64, 64, 3]."""
    return store.read([photo.sha256 for photo in photos])


@pytest.fixture(scope="session")
def classifier() -> keras.Model:
    """EfficientNet-Lite0 with ImageNet's weights and a head for two classes; leave its weights alone."""
    return build_classifier(build_backbone("efficientnet_lite0", 64), 2)


@pytest.fixture(scope="session")
def stages(classifier: keras.Model, cache: Path, pixels: np.ndarray) -> list[Engine]:
    """Its frozen layers when the last block is trained, and from there to the pooled features."""
    extractor = feature_extractor(classifier)
    block14 = extractor.get_layer("block14_add").output
    models = [keras.Model(extractor.input, block14), keras.Model(block14, extractor.output)]
    engines, rows = [Engine(model, cache / "engines") for model in models], pixels
    for engine in engines:
        engine.prepare(rows)
        rows = engine.run(rows)
    return engines


@pytest.fixture
def news() -> Iterator[list[str]]:
    """Every line that is said during the test."""
    lines: list[str] = []

    class Listener:
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[Advance]:
            yield lambda steps: None

        def say(self, message: str) -> None:
            lines.append(message)

    with reporting_to(Listener()):
        yield lines


@pytest.fixture
def rows_run(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of an engine had to run."""
    counts: list[int] = []
    run = Engine.run

    def counting(self: Engine, rows: np.ndarray) -> np.ndarray:
        counts.append(len(rows))
        return run(self, rows)

    monkeypatch.setattr(Engine, "run", counting)
    return counts
