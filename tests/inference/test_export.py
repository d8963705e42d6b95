"""Exported files: read back by their own runtimes alone, and refused where they differ from the run."""

import json
import zipfile
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from tests.inference.conftest import CLASSES, PHOTOS, TEMPERATURE
from tests.runs import copy_run
from tests.tiny import SIZE

import unfreeze
from unfreeze.errors import RunError
from unfreeze.inference import export as export_module
from unfreeze.inference import run_export, write_export
from unfreeze.seals import read_sealed, write_sealed

DESCRIPTION = {
    "classes": list(CLASSES),
    "image_size": SIZE,
    "resize": "squash",
    "temperature": TEMPERATURE,
    "pixels": "RGB, 0 to 255",
    "unfreeze": unfreeze.__version__,
}
FILES = [("keras", "model.keras"), ("onnx", "model.onnx"), ("litert", "model.tflite")]
FILES = [each for each in FILES if each[0] == "keras" or keras.backend.backend() == "tensorflow"]


def content_of(folder) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(("format", "name"), FILES)
def test_it_gives_the_runs_probabilities_and_puts_the_read_on_record(tiny_run, tmp_path, format, name):
    out = tmp_path / "new" / "folder" / name
    exported = unfreeze.export(tiny_run.path, format, out)
    assert (exported.out, exported.photos) == (out, PHOTOS)
    assert exported.largest_difference < 1e-5
    assert content_of(out.parent) == [name]
    assert [(read["why"], read["photos"]) for read in tiny_run.reads] == [("unfreeze export", PHOTOS)]
    given = run_export.RUNTIMES[format](out, tiny_run.pixels)
    assert exported.largest_difference == np.abs(given - tiny_run.probabilities).max()
    assert f"{exported.largest_difference:.1e}, on {PHOTOS} of the run's test photos" in str(exported)


def test_the_keras_file_is_of_keras_own_layers(tiny_run, tmp_path):
    unfreeze.export(tiny_run.path, "keras", tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as content:
        assert json.loads(content.read("unfreeze.json")) == DESCRIPTION
        made_of = json.loads(content.read("config.json"))["config"]["layers"]
    assert {layer["module"].partition(".")[0] for layer in made_of} == {"keras"}
    assert not any(layer["registered_name"] for layer in made_of if layer["module"] == "keras.layers")
    model: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert "augmentation" not in {layer.name for layer in model.layers}
    np.testing.assert_allclose(model.predict(tiny_run.pixels, verbose=0), tiny_run.probabilities, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends' exporters differ")
def test_the_onnx_file_says_all_that_one_must_know(tiny_run, tmp_path):
    unfreeze.export(tiny_run.path, "onnx", tmp_path / "model.onnx")
    content = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(content, full_check=True)
    [props] = content.metadata_props
    assert (props.key, json.loads(props.value)) == ("unfreeze", DESCRIPTION)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    [photos], [probabilities] = session.get_inputs(), session.get_outputs()
    assert (photos.name, photos.type, photos.shape) == ("photo", "tensor(uint8)", ["n", SIZE, SIZE, 3])
    assert (probabilities.name, probabilities.type) == ("probabilities", "tensor(float)")
    assert probabilities.shape == ["n", len(CLASSES)]
    for count in (1, 5):
        [rows] = session.run(None, {"photo": tiny_run.pixels[:count]})
        np.testing.assert_allclose(rows, tiny_run.probabilities[:count], atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow writes these files")
def test_the_litert_file_takes_bytes_and_names_the_classes(tiny_run, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    unfreeze.export(tiny_run.path, "litert", tmp_path / "model.tflite")
    with zipfile.ZipFile(tmp_path / "model.tflite") as content:
        assert json.loads(content.read("unfreeze.json")) == DESCRIPTION
    network = Interpreter(model_path=str(tmp_path / "model.tflite"))
    [photos] = network.get_input_details()
    assert (photos["dtype"], photos["shape"].tolist()) == (np.uint8, [1, SIZE, SIZE, 3])


def test_photos_that_are_gone_make_way_for_random_pixels(tiny_run, tmp_path):
    for file in tiny_run.files:
        file.write_bytes(file.read_bytes() + b"changed")
    exported = unfreeze.export(tiny_run.path, "keras", tmp_path / "model.keras")
    assert (exported.photos, tiny_run.reads) == (0, [])
    assert exported.largest_difference < 1e-5
    assert str(exported).endswith("on random pixels, because the run's test photos are gone.")


def test_other_photos_than_the_runs_are_left_out(tiny_run, tmp_path):
    tiny_run.files[0].unlink()
    tiny_run.files[1].write_bytes(tiny_run.files[2].read_bytes())
    assert unfreeze.export(tiny_run.path, "keras", tmp_path / "model.keras").photos == PHOTOS - 2
    assert tiny_run.reads[0]["photos"] == PHOTOS - 2


def test_a_file_with_other_probabilities_is_refused(tiny_run, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"an older export")
    figures = read_sealed(tiny_run.path / "metrics.json")
    write_sealed(tiny_run.path / "metrics.json", {**figures, "temperature": 1.6})  # predictions.csv has 1.7
    with pytest.raises(RunError, match=r"differ from the run's by up to 0\.0\d+, where 0\.001 is allowed.*deleted"):
        unfreeze.export(tiny_run.path, "keras", tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == b"an older export"
    assert len(tiny_run.reads) == 1
    with pytest.raises(RunError, match="allowed"):
        unfreeze.export(tiny_run.path, "keras", tmp_path / "new" / "model.keras")
    assert content_of(tmp_path / "new") == []


@pytest.mark.parametrize(("where", "message"), [("WRITERS", "can't be exported to"), ("RUNTIMES", "file does not run")])
def test_what_exporters_and_runtimes_can_not_do_is_said(tiny_run, tmp_path, monkeypatch, where, message):
    def fail(*_: object) -> None:
        raise NotImplementedError("no such\n operator")

    monkeypatch.setitem(getattr(write_export if where == "WRITERS" else run_export, where), "keras", fail)
    with pytest.raises(RunError, match=f"{message}.*NotImplementedError: no such operator.*Try the format onnx"):
        unfreeze.export(tiny_run.path, "keras", tmp_path / "new" / "model.keras")
    assert content_of(tmp_path / "new") == []


def test_a_probability_that_is_no_number_is_refused(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(run_export.RUNTIMES, "keras", lambda file, pixels: tiny_run.probabilities * np.nan)
    with pytest.raises(RunError, match="differ from the run's by up to nan"):
        unfreeze.export(tiny_run.path, "keras", tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("format", "out", "message"),
    [
        ("tflite", "x.tflite", "There is no format tflite; there are keras, onnx, litert."),
        ("onnx", "x.keras", "x.keras can't be a file of the format onnx, whose names end with .onnx: give x.onnx."),
        ("litert", ".", ". is a folder, not a file to write: give model.tflite or the like."),
    ],
)
def test_calls_that_can_not_be_meant(tmp_path, monkeypatch, format, out, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError) as error:
        unfreeze.export("nowhere", format, out)
    assert str(error.value) == message


def test_an_unfinished_run(tiny_run, tmp_path):
    (tiny_run.path / "metrics.json").unlink()
    with pytest.raises(RunError, match="holds no finished run"):
        unfreeze.export(tiny_run.path, "onnx", tmp_path / "model.onnx")


def test_litert_on_another_backend(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RunError, match=r"Only TensorFlow makes files for LiteRT, and Keras runs on jax here"):
        unfreeze.export(tiny_run.path, "litert", tmp_path / "model.tflite")


def test_litert_that_is_not_installed(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'unfreeze\[litert\]'"):
        unfreeze.export(tiny_run.path, "litert", tmp_path / "model.tflite")


@pytest.mark.slow
@pytest.mark.parametrize(("format", "name"), FILES)
def test_real_runs(series, tmp_path, format, name):
    run = copy_run(series, "model_3", tmp_path)
    exported = export_module.export(run, format, tmp_path / name)
    assert exported.photos == 20
    assert exported.largest_difference < 1e-5
