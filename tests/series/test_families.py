"""Three epochs of a network of each family on forty photos: train, save, load, predict the same to the last bit."""

import json
import shutil

import keras
import numpy as np
import pytest
from tests.conftest import rows
from tests.networks import fit_statistics

import unfreeze
from unfreeze.data.catalog import pixel_store
from unfreeze.evaluation.calibration import calibrate
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.models import backbones
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import backbone_of, build_classifier
from unfreeze.models.weights import weights_sha256

SIZES = {
    "convnexttiny": 64,
    "densenet121": 64,
    "efficientnetb0": 64,
    "efficientnetv2b0": 64,
    "inceptionresnetv2": 76,
    "inceptionv3": 76,
    "mobilenet": 64,
    "mobilenetv2": 64,
    "mobilenetv3small": 64,
    "nasnetmobile": 64,
    "resnet50": 64,
    "resnet50v2": 64,
    "vgg16": 64,
    "xception": 76,
}
BATCH = 16
pytestmark = pytest.mark.slow


@pytest.fixture
def forty(solar_cells, tmp_path):
    """Twenty photos a class."""
    folder = tmp_path / "forty"
    for label in ("defective", "functional"):
        (folder / label).mkdir(parents=True)
        for file in sorted((solar_cells / label).iterdir())[:20]:
            shutil.copy(file, folder / label)
    return folder


@pytest.fixture
def drawn_weights(monkeypatch):
    """Stand in for ImageNet's weights with random ones, the same every time."""
    construct = backbones._construct

    def with_random_weights(application, size, weights):
        keras.utils.set_random_seed(1)
        return fit_statistics(construct(application, size, None))

    monkeypatch.setattr(backbones, "_construct", with_random_weights)


@pytest.fixture
def saved(monkeypatch):
    """What models predict for some photos when they are saved; the photos are the caller's to give."""
    photos, probabilities, save = [], [], keras.Model.save

    def noting(self, *arguments, **settings):
        if photos:
            probabilities.append(self.predict(photos[0], batch_size=BATCH, verbose=0))
        save(self, *arguments, **settings)

    monkeypatch.setattr(keras.Model, "save", noting)
    return photos, probabilities


@pytest.mark.usefixtures("drawn_weights")
@pytest.mark.parametrize("name", SIZES)
def test_three_epochs(name, forty, saved, cache, tmp_path):
    size, out = SIZES[name], tmp_path / "out"
    experiments = {"head": {}, "tuned": {"from": "head", "unfreeze": 8}}
    recipe = tmp_path / "recipe.yaml"
    settings = {"backbone": name, "epochs": 3, "data": {"image_size": size, "batch_size": 8}}
    recipe.write_text(json.dumps({"name": name, **settings, "experiments": experiments}))
    unfreeze.run(recipe, data=forty, out=out, only=["head"])
    split = rows(out / "splits.csv")
    assert len(split) == 40
    pixels = pixel_store(cache, size, "squash").read([row["sha256"] for row in split])
    photos, at_saving = saved
    photos.append(pixels)
    results = unfreeze.run(recipe, data=forty, out=out)
    assert [(run.name, run.epochs, run.start_from) for run in results.experiments] == [
        ("head", 3, None),
        ("tuned", 3, "head"),
    ]

    run = out / "experiments" / "tuned" / "seed-0"
    assert len(rows(run / "history.csv")) == 3
    loaded = keras.saving.load_model(run / "model.keras", safe_mode=True)
    predicted = loaded.predict(pixels, batch_size=BATCH, verbose=0)
    assert np.ptp(predicted[:, 0]) > 1e-6
    np.testing.assert_array_equal(predicted, *at_saving)
    rebuilt = build_classifier(build_backbone(name, size), 2)
    rebuilt.load_weights(run / "checkpoints" / "best.weights.h5")
    np.testing.assert_array_equal(rebuilt.predict(pixels, batch_size=BATCH, verbose=0), predicted)

    test = [number for number, row in enumerate(split) if row["split"] == "test"]
    reported = read_predictions(run / "predictions.csv").probabilities
    temperature = json.loads((run / "metrics.json").read_text())["temperature"]
    np.testing.assert_allclose(
        reported, calibrate(predicted[test], temperature), atol=1e-3
    )  # another engine rounds otherwise

    (phase,) = json.loads((run / "lineage.json").read_text())["phases"]
    start = build_backbone(name, size)
    frozen = start.layers[: phase["frozen_layers"]]
    assert phase["frozen_sha256_before"] == phase["frozen_sha256_after"] == weights_sha256(frozen)
    assert weights_sha256(backbone_of(loaded).layers[: len(frozen)]) == weights_sha256(frozen)
    assert weights_sha256(backbone_of(loaded)) != weights_sha256(start)
