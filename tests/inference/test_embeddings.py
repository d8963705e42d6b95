"""Feature vectors: against Keras, in the order of the call, and read back from the file."""

from typing import Any

import keras
import numpy as np
import pytest

import unfreeze
from unfreeze.inference.predictor import BATCH
from unfreeze.models.backbones import build_backbone


def test_they_are_what_the_head_takes_in(predictor, solar_cells):
    files = sorted((solar_cells / "defective").iterdir())
    assert len(files) > BATCH
    found = predictor.embeddings(solar_cells / "defective")
    assert found.paths == tuple(map(str, files))
    assert (found.vectors.shape, found.vectors.dtype) == ((40, 1280), np.float32)

    model: Any = keras.saving.load_model(predictor.run / "model.keras")
    pixels = np.stack([predictor.pixels(file.read_bytes()) for file in files])
    maps = np.asarray(model.get_layer("efficientnet_lite0")(pixels.astype(np.float32)))
    np.testing.assert_allclose(found.vectors, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    weights, bias = model.get_layer("head").get_weights()
    logits = (found.vectors @ weights + bias) / predictor.temperature
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = [dict(prediction.top) for prediction in found.predictions]
    np.testing.assert_allclose([[each[name] for name in predictor.classes] for each in answers], shares, atol=1e-5)


def test_a_pretrained_network_gives_what_its_own_top_takes_in(solar_cells):
    predictor = unfreeze.load("efficientnet_lite0")
    file = sorted((solar_cells / "defective").iterdir())[0]
    found = predictor.embeddings(file)
    backbone: Any = build_backbone("efficientnet_lite0", 224)
    maps = np.asarray(backbone(predictor.pixels(file.read_bytes())[None].astype(np.float32)))
    np.testing.assert_allclose(found.vectors, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def test_predictions_are_the_same_as_without(predictor, solar_cells):
    files = sorted((solar_cells / "functional").iterdir())[:3]
    for one, other in zip(predictor.embeddings(files).predictions, predictor.predict(files), strict=True):
        assert one.path == other.path
        assert dict(one.top) == pytest.approx(dict(other.top), abs=1e-6)


def test_the_file_holds_the_photos_that_could_be_read(predictor, solar_cells, tmp_path):
    first, second = sorted((solar_cells / "functional").iterdir())[:2]
    (tmp_path / "läd.png").write_bytes(b"")
    found = predictor.embeddings([second, tmp_path / "läd.png", first, second])
    assert [prediction.error for prediction in found.predictions] == [None, "is empty", None, None]
    file = tmp_path / "new" / "x.npz"
    found.save(file)
    with np.load(file, allow_pickle=False) as saved:
        assert sorted(saved) == ["embeddings", "paths"]
        assert saved["paths"].tolist() == [str(second), str(first), str(second)]
        np.testing.assert_array_equal(saved["embeddings"], found.vectors)
    assert [each.name for each in file.parent.iterdir()] == ["x.npz"]


def test_no_photo_can_be_read(predictor, tmp_path):
    found = predictor.embeddings(tmp_path / "missing.jpg")
    assert (found.vectors.shape, found.vectors.dtype, found.paths) == ((0, 1280), np.float32, ())
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as saved:
        assert saved["paths"].shape == (0,)
