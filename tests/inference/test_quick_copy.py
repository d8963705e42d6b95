"""The copy of a network that predictions start from: made once, the same as Keras, and never in the way."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

import unfreeze
from unfreeze import progress
from unfreeze.errors import RunError
from unfreeze.inference import quick_copy
from unfreeze.inference.predictor import Predictor
from unfreeze.inference.sample import sample_pixels
from unfreeze.series.folders import RunFolder

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends' exporters differ")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("UNFREEZE_CACHE", str(folder))
    return folder


@pytest.fixture
def news() -> Iterator[list[str]]:
    """Note what a person would be told."""
    lines: list[str] = []

    class Listener:
        @contextmanager
        def task(self, title: str, total: int) -> Iterator[progress.Advance]:
            yield lambda steps: None

        def say(self, message: str) -> None:
            lines.append(message)

    with progress.reporting_to(Listener()):
        yield lines


def copies(cache: Path) -> list[str]:
    return sorted(file.name for file in cache.rglob("*") if file.is_file())


def shares(predictions) -> list[dict[str, float]]:
    return [dict(prediction.top) for prediction in predictions]


def test_the_second_process_needs_no_keras(tiny_run, own_cache, news):
    own = unfreeze.load(tiny_run.path).predict(tiny_run.files)
    assert copies(own_cache) == ["network.onnx", "network.onnx.sha256"]
    code = (
        "import json, sys, unfreeze\n"
        "found = unfreeze.load(sys.argv[1]).predict(sys.argv[2:])\n"
        "loaded = [name for name in ('keras', 'tensorflow', 'jax', 'torch', 'yaml') if name in sys.modules]\n"
        "print(json.dumps([loaded, [each.to_json() for each in found]]))"
    )
    call = [sys.executable, "-c", code, str(tiny_run.path), *map(str, tiny_run.files)]
    finished = subprocess.run(call, capture_output=True, text=True, check=True)
    loaded, predictions = json.loads(finished.stdout)
    assert loaded == []
    assert predictions == [each.to_json() for each in own]  # to the last bit: both come from the copy
    assert news == []


def test_its_predictions_are_those_of_keras(tiny_run, news):
    quick, slow = unfreeze.load(tiny_run.path), Predictor(tiny_run.path)
    np.testing.assert_allclose(quick.probabilities(tiny_run.pixels), tiny_run.probabilities, atol=1e-5)
    assert (quick.classes, quick.image_size, quick.resize) == (slow.classes, slow.image_size, slow.resize)
    opened = unfreeze.load(tiny_run.path)
    assert opened.description == slow.description
    for one, other in zip(shares(opened.predict(tiny_run.files)), shares(slow.predict(tiny_run.files)), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert opened.embeddings(tiny_run.files).vectors.shape == (12, 6)  # Keras is loaded after all
    assert news == []


def test_other_files_make_another_copy(tiny_run, own_cache):
    unfreeze.load(tiny_run.path).predict(tiny_run.files[0])
    for name, old, new in (
        ("metrics.json", "1.7", "2.5"),
        ("classes.json", "dark", "black"),
        ("config.yaml", "squash", "pad"),
    ):
        file = tiny_run.path / name
        file.write_text(file.read_text().replace(old, new))
        figures = json.loads((tiny_run.path / "metrics.json").read_text())
        RunFolder(tiny_run.path).seal({**figures, "files": {}})
        predictor, keras_itself = unfreeze.load(tiny_run.path), Predictor(tiny_run.path)
        assert predictor.description == keras_itself.description
        [quick], [slow] = shares(predictor.predict(tiny_run.files[0])), shares(keras_itself.predict(tiny_run.files[0]))
        assert quick == pytest.approx(slow, abs=1e-5)
    assert copies(own_cache).count("network.onnx") == 4


def test_a_damaged_run_is_refused_though_it_had_a_copy(tiny_run):
    unfreeze.load(tiny_run.path).predict(tiny_run.files[0])
    (tiny_run.path / "model.keras").write_bytes(b"")
    with pytest.raises(RunError, match=r"model\.keras is damaged"):
        unfreeze.load(tiny_run.path)


def test_a_damaged_copy_is_made_again(tiny_run, own_cache, news):
    own = unfreeze.load(tiny_run.path).predict(tiny_run.files[0])
    [file] = own_cache.rglob("network.onnx")
    good = file.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1  # of some weight, mostly: the network still opens
    for content in (b"", b"no network", good[: len(good) // 2], bytes(flipped)):
        file.write_bytes(content)
        assert unfreeze.load(tiny_run.path).predict(tiny_run.files[0]) == own
        assert file.read_bytes() != content
    assert news == []


def test_where_there_can_be_none_keras_predicts_and_that_is_said_once(tiny_run, own_cache, news, monkeypatch):
    def fail(*_: object) -> None:
        raise NotImplementedError("no such\n operator")

    monkeypatch.setattr("unfreeze.inference.write_export.write_onnx", fail)
    for _ in range(2):
        np.testing.assert_allclose(
            unfreeze.load(tiny_run.path).probabilities(tiny_run.pixels), tiny_run.probabilities, atol=1e-6
        )
    assert news == [
        "Predictions come from Keras, which takes seconds to start, not from ONNX Runtime: "
        "NotImplementedError: no such operator"
    ]
    assert copies(own_cache) == ["why_not.txt"]


def test_a_copy_that_differs_is_not_used(tiny_run, own_cache, news, monkeypatch):
    monkeypatch.setattr(quick_copy, "TOLERANCE", -1.0)
    found = unfreeze.load(tiny_run.path).probabilities(tiny_run.pixels)
    np.testing.assert_allclose(found, tiny_run.probabilities, atol=1e-6)
    assert "differ from Keras's by" in news[0]
    assert copies(own_cache) == ["why_not.txt"]


def test_a_cache_that_can_not_be_written(tiny_run, own_cache, news):
    own_cache.write_text("a file in the folder's place")
    found = unfreeze.load(tiny_run.path).probabilities(tiny_run.pixels)
    np.testing.assert_allclose(found, tiny_run.probabilities, atol=1e-6)
    assert len(news) == 1


def test_sample_pixels_are_always_the_same_and_of_both_kinds():
    pixels = sample_pixels(20, 4)
    assert (pixels.shape, pixels.dtype) == ((4, 20, 20, 3), np.uint8)
    np.testing.assert_array_equal(pixels, sample_pixels(20, 4))
    rough, smooth = pixels[0].astype(int), pixels[1].astype(int)
    assert (np.diff(smooth, axis=1) == 0).mean() > 0.5 > (np.diff(rough, axis=1) == 0).mean()
