"""The command, Python with and without Keras, the page and every export give one run's probabilities, to 1e-4."""

import csv
import subprocess
import sys

import keras
import numpy as np
import pytest
from tests.inference.serving import predict, serving
from tests.runs import copy_run

import unfreeze
from unfreeze.inference import run_export
from unfreeze.inference.export_formats import SUFFIXES
from unfreeze.inference.predictor import Predictor, read_file

TOLERANCE = 1e-4


def table(predictions, classes):
    return np.array([[dict(prediction.top)[name] for name in classes] for prediction in predictions])


@pytest.mark.slow
def test_every_way_gives_the_same_probabilities(series, solar_cells, tmp_path):
    run = copy_run(series, "model_3", tmp_path / "out")
    files = sorted(solar_cells.rglob("*.png"))[::4]
    code = "import sys; from unfreeze.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", str(run), *map(str, files), "--csv"]
    called = subprocess.run(command, capture_output=True, text=True, check=True)
    header, *lines = csv.reader(called.stdout.splitlines())
    classes = header[4:]
    expected = np.array([[float(number) for number in line[4:]] for line in lines])
    assert expected.shape == (20, 2)
    assert expected.std() > 0.05  # the photos differ

    with_keras = Predictor(run)
    found = {
        "Python": table(unfreeze.load(run).predict(files), classes),
        "Keras": table(with_keras.predict(files), classes),
    }
    with serving([run], tmp_path) as address:
        answers = [predict(address, file, "model_3")["top"] for file in files]
    found["page"] = np.array(
        [[{top["class"]: top["probability"] for top in each}[c] for c in classes] for each in answers]
    )
    pixels = np.stack([with_keras.pixels(read_file(file)) for file in files])
    for format in SUFFIXES if keras.backend.backend() == "tensorflow" else ["keras"]:
        out = tmp_path / f"model{SUFFIXES[format]}"
        unfreeze.export(run, format, out)
        found[format] = run_export.RUNTIMES[format](out, pixels)
    for way, probabilities in found.items():
        assert np.abs(probabilities - expected).max() < TOLERANCE, way
