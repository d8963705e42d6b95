"""Predictions of a finished run: the figures, the order, and what happens with files that are no photos."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from PIL import Image
from tests.runs import copy_run

import unfreeze
from unfreeze.errors import DataError, RunError
from unfreeze.evaluation.calibration import calibrate
from unfreeze.inference.predictor import BATCH, Prediction, Predictor
from unfreeze.models.efficientnet_lite import efficientnet_lite
from unfreeze.series.folders import RunFolder


@pytest.fixture(scope="module")
def run(series: Path) -> Path:
    return series / "experiments" / "model_4" / "seed-0"


@pytest.fixture(scope="module")
def predictor(run: Path) -> Predictor:
    return unfreeze.load(run)


def probabilities(prediction: Prediction) -> dict[str, float]:
    return dict(prediction.top)


def test_they_are_those_of_the_run_on_its_test_photos(predictor, run, solar_cells):
    with (run / "predictions.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    predictions = predictor.predict([solar_cells / row["path"] for row in rows])
    assert len(predictions) == 20
    for row, prediction in zip(rows, predictions, strict=True):
        assert prediction.top[0][0] == row["predicted"]
        # The run's own come from the engine for frozen layers, which rounds differently.
        assert probabilities(prediction) == pytest.approx(
            {name: float(row[name]) for name in predictor.classes}, abs=1e-5
        )


def test_they_are_those_of_keras_on_the_decoded_photo(run, solar_cells):
    predictor = Predictor(run)
    file = sorted((solar_cells / "defective").iterdir())[0]
    pixels = predictor.pixels(file.read_bytes())
    assert pixels.shape == (64, 64, 3)
    model: Any = keras.saving.load_model(run / "model.keras")
    own = model.predict(pixels[None], verbose=0)
    np.testing.assert_array_equal(predictor.uncalibrated(pixels[None]), own)
    (expected,) = calibrate(own, predictor.temperature)
    assert expected.max() != own.max()
    (prediction,) = predictor.predict(file)
    assert probabilities(prediction) == dict(zip(["defective", "functional"], expected.tolist(), strict=True))
    assert prediction.top[0][1] == expected.max()
    assert sum(probabilities(prediction).values()) == pytest.approx(1)


def test_the_order_is_that_of_the_call_with_folders_sorted(predictor, solar_cells, tmp_path):
    photos = sorted((solar_cells / "defective").iterdir())
    for place in ("b.png", "a/z.PNG", "a/deep/er/1.png", "c/2.png", ".hidden/3.png", "a/Thumbs.db", "a/.DS_Store"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos[0], tmp_path / place)
    (tmp_path / "c" / "notes.txt").write_text("no photo")
    given = [photos[5], tmp_path, photos[2], photos[5]]
    found = [prediction.path for prediction in predictor.predict(given)]
    below = [str(tmp_path / place) for place in ("a/deep/er/1.png", "a/z.PNG", "b.png", "c/2.png")]
    assert found == [str(photos[5]), *below, str(photos[2]), str(photos[5])]


def test_bad_files_are_said_and_others_predicted(predictor, solar_cells, tmp_path):
    good = sorted((solar_cells / "functional").iterdir())[0]
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:2000])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no photo")
    given = [tmp_path / "missing.jpg", good, tmp_path, good]
    predictions = predictor.predict(given)
    assert [prediction.error for prediction in predictions] == [
        "is not there",
        None,
        "can't be decoded: image file is truncated",
        "is empty",
        "is no photo, or of a kind that is not read",
        None,
    ]
    assert [bool(prediction.top) for prediction in predictions] == [False, True, False, False, False, True]
    assert predictions[1] == predictions[5]
    assert predictions[0].to_json() == {"path": str(tmp_path / "missing.jpg"), "top": [], "error": "is not there"}


def test_more_than_a_batch(predictor, solar_cells):
    files = sorted((solar_cells / "defective").iterdir())
    assert len(files) > BATCH
    together = predictor.predict(solar_cells / "defective")
    assert [prediction.path for prediction in together] == [str(file) for file in files]
    for place in (0, BATCH - 1, BATCH, len(files) - 1):
        alone = predictor.predict(str(files[place]))[0]
        assert probabilities(alone) == pytest.approx(probabilities(together[place]), abs=1e-6)


def test_top_limits_the_classes(predictor, solar_cells):
    file = sorted((solar_cells / "defective").iterdir())[0]
    (all_classes,), (one,) = predictor.predict(file), predictor.predict(file, top=1)
    assert one.top == all_classes.top[:1]
    assert len(all_classes.top) == 2
    assert one.to_json()["top"] == [{"class": one.top[0][0], "probability": one.top[0][1]}]


def test_five_classes_at_most_and_the_likeliest_first(predictor, monkeypatch, solar_cells):
    values = np.array([[0.1, 0.3, 0.05, 0.2, 0.15, 0.2]], np.float32)
    monkeypatch.setattr(predictor, "_key", None)  # no copy, whose probabilities are its own
    monkeypatch.setattr(predictor, "classes", tuple("abcdef"))
    monkeypatch.setattr(predictor, "probabilities", lambda pixels: values)
    (prediction,) = predictor.predict(sorted((solar_cells / "defective").iterdir())[0])
    assert [name for name, _ in prediction.top] == ["b", "d", "f", "e", "a"]


def test_a_backbone_as_it_is_knows_a_uniform(tmp_path):
    """On the portrait that TensorFlow's own example of an ImageNet classifier is shown with."""
    photo, file = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)), tmp_path / "portrait.png"
    photo.save(file)  # without JPEG's smaller scales
    predictor = unfreeze.load("efficientnet_lite0")
    (prediction,) = predictor.predict(file)
    assert prediction.top[0][0] == "military uniform"
    assert len(prediction.top) == 5

    assert photo.size == (512, 600)
    pixels = np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR, box=(0, 44, 512, 556)))
    expected = efficientnet_lite(0, include_top=True).predict(pixels[None], verbose=0)[0]
    assert dict(prediction.top) == pytest.approx(
        {predictor.classes[number]: expected[number] for number in expected.argsort()[-5:]}, abs=1e-5
    )


def test_a_folder_named_like_a_backbone_is_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficientnet_lite0").mkdir()
    with pytest.raises(RunError, match="efficientnet_lite0 holds no finished run"):
        unfreeze.load("efficientnet_lite0")


def test_what_is_neither_a_run_nor_a_backbone():
    with pytest.raises(RunError, match=r"There is no run efficientnet_lte0\..* the backbone efficientnet_lite0\?$"):
        unfreeze.load("efficientnet_lte0")
    with pytest.raises(RunError, match=r"seed-0\.$"):
        unfreeze.load("runs/nowhere")


def test_a_folder_without_photos_is_refused(predictor, tmp_path):
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(DataError) as error:
        predictor.predict([tmp_path])
    assert str(error.value) == f"{tmp_path} holds no photo, nor does any folder below it."


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.keras", b""),
        ("model.keras", None),
        ("model.keras", b"PK\x03\x04 and nothing else"),
        ("classes.json", b'["one", "two", "three"]'),
        ("classes.json", b"["),
        ("config.yaml", b"- a"),
        ("config.yaml", b"resize: [\xff"),
    ],
)
def test_a_damaged_run_is_refused(series, tmp_path, file, content):
    run = copy_run(series, "model_0", tmp_path)
    if content is None:
        content = (run / file).read_bytes()[:-50_000]
    (run / file).write_bytes(content)
    with pytest.raises(RunError) as error:
        unfreeze.load(run)
    assert str(error.value).startswith(f"{run / file} is damaged (its checksum is not that in metrics.json)")
    RunFolder(run).seal({**json.loads((run / "metrics.json").read_text()), "files": {}})  # as if written so
    with pytest.raises(RunError) as error:
        unfreeze.load(run)
    assert str(error.value).startswith(f"{run} can't be loaded (")
    assert str(error.value).endswith("). Run the experiment again with --force.")


def test_a_model_with_code_in_it_is_refused(series, tmp_path):
    run = copy_run(series, "model_0", tmp_path)
    photo = keras.Input((64, 64, 3))
    keras.Model(photo, keras.layers.Lambda(lambda x: x[:, 0, 0, :2])(photo)).save(run / "model.keras")
    RunFolder(run).seal({**json.loads((run / "metrics.json").read_text()), "files": {}})
    with pytest.raises(RunError, match=r"can't be loaded \((.|\n)*Lambda"):
        unfreeze.load(run)


def test_a_notebook_shows_predictions_in_a_list_in_words():
    class Printer:
        text = staticmethod(lambda words: shown.append(words))

    shown: list[str] = []
    for prediction in (Prediction("a.jpg", (("pizza", 0.93), ("sushi", 0.07))), Prediction("b.jpg", (), "is empty")):
        prediction._repr_pretty_(Printer, cycle=False)
    assert shown == ["a.jpg: pizza 93.0%, sushi 7.0%", "b.jpg: is empty"]
