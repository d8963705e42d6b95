"""A run with a network of six layers, so that exporting it takes a second or two."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.tiny import SIZE, tiny_backbone, tiny_photos

from unfreeze.config import Augmentation
from unfreeze.evaluation.calibration import calibrate
from unfreeze.evaluation.predictions import Predictions, write_predictions
from unfreeze.models.classifier import build_classifier
from unfreeze.series.folders import RunFolder

CLASSES = ("dark", "mittel, grau", "light")
TEMPERATURE = 1.7
PHOTOS = 12


@dataclass(frozen=True)
class TinyRun:
    """A finished run: its folder, its photos, and what Keras itself says of them, calibrated."""

    path: Path
    files: tuple[Path, ...]
    pixels: np.ndarray
    probabilities: np.ndarray

    @property
    def out(self) -> Path:
        return self.path.parents[2]

    @property
    def reads(self) -> list[dict[str, Any]]:
        """The record of reading test photos."""
        file = self.out / "test_reads.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def tiny_run(tmp_path: Path) -> TinyRun:
    """Write a run as a series leaves it, all of whose photos are test photos."""
    pixels, labels = tiny_photos(PHOTOS)
    files = [tmp_path / "photos" / CLASSES[label] / f"{number}.png" for number, label in enumerate(labels)]
    for file, photo in zip(files, pixels, strict=True):
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(file)
    paths = [file.relative_to(tmp_path / "photos").as_posix() for file in files]

    run = tmp_path / "out" / "experiments" / "tiny" / "seed-0"
    run.mkdir(parents=True)
    model = build_classifier(tiny_backbone(), len(CLASSES), Augmentation(flip="horizontal", rotation=0.5), seed=1)
    model.save(run / "model.keras")
    probabilities = calibrate(model.predict(pixels, verbose=0), TEMPERATURE)
    write_predictions(run / "predictions.csv", Predictions(tuple(paths), labels, CLASSES, probabilities))
    (run / "classes.json").write_text(json.dumps(CLASSES))
    (run / "config.yaml").write_text(yaml.safe_dump({"image_size": SIZE, "resize": "squash"}))
    RunFolder(run).seal({"temperature": TEMPERATURE})

    out = run.parents[2]
    (out / "recipe.yaml").write_text(yaml.safe_dump({"data": {"source": str(tmp_path / "photos"), "validation": 0.15}}))
    rows = [
        f'"{path}",{sha256(file.read_bytes()).hexdigest()},"{CLASSES[label]}",test,'
        for path, file, label in zip(paths, files, labels, strict=True)
    ]
    (out / "splits.csv").write_text("\n".join(["path,sha256,label,split,rank", *rows]) + "\n")
    return TinyRun(run, tuple(files), pixels, probabilities)
