"""Exports in 8 bits: their accuracy is measured and said, and too low a one is refused."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.runs import copy_run

import unfreeze
from unfreeze.errors import RunError
from unfreeze.inference import int8_export
from unfreeze.inference.own_photos import own_photos
from unfreeze.inference.predictor import Predictor
from unfreeze.inference.split_pixels import split_pixels


@pytest.fixture
def run(series, tmp_path):
    return copy_run(series, "model_3", tmp_path)


@pytest.fixture
def few(monkeypatch):
    """The small series has nine validation photos."""
    monkeypatch.setattr(int8_export, "LEAST_MEASURED", 5)
    monkeypatch.setattr(int8_export, "CALIBRATED_ON", 8)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_real_network_keeps_its_accuracy_and_is_small(run, tmp_path):
    out = tmp_path / "int8.onnx"
    exported = unfreeze.export(run, "onnx", out, int8=True)
    cost = exported.int8
    assert cost is not None
    photos = split_pixels(own_photos(run), Predictor(run), "val", 500, "test")
    session = onnxruntime.InferenceSession(out)
    [rows] = session.run(None, {"photo": photos.pixels})
    assert cost.accuracy == (rows.argmax(1) == photos.labels).mean()
    own = Predictor(run).probabilities(photos.pixels)
    assert cost.float_accuracy == (own.argmax(1) == photos.labels).mean()
    assert cost.same == (rows.argmax(1) == own.argmax(1)).mean()
    assert exported.largest_difference == np.abs(rows - own).max()
    assert (cost.photos, cost.calibration_photos) == (len(photos.labels), 8)
    assert out.stat().st_size < 0.4 * sum(weight.size * 4 for weight in Predictor(run).model.get_weights())
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(out).graph.node}

    said = {each.key: json.loads(each.value) for each in onnx.load(out).metadata_props}
    assert said["unfreeze"]["classes"] == ["defective", "functional"]
    assert said["unfreeze_int8"]["accuracy"] == cost.accuracy
    assert f"{cost.accuracy:.1%} in 8 bits, {cost.float_accuracy:.1%} in floating point" in str(exported)
    assert exported.to_json()["int8"] == said["unfreeze_int8"]
    assert len(session.run(None, {"photo": photos.pixels[:1]})[0]) == 1  # any number of photos


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_lost_accuracy_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(int8_export, "run_onnx", lambda file, pixels: 1 - Predictor(run).probabilities(pixels))
    with pytest.raises(RunError, match=r"falls from \S+% to \S+%; 3 points are allowed, so the file was deleted"):
        unfreeze.export(run, "onnx", tmp_path / "new" / "x.onnx", int8=True)
    assert list((tmp_path / "new").iterdir()) == []


def test_photos_that_are_gone(run, tmp_path):
    (run.parents[2] / "splits.csv").unlink()
    with pytest.raises(RunError, match="of these 0 and 0 can be read, where 1 and 10 are needed"):
        unfreeze.export(run, "onnx", tmp_path / "x.onnx", int8=True)


def test_photos_of_a_split(run, series, solar_cells):
    predictor = Predictor(run)
    photos = split_pixels(own_photos(run), predictor, "train", 7, "test")
    again = split_pixels(own_photos(run), predictor, "train", 7, "test")
    assert len(photos.labels) == 7
    assert (photos.pixels == again.pixels).all()
    reads = (run.parents[2] / "test_reads.jsonl").read_text().splitlines()
    split_pixels(own_photos(run), predictor, "test", 3, "a look")
    [read] = (run.parents[2] / "test_reads.jsonl").read_text().splitlines()[len(reads) :]
    assert (json.loads(read)["why"], json.loads(read)["photos"]) == ("a look", 3)
